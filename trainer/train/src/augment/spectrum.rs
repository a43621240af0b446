//! A real FFT with its plans and buffers.

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Real FFT of one size, forward and back. Clones share the plans.
#[derive(Clone)]
pub(super) struct RealFft {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Samples that go in forward and come out of the inverse.
    pub samples: Vec<f32>,
    /// Bins 0 to `len / 2`.
    pub spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl RealFft {
    /// Plans for `len` samples, an even number.
    pub fn new(len: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            samples: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            scratch: vec![Complex32::default(); scratch],
            forward,
            inverse,
        }
    }

    /// Samples of a transform.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Transforms `samples`, which it uses up, into `spectrum`.
    pub fn forward(&mut self) -> &[Complex32] {
        self.forward
            .process_with_scratch(&mut self.samples, &mut self.spectrum, &mut self.scratch)
            .expect("buffers are of the plan's sizes");
        &self.spectrum
    }

    /// Transforms `spectrum`, which it uses up, into `samples`, `len` times too large.
    pub fn inverse(&mut self) -> &[f32] {
        // A real signal has real ends of the spectrum.
        let last = self.spectrum.len() - 1;
        self.spectrum[0].im = 0.0;
        self.spectrum[last].im = 0.0;
        self.inverse
            .process_with_scratch(&mut self.spectrum, &mut self.samples, &mut self.scratch)
            .expect("buffers are of the plan's sizes and the ends are real");
        &self.samples
    }
}
