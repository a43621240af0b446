//! What the objectives put on a path's features during training; none of it is exported.

use super::layers::{Linear, Mode, Norm};
use super::ops::Residual;
use super::parameters::Parameters;
use candle_core::{Result, Tensor};

/// SimCLR's projector: `Linear(BN(relu(Linear(x))))`, as in Chen et al. 2020.
#[derive(Debug)]
pub struct Projector {
    hidden: Linear,
    norm: Norm,
    out: Linear,
}

impl Projector {
    /// From features of length `dim` through `hidden` units to `out` values.
    pub fn new(p: &mut Parameters, dim: usize, hidden: usize, out: usize) -> Result<Self> {
        Ok(Self {
            hidden: Linear::without_bias(p, "projector.hidden", (dim, hidden))?,
            norm: Norm::new(p, "projector.norm", hidden)?,
            out: Linear::new(p, "projector.out", (hidden, out))?,
        })
    }

    /// `features` is `[batch, dim]`.
    pub fn forward(&self, features: &Tensor, mode: Mode) -> Result<Tensor> {
        let hidden = self.hidden.forward(features)?;
        self.out
            .forward(&self.norm.forward(&hidden, Residual::None, true, mode)?)
    }
}

/// The augmentation predictor: three layers with batch norm, one logit per operator.
#[derive(Debug)]
pub struct AugmentationHead {
    hidden: Vec<(Linear, Norm)>,
    out: Linear,
}

impl AugmentationHead {
    /// From features of length `dim` through `widths` to `operators` logits.
    pub fn new(p: &mut Parameters, dim: usize, widths: &[usize], operators: usize) -> Result<Self> {
        let (mut hidden, mut from) = (Vec::new(), dim);
        for (i, &width) in widths.iter().enumerate() {
            let linear = Linear::without_bias(p, &format!("augmentation.{i}"), (from, width))?;
            hidden.push((
                linear,
                Norm::new(p, &format!("augmentation.norm{i}"), width)?,
            ));
            from = width;
        }
        Ok(Self {
            hidden,
            out: Linear::new(p, "augmentation.out", (from, operators))?,
        })
    }

    /// `features` is `[batch, dim]`; logits are `[batch, operators]`.
    pub fn forward(&self, features: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = features.clone();
        for (linear, norm) in &self.hidden {
            x = norm.forward(&linear.forward(&x)?, Residual::None, true, mode)?;
        }
        self.out.forward(&x)
    }
}
