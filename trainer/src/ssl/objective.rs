//! The joint objective: the network with both heads, and the loss of one batch.

use super::{augmentation_prediction, label_accuracy, nt_xent};
use crate::net::{AugmentationHead, BackboneSpec, Mode, Parameters, Projector, Trunk};
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// The `[objective]` table of a run's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// τ of NT-Xent.
    pub temperature: f64,
    /// Hidden units of the projector.
    pub projector_hidden: usize,
    /// Values the contrastive loss compares.
    pub projector_out: usize,
    /// Hidden layers of the augmentation predictor.
    pub predictor_hidden: Vec<usize>,
    /// Weight of the predictive loss in the sum.
    pub pred_weight: f64,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            temperature: 0.1,
            projector_hidden: 256,
            projector_out: 128,
            predictor_hidden: vec![128, 64],
            pred_weight: 1.0,
        }
    }
}

/// The backbone and the two heads it is trained with.
#[derive(Debug)]
pub struct Objective {
    config: ObjectiveConfig,
    /// The part that is exported.
    pub trunk: Trunk,
    projector: Projector,
    predictor: AugmentationHead,
}

/// The loss of one batch, and its parts for the log.
#[derive(Debug)]
pub struct Loss {
    /// `contrastive + pred_weight * predictive`: what is differentiated.
    pub total: Tensor,
    /// NT-Xent of the invariant path.
    pub contrastive: f32,
    /// Cross entropy of the equivariant path's augmentation prediction.
    pub predictive: f32,
    /// Share of operator labels predicted right.
    pub label_accuracy: f32,
}

impl Objective {
    /// Fresh weights, registered in `p`.
    pub fn new(
        config: &ObjectiveConfig,
        spec: &BackboneSpec,
        operators: usize,
        p: &mut Parameters,
    ) -> Result<Self> {
        let dim = spec.path_dim();
        Ok(Self {
            config: config.clone(),
            trunk: Trunk::new(spec, p)?,
            projector: Projector::new(p, dim, config.projector_hidden, config.projector_out)?,
            predictor: AugmentationHead::new(p, dim, &config.predictor_hidden, operators)?,
        })
    }

    /// The joint loss of a batch of pairs: `patches` is `[2N, frames, mels]`, first views then
    /// second ones; `labels` is `[2N, operators]`, each view's own.
    ///
    /// Shared weights get the sum of both gradients; a path's norms, adapters and head only its own.
    pub fn loss(&self, patches: &Tensor, labels: &Tensor, mode: Mode) -> Result<Loss> {
        let [invariant, equivariant] = self.trunk.forward(patches, mode)?;
        let projections = self.projector.forward(&invariant, mode)?;
        let contrastive = nt_xent(&projections, self.config.temperature)?;
        let logits = self.predictor.forward(&equivariant, mode)?;
        let predictive = augmentation_prediction(&logits, labels)?;
        Ok(Loss {
            contrastive: contrastive.to_scalar()?,
            predictive: predictive.to_scalar()?,
            label_accuracy: label_accuracy(&logits, labels)?,
            total: (contrastive + (predictive * self.config.pred_weight)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::OPERATORS;
    use crate::net::ops::finite_difference::random;
    use crate::train::{PRESETS, RunConfig};
    use candle_core::Device;

    /// candle's own LayerNorm and softmax give no gradient without a word; nothing here may.
    #[test]
    fn every_parameter_of_every_preset_gets_a_gradient() {
        for (name, _) in PRESETS {
            let config = RunConfig::preset(name).unwrap();
            let mut p = Parameters::new(1, &Device::Cpu);
            let objective =
                Objective::new(&config.objective, &config.backbone, OPERATORS, &mut p).unwrap();
            // Patches smaller than the preset's own keep the test quick.
            let patches = random(1, &[4, 33, 31]);
            let labels = random(2, &[4, OPERATORS])
                .ge(0.0)
                .unwrap()
                .to_dtype(candle_core::DType::F32)
                .unwrap();
            let loss = objective
                .loss(&patches, &labels, Mode::Train { momentum: 0.1 })
                .unwrap();
            let gradients = loss.total.backward().unwrap();
            for (parameter, variable) in p.variables() {
                let gradient = gradients.get(variable.as_tensor());
                let gradient =
                    gradient.unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
                let length: f32 = gradient
                    .sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar()
                    .unwrap();
                assert!(
                    length.is_finite() && length > 0.0,
                    "{name}: gradient of {parameter} is {length}"
                );
            }
        }
    }

    #[test]
    fn adapters_start_as_the_shared_network_and_stay_apart() {
        let config = RunConfig::preset("edge-s").unwrap();
        let mut p = Parameters::new(5, &Device::Cpu);
        let trunk = Trunk::new(&config.backbone, &mut p).unwrap();
        let patches = random(3, &[2, 33, 31]);
        let rows = |path: usize| {
            trunk.forward(&patches, Mode::Evaluate).unwrap()[path]
                .to_vec2::<f32>()
                .unwrap()
        };
        assert_eq!(rows(0), rows(1));
        let (name, adapter) = p
            .variables()
            .find(|(name, _)| name.contains("adapter.1"))
            .unwrap();
        adapter.set(&random(4, adapter.dims())).unwrap();
        let before = rows(0);
        assert_ne!(rows(1), before, "{name} changes the predictive path");
    }
}
