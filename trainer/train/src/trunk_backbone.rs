//! A trunk in candle as a backbone: while it trains, and as the control that has a model's shape and
//! learned nothing.
//!
//! The control's convolutions and adapters are drawn as training draws them, from a seed; its norms
//! take their statistics, and the heads their base mean, from reference audio (the built-in
//! synthesiser's). What is left is what the frontend, the architecture and averaging over time give
//! for nothing.

use crate::net::{BackboneSpec, Parameters, Trunk};
use anyhow::Context;
use candle_core::{Device, Tensor};
use mtslvr_evaluate::RandomWeights;
use mtslvr_runtime::backbone::{Backbone, EmbedError};
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, OwnedSpace};
use std::sync::Arc;

/// Reference patches in one batch.
const BATCH: usize = 64;

/// Explains why a trunk could not embed a patch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrunkError {
    /// A patch or the room for its embedding has the wrong length.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// A trunk as a backbone; clones share the weights.
#[derive(Clone, Debug)]
pub struct TrunkBackbone {
    trunk: Arc<Trunk>,
    space: OwnedSpace,
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
        let parts = trunk.spec().embedding_parts()?;
        // Weights that change with every step have no identity, and nobody asks this backbone to
        // reject: every clip passes.
        let id = BackboneId::new([0; BackboneId::LEN]);
        let passing = Reference::new([-1.0; 8]).context("equal quantiles are in order")?;
        let space = EmbeddingSpace::new(id, frontend, parts, &base_mean, passing);
        let space = space.context("a base mean as long as the parts together")?;
        Ok(Self {
            space: space.into_owned(),
            trunk,
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
        trunk.settle(&batches(&trunk, &frontend, &patches)?, &[])?;
        Self::new(Arc::new(trunk), frontend, &patches)
    }
}

/// The random-weights control of a model whose trunk has the shape `spec`, for each thread: weights
/// drawn from `seed`, norms and base mean measured on `reference` clips at the frontend's sample rate.
/// Without a shape there is none.
///
/// # Errors
/// See [`TrunkBackbone::random`].
pub fn random_weights(
    spec: Option<&BackboneSpec>,
    frontend: &FrontendConfig,
    reference: &[Vec<f32>],
    seed: u64,
) -> anyhow::Result<RandomWeights> {
    let Some(spec) = spec else {
        return Ok(RandomWeights::None(
            "the model does not say what shape its trunk has (a model exported by `mtslvr export` does)",
        ));
    };
    let trunk = TrunkBackbone::random(spec, *frontend, reference, seed)?;
    let threads = vec![trunk; rayon::current_num_threads()];
    Ok(RandomWeights::Network(Box::new(threads)))
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
    type Error = TrunkError;

    fn space(&self) -> EmbeddingSpace<'_> {
        self.space.as_space()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), TrunkError> {
        let space = self.space.as_space();
        EmbedError::check(&space, patch, embedding)?;
        let (frames, mels) = (
            usize::from(space.frontend().frames),
            usize::from(space.frontend().mels),
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
    use crate::net::{AdapterKind, AdapterSpec, StageSpec, StemSpec};
    use mtslvr_evaluate::embed_clips;

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
            form: mtslvr_runtime::frontend::FrontendForm::PLAIN,
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
        assert_eq!(first.dim(), 16);
        let space = first.space.as_space();
        for d in 0..first.dim() {
            let mean = (0..first.len()).map(|c| first.row(c)[d]).sum::<f32>() / first.len() as f32;
            assert!((mean - space.base_mean()[d]).abs() < 1e-3 + 1e-3 * mean.abs());
        }
    }
}
