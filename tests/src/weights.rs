//! Weights that no training made, with nothing left at the value it began with.

use candle_core::{Device, Result};
use mtslvr_train::net::{BackboneSpec, Parameters, Trunk, Weights};

/// Makes random weights for a trunk: convolutions as at the start of training, norms and adapters moved
/// away from the identity.
///
/// # Errors
/// If the trunk cannot be made.
pub fn seeded_weights(spec: &BackboneSpec, seed: u64) -> Result<Weights> {
    let mut parameters = Parameters::new(seed, &Device::Cpu);
    Trunk::new(spec, &mut parameters)?;
    let mut weights = parameters.to_weights()?;
    shake_norms(&mut weights, seed);
    Ok(weights)
}

/// Gives the norms, which begin as the identity, statistics and gains of their own, negative ones
/// among them, so that the two paths differ in every channel.
fn shake_norms(weights: &mut Weights, seed: u64) {
    let mut state = seed;
    // Knuth's linear congruential generator: the upper bits, from 0 to 1.
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    for (name, (_, values)) in weights.iter_mut() {
        let norm = name.contains("norm");
        for value in values.iter_mut() {
            let shake = next();
            if norm && name.ends_with(".weight") {
                *value *= if shake < 0.1 { -0.5 } else { 0.6 + 0.8 * shake };
            } else if norm && name.ends_with(".var") {
                *value *= 0.5 + shake;
            } else if norm || name.contains(".adapter.") || name.starts_with("output.") {
                *value += 0.4 * (shake - 0.5);
            }
        }
    }
}
