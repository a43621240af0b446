//! The operators that the network is made of, apart from what computes them: the processor here, a GPU
//! in [`crate::device`].

use super::layers::{Mode, Norm};
use super::ops::{Activation, Conv2d, Residual, add_to_centre, band_means, conv2d};
use candle_core::{Result, Tensor, Var};

/// Computes, or writes down to be computed later, what layers ask for.
///
/// Maps are `[batch, height, width, channels]`, rows `[batch, values]`.
pub trait Operators {
    /// Activations of convolutions.
    type Map: Clone;
    /// Activations of linear layers.
    type Rows: Clone;
    /// Kernels of a convolution, `[out, side, side, in]`.
    type Kernels;

    /// Takes kernels, with `adapter` (`[out, 1, 1, in]`) added to their centres: a parallel 1x1
    /// convolution of the same stride reads just the pixel under a kernel's centre.
    ///
    /// # Errors
    /// If their shapes do not fit.
    fn kernels(&self, kernels: &Var, adapter: Option<&Var>) -> Result<Self::Kernels>;

    /// Convolves a map.
    ///
    /// # Errors
    /// If the map has other channels than the kernels read.
    fn conv2d(&self, x: &Self::Map, kernels: &Self::Kernels, op: Conv2d) -> Result<Self::Map>;

    /// Normalises a map, adds `residual`, and rectifies where asked.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn norm(
        &self,
        x: &Self::Map,
        norm: &Norm,
        residual: Option<&Self::Map>,
        relu: bool,
    ) -> Result<Self::Map>;

    /// Normalises rows, and rectifies where asked.
    ///
    /// # Errors
    /// If the rows have another length.
    fn norm_rows(&self, x: &Self::Rows, norm: &Norm, relu: bool) -> Result<Self::Rows>;

    /// Adds two maps.
    ///
    /// # Errors
    /// If the shapes differ.
    fn add(&self, a: &Self::Map, b: &Self::Map) -> Result<Self::Map>;

    /// Returns the means over the height and each of `bands` parts of the width: a channel's bands lie
    /// side by side.
    ///
    /// # Errors
    /// If the width is no multiple of the bands.
    fn band_means(&self, x: &Self::Map, bands: usize) -> Result<Self::Rows>;

    /// Multiplies rows by `weight` (`[out, in]`), and adds `bias` (`[out]`).
    ///
    /// # Errors
    /// If the rows have another length than the weight reads.
    fn linear(&self, x: &Self::Rows, weight: &Var, bias: Option<&Var>) -> Result<Self::Rows>;
}

/// Computes at once on the processor, with gradients by candle.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// Source of the norms' statistics.
    pub mode: Mode,
}

impl Operators for Processor {
    type Map = Activation;
    type Rows = Tensor;
    type Kernels = Tensor;

    fn kernels(&self, kernels: &Var, adapter: Option<&Var>) -> Result<Tensor> {
        match adapter {
            None => Ok(kernels.as_tensor().clone()),
            Some(adapter) => add_to_centre(kernels, adapter),
        }
    }

    fn conv2d(&self, x: &Activation, kernels: &Tensor, op: Conv2d) -> Result<Activation> {
        conv2d(x, kernels, op)
    }

    fn norm(
        &self,
        x: &Activation,
        norm: &Norm,
        residual: Option<&Activation>,
        relu: bool,
    ) -> Result<Activation> {
        let residual = residual.map_or(Residual::None, Residual::Add);
        norm.forward(x, residual, relu, self.mode)
    }

    fn norm_rows(&self, x: &Tensor, norm: &Norm, relu: bool) -> Result<Tensor> {
        self.norm(&Activation::new(x)?, norm, None, relu)?.tensor()
    }

    fn add(&self, a: &Activation, b: &Activation) -> Result<Activation> {
        a.add(b)
    }

    fn band_means(&self, x: &Activation, bands: usize) -> Result<Tensor> {
        band_means(x, bands)
    }

    fn linear(&self, x: &Tensor, weight: &Var, bias: Option<&Var>) -> Result<Tensor> {
        let y = x.matmul(&weight.t()?)?;
        match bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}
