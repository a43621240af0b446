//! Small backbones with random weights, to test the exporter on.

use crate::export::EmbeddingStatistics;
use crate::net::{AdapterKind, AdapterSpec, BackboneSpec, PATHS, StageSpec, StemSpec, Weights};
use mtslvr_runtime::frontend::FrontendConfig;
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
    }
}

/// Weights of He scale, adapters of a third of it, norms with random statistics and gains of both signs.
pub fn weights(spec: &BackboneSpec, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::new();
    let normal = |rng: &mut ChaCha8Rng| {
        // The sum of twelve uniform values has variance one.
        (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0
    };
    let conv = |weights: &mut Weights,
                rng: &mut ChaCha8Rng,
                name: String,
                shape: [usize; 4],
                gain: f32| {
        let [_, inputs, k, _] = shape;
        let scale = gain * (2.0 / (inputs * k * k) as f32).sqrt();
        let values = (0..shape.iter().product())
            .map(|_| normal(rng) * scale)
            .collect();
        weights.insert(name, (shape.to_vec(), values));
    };
    let norm =
        |weights: &mut Weights, rng: &mut ChaCha8Rng, name: &str, width: usize, per_path: bool| {
            let suffixes: Vec<String> = if per_path {
                (0..PATHS).map(|p| p.to_string()).collect()
            } else {
                vec!["shared".into()]
            };
            for suffix in suffixes {
                for (kind, low, high) in [
                    ("weight", 0.4f32, 1.4f32),
                    ("bias", -0.3, 0.5),
                    ("mean", -0.5, 0.5),
                    ("var", 0.4, 2.0),
                ] {
                    let values = (0..width)
                        .map(|c| {
                            let value = rng.random_range(low..high);
                            if kind == "weight" && c % 5 == 3 {
                                -value
                            } else {
                                value
                            }
                        })
                        .collect();
                    weights.insert(format!("{name}.{suffix}.{kind}"), (vec![width], values));
                }
            }
        };
    let k = spec.stem.kernel;
    conv(
        &mut weights,
        &mut rng,
        "stem.conv.weight".into(),
        [spec.stem.width, 1, k, k],
        1.0,
    );
    norm(
        &mut weights,
        &mut rng,
        "stem.norm",
        spec.stem.width,
        spec.stem_per_path(),
    );
    let mut width = spec.stem.width;
    for (s, stage) in spec.stages.iter().enumerate() {
        let per_path = spec.stage_per_path(s);
        for b in 0..stage.blocks {
            let block = format!("stages.{s}.{b}");
            let out = stage.width;
            for (unit, inputs) in [(1, width), (2, out)] {
                let name = format!("{block}.conv{unit}");
                conv(
                    &mut weights,
                    &mut rng,
                    format!("{name}.weight"),
                    [out, inputs, 3, 3],
                    1.0,
                );
                if per_path && spec.adapters.kind == AdapterKind::Parallel {
                    for p in 0..PATHS {
                        let name = format!("{name}.adapter.{p}.weight");
                        conv(&mut weights, &mut rng, name, [out, inputs, 1, 1], 0.33);
                    }
                }
                norm(
                    &mut weights,
                    &mut rng,
                    &format!("{block}.norm{unit}"),
                    out,
                    per_path,
                );
            }
            if (b == 0 && stage.stride != 1) || width != out {
                let name = format!("{block}.shortcut.weight");
                conv(&mut weights, &mut rng, name, [out, width, 1, 1], 1.0);
                norm(
                    &mut weights,
                    &mut rng,
                    &format!("{block}.shortcut_norm"),
                    out,
                    per_path,
                );
            }
            width = out;
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
        base_mean: vec![0.25; spec.path_dim() * PATHS],
        rejection_similarity: 0.5,
    }
}
