//! Reads a band-limited signal between its samples.

use std::f32::consts::PI;

/// Samples that each value is made from.
pub(crate) const TAPS: usize = 16;
/// Positions between two samples that have a kernel of their own.
const PHASES: usize = 512;

/// Windowed-sinc kernels for every position between two samples.
#[derive(Clone)]
pub(crate) struct Interpolator {
    pub(crate) kernels: Vec<[f32; TAPS]>,
}

impl Interpolator {
    pub fn new() -> Self {
        let kernel = |phase: usize| {
            let offset = phase as f32 / PHASES as f32;
            let mut kernel: [f32; TAPS] = std::array::from_fn(|tap| {
                let distance = tap as f32 - (TAPS / 2 - 1) as f32 - offset;
                let sinc = if distance.abs() < 1e-6 {
                    1.0
                } else {
                    (PI * distance).sin() / (PI * distance)
                };
                // Hann window over the taps.
                let window = (PI * distance / TAPS as f32).cos();
                sinc * window * window
            });
            let sum: f32 = kernel.iter().sum();
            for weight in &mut kernel {
                *weight /= sum;
            }
            kernel
        };
        Self {
            kernels: (0..=PHASES).map(kernel).collect(),
        }
    }

    /// Appends `length` samples to `output`, sample n being `input` at n * `step`; 0 outside.
    pub fn read(&self, input: &[f32], step: f32, length: usize, output: &mut Vec<f32>) {
        // Fixed point with 32 bits after the point keeps its place over any clip.
        let step = (f64::from(step) * 4_294_967_296.0) as u64;
        let before = TAPS / 2 - 1;
        output.extend((0..length as u64).map(|index| {
            let position = index * step;
            let whole = (position >> 32) as usize;
            let phase = ((position as u32 >> 16) as usize * PHASES + (1 << 15)) >> 16;
            let kernel = &self.kernels[phase];
            if whole >= before && whole - before + TAPS <= input.len() {
                let taps = &input[whole - before..whole - before + TAPS];
                taps.iter()
                    .zip(kernel)
                    .map(|(sample, weight)| sample * weight)
                    .sum()
            } else {
                let tap = |tap: usize| {
                    let place = (whole + tap).checked_sub(before);
                    place
                        .and_then(|place| input.get(place))
                        .copied()
                        .unwrap_or(0.0)
                };
                kernel
                    .iter()
                    .enumerate()
                    .map(|(index, weight)| tap(index) * weight)
                    .sum::<f32>()
            }
        }));
    }
}
