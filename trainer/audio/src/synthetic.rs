//! Audio to calibrate on.

use crate::samples::Samples;
use crate::synth::Patch;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Different sounds.
const SOUNDS: u64 = 192;

/// Seed of the sounds. It is fixed, so that an export can be repeated.
const SEED: u64 = 0x5eed;

/// Returns synthetic sounds and, if there are any, as many of `recordings`, evenly spread.
pub fn calibration_mix(frontend: &FrontendConfig, recordings: &[Samples]) -> Vec<Vec<f32>> {
    let mut clips = calibration_clips(frontend);
    let step = recordings.len().div_ceil(clips.len()).max(1);
    clips.extend(recordings.iter().step_by(step).map(Samples::to_vec));
    clips
}

/// Returns sounds of every family of the synthesiser, each as long as one patch.
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
