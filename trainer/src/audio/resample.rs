//! Sample-rate conversion of whole clips through rubato.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

/// Samples per FFT block: long enough for a steep filter below Nyquist.
const BLOCK: usize = 1024;

/// `samples` at `from` Hz converted to `to` Hz, aligned in time, `len * to / from` of them.
///
/// # Panics
/// If a rate is 0.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let mut resampler = Fft::<f32>::new_custom(
        from as usize,
        to as usize,
        BLOCK,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Input,
    )
    .expect("both rates and the block are positive");
    let input = InterleavedSlice::new(samples, 1, samples.len()).expect("one channel fills it");
    resampler
        .process_all(&input, samples.len(), None)
        .expect("buffers are sized by the resampler")
        .take_data()
}
