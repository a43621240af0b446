//! Small backbones with random weights, to test the exporter on.

use crate::net::{
    AdapterKind, AdapterSpec, BackboneSpec, Parameters, StageSpec, StemSpec, Trunk, Weights,
};
use candle_core::Device;
use mtslvr_pack::EmbeddingStatistics;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A frontend with small patches.
pub fn frontend() -> FrontendConfig {
    FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: 20,
        frames: 27,
        f_min: 60.0,
        f_max: 7_800.0,
        floor: 1e-6,
        mean: -6.0,
        scale: 0.3,
        form: FrontendForm::PLAIN,
    }
}

/// A trunk of two stages with every kind of unit.
pub fn spec(kind: AdapterKind, from_stage: usize) -> BackboneSpec {
    BackboneSpec {
        stem: StemSpec {
            width: 8,
            kernel: 5,
            stride: 2,
        },
        stages: vec![
            StageSpec {
                width: 8,
                blocks: 1,
                stride: 1,
            },
            StageSpec {
                width: 12,
                blocks: 2,
                stride: 2,
            },
        ],
        adapters: AdapterSpec { kind, from_stage },
        output: None,
        parts: Vec::new(),
        shares: Default::default(),
    }
}

/// Weights as training begins with, then nothing left as it was: norms with random statistics and
/// gains of both signs, adapters and biases that matter.
pub fn weights(spec: &BackboneSpec, seed: u64) -> Weights {
    let mut parameters = Parameters::new(seed, &Device::Cpu);
    Trunk::new(spec, &mut parameters).expect("the shape is sound");
    let mut weights = parameters.to_weights().expect("on the CPU");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (name, (shape, values)) in &mut weights {
        let kind = name.rsplit('.').next().unwrap_or_default();
        let (low, high) = match (kind, name.contains("norm")) {
            ("weight", true) => (0.4f32, 1.4f32),
            ("bias", _) => (-0.3, 0.5),
            ("mean", _) => (-0.5, 0.5),
            ("var", _) => (0.4, 2.0),
            _ if name.contains(".adapter.") || name.contains("whitening.") => {
                let reach = (1.0 / shape[1] as f32).sqrt();
                (-reach, reach)
            }
            _ => continue,
        };
        for (c, value) in values.iter_mut().enumerate() {
            *value = rng.random_range(low..high);
            if (kind, name.contains("norm"), c % 5) == ("weight", true, 3) {
                *value = -*value;
            }
        }
    }
    weights
}

/// `count` patches of smooth random values in about the range of normalised log-mel values.
pub fn patches(config: &FrontendConfig, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let mut level = 0.0f32;
            (0..config.patch_len())
                .map(|_| {
                    level = 0.7 * level + rng.random_range(-1.0f32..1.0);
                    level
                })
                .collect()
        })
        .collect()
}

/// Statistics of a width that fits, of no particular values.
pub fn statistics(spec: &BackboneSpec) -> EmbeddingStatistics {
    EmbeddingStatistics {
        base_mean: vec![0.25; spec.embedding_dim()],
        reference: Reference::assumed(0.5),
    }
}
