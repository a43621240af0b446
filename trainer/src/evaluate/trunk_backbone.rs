//! A trunk in candle as a backbone: while it trains, and as the control that has a model's shape and
//! learned nothing.
//!
//! The control's convolutions and adapters are drawn as training draws them, from a seed; its norms
//! take their statistics, and the heads their base mean, from reference audio (the built-in
//! synthesiser's). What is left is what the frontend, the architecture and averaging over time give
//! for nothing.

use crate::export::INVARIANT_SHARE;
use crate::net::{BackboneSpec, Parameters, Trunk};
use candle_core::{Device, Tensor};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::FrontendConfig;
use std::sync::Arc;

/// Reference patches in one batch.
const BATCH: usize = 64;

/// A trunk as a backbone; clones share the weights.
#[derive(Clone, Debug)]
pub struct TrunkBackbone {
    trunk: Arc<Trunk>,
    frontend: FrontendConfig,
    path_dim: usize,
    base_mean: Vec<f32>,
}

impl TrunkBackbone {
    /// `trunk`, with the mean of its embeddings of `reference` patches as base mean.
    ///
    /// # Errors
    /// If the patches are not the frontend's, or there is none.
    pub fn new(
        trunk: Arc<Trunk>,
        frontend: FrontendConfig,
        reference: &[Vec<f32>],
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(!reference.is_empty(), "no reference audio for a base mean");
        let mut base_mean = vec![0.0; trunk.spec().embedding_dim()];
        for batch in batches(&trunk, &frontend, reference)? {
            let embeddings = Tensor::cat(&trunk.forward(&batch)?, 1)?;
            let sum = embeddings.sum(0)?.to_vec1::<f32>()?;
            for (mean, value) in base_mean.iter_mut().zip(sum) {
                *mean += value / reference.len() as f32;
            }
        }
        Ok(Self {
            path_dim: trunk.spec().path_dim(),
            trunk,
            frontend,
            base_mean,
        })
    }

    /// The control: weights of `spec` drawn from `seed`, norms and base mean measured on `reference`
    /// clips at the frontend's sample rate.
    ///
    /// # Errors
    /// If the frontend's parameters or the shape of the trunk cannot be used.
    pub fn random(
        spec: &BackboneSpec,
        frontend: FrontendConfig,
        reference: &[Vec<f32>],
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut parameters = Parameters::new(seed, &Device::Cpu);
        let trunk = Trunk::new(spec, &mut parameters)?;
        let mut patches: Vec<Vec<f32>> = Vec::new();
        for clip in reference {
            clip::patches(frontend, clip, |patch| patches.push(patch.to_vec()))?;
        }
        trunk.settle(&batches(&trunk, &frontend, &patches)?)?;
        Self::new(Arc::new(trunk), frontend, &patches)
    }
}

fn batches(
    trunk: &Trunk,
    frontend: &FrontendConfig,
    patches: &[Vec<f32>],
) -> candle_core::Result<Vec<Tensor>> {
    let (frames, mels) = (usize::from(frontend.frames), usize::from(frontend.mels));
    let chunks = patches.chunks(BATCH);
    chunks
        .map(|batch| trunk.batch(batch, frames, mels))
        .collect()
}

impl Backbone for TrunkBackbone {
    type Error = candle_core::Error;

    fn frontend(&self) -> &FrontendConfig {
        &self.frontend
    }

    fn invariant_dim(&self) -> usize {
        self.path_dim
    }

    fn equivariant_dim(&self) -> usize {
        self.base_mean.len() - self.path_dim
    }

    fn base_mean(&self) -> &[f32] {
        &self.base_mean
    }

    /// Nobody asks it to reject: every clip passes.
    fn rejection_similarity(&self) -> f32 {
        -1.0
    }

    /// Compared as exported backbones are.
    fn reference(&self) -> Option<Reference> {
        Reference::new(INVARIANT_SHARE, [-1.0; 8])
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> candle_core::Result<()> {
        let (frames, mels) = (
            usize::from(self.frontend.frames),
            usize::from(self.frontend.mels),
        );
        let patch = self.trunk.batch(&[patch], frames, mels)?;
        let parts = Tensor::cat(&self.trunk.forward(&patch)?, 1)?;
        embedding.copy_from_slice(&parts.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::embed_clips;
    use crate::net::{AdapterKind, AdapterSpec, StageSpec, StemSpec};

    fn spec() -> BackboneSpec {
        let stage = |width| StageSpec {
            width,
            blocks: 1,
            stride: 2,
        };
        BackboneSpec {
            stem: StemSpec {
                width: 4,
                kernel: 3,
                stride: 2,
            },
            stages: vec![stage(6), stage(8)],
            adapters: AdapterSpec {
                kind: AdapterKind::Parallel,
                from_stage: 0,
            },
            output: None,
            parts: Vec::new(),
            shares: Default::default(),
        }
    }

    #[test]
    fn the_seed_decides_and_reference_audio_centres() {
        let frontend = FrontendConfig {
            sample_rate: 8000,
            window: 256,
            hop: 128,
            mels: 24,
            frames: 16,
            f_min: 50.0,
            f_max: 4000.0,
            floor: 1e-4,
            mean: 0.0,
            scale: 0.3,
        };
        let tone =
            |hz: f32| -> Vec<f32> { (0..2200).map(|i| (i as f32 * hz / 1273.0).sin()).collect() };
        let reference: Vec<_> = (1..9).map(|i| tone(93.0 * i as f32)).collect();
        let embed = |seed| {
            let trunk = TrunkBackbone::random(&spec(), frontend, &reference, seed).unwrap();
            embed_clips(&mut [trunk.clone(), trunk], &reference, || ()).unwrap()
        };
        let (first, again, other) = (embed(1), embed(1), embed(2));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(first.dim, 16);
        for d in 0..first.dim {
            let mean = (0..first.len()).map(|c| first.row(c)[d]).sum::<f32>() / first.len() as f32;
            assert!((mean - first.centre[d]).abs() < 1e-3 + 1e-3 * mean.abs());
        }
    }
}
