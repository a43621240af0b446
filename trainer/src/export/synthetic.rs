//! Synthetic audio to calibrate on where no recordings are given.

use crate::audio::synth::Patch;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Different sounds.
const SOUNDS: u64 = 192;

/// Decides the sounds; the same for every export, so that an export can be repeated.
const SEED: u64 = 0x5eed;

/// Sounds of every family of the synthesiser, each as long as one patch.
pub fn calibration_clips(frontend: &FrontendConfig) -> Vec<Vec<f32>> {
    (0..SOUNDS)
        .into_par_iter()
        .map(|index| {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED);
            rng.set_stream(index);
            Patch::random(&mut rng).render(frontend.patch_samples(), frontend.sample_rate, &mut rng)
        })
        .collect()
}
