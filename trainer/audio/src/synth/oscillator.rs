//! Sine and wavetable oscillators on integer phases: a turn is 2^32, so that wrapping is free.

use std::sync::LazyLock;

/// Samples in a wavetable.
const TABLE: usize = 1024;
const TABLE_BITS: u32 = TABLE.trailing_zeros();

/// Returns the phase advance per sample of a tone of `frequency` at `rate`, both in Hz.
#[inline]
pub(super) fn advance(frequency: f32, rate: f32) -> u32 {
    (frequency / rate * 4_294_967_296.0) as u32
}

/// Returns the sine of `phase`, with an error below 1e-6.
#[inline]
pub(super) fn sine(phase: u32) -> f32 {
    // sin(2 pi x) on [-1/2, 1/2] has zeros at 0 and at both ends. Divided by these it is even and
    // smooth, and the polynomial is a least-squares fit of that.
    let x = phase as i32 as f32 * (1.0 / 4_294_967_296.0);
    let z = x * x;
    let rest = 25.132_733 + z * (-64.834_83 + z * (67.046_49 + z * (-38.139_862 + z * 12.268_764)));
    x * (0.25 - z) * rest
}

/// One period of a sum of harmonics.
pub(super) struct Wavetable(Vec<f32>);

impl Wavetable {
    /// Makes a table whose harmonic `k` (from 1) has the amplitude `amplitudes[k - 1]`, scaled to unit
    /// power.
    pub fn new(amplitudes: &[f32]) -> Self {
        static SINE: LazyLock<[f32; TABLE]> =
            LazyLock::new(|| std::array::from_fn(|n| sine((n as u32) << (32 - TABLE_BITS))));
        let power: f32 = amplitudes.iter().map(|a| 0.5 * a * a).sum();
        let gain = 1.0 / power.max(1e-12).sqrt();
        // One sample more than a period: the interpolation needs no wrap.
        let mut table = vec![0.0; TABLE + 1];
        for (index, amplitude) in amplitudes.iter().enumerate() {
            let harmonic = index + 1;
            // Phases spread by Schroeder's rule keep the crest factor low.
            let offset = TABLE - (index * harmonic * TABLE / (2 * amplitudes.len())) % TABLE;
            let amplitude = amplitude * gain;
            let mut phase = offset % TABLE;
            for value in &mut table[..TABLE] {
                *value += amplitude * SINE[phase];
                phase = (phase + harmonic) % TABLE;
            }
        }
        table[TABLE] = table[0];
        Self(table)
    }

    /// Returns the value at `phase`.
    #[inline]
    pub fn at(&self, phase: u32) -> f32 {
        let place = (phase >> (32 - TABLE_BITS)) as usize;
        let between = (phase << TABLE_BITS) as f32 * (1.0 / 4_294_967_296.0);
        let (low, high) = (self.0[place], self.0[place + 1]);
        low + between * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_a_sine() {
        for n in 0..10_000u32 {
            let phase = n.wrapping_mul(429_497);
            let exact = (f64::from(phase) / 4_294_967_296.0 * std::f64::consts::TAU).sin();
            assert!((f64::from(sine(phase)) - exact).abs() < 2e-6);
        }
    }

    #[test]
    fn a_wavetable_has_unit_power() {
        let table = Wavetable::new(&[1.0, 0.5, 0.0, 0.25]);
        let power: f32 = (0..4096u32).map(|n| table.at(n << 20).powi(2)).sum::<f32>() / 4096.0;
        assert!((power - 1.0).abs() < 1e-3);
    }
}
