//! The layers the trunk and the heads are made of.

use super::ops::{BatchStatistics, Conv2d, Residual, batch_norm, conv2d};
use super::parameters::{Parameters, RunningStatistics};
use super::spec::PATHS;
use candle_core::{Result, Tensor, Var};

/// Added to the variance in every batch norm; also written into the ONNX nodes.
pub const NORM_EPS: f32 = 1e-5;

/// How batch norm gets its statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// From the batch; the running statistics move towards them by this share.
    Train {
        /// Share of the batch's statistics in the new running ones, 0 to 1.
        momentum: f32,
    },
    /// From the running statistics.
    Evaluate,
}

/// Batch norm over the last axis.
#[derive(Debug)]
pub struct Norm {
    gain: Var,
    bias: Var,
    running: RunningStatistics,
}

impl Norm {
    /// A norm that starts as plain standardisation.
    pub fn new(p: &mut Parameters, name: &str, channels: usize) -> Result<Self> {
        Ok(Self {
            gain: p.constant(&format!("{name}.weight"), &[channels], 1.0)?,
            bias: p.constant(&format!("{name}.bias"), &[channels], 0.0)?,
            running: p.statistics(name, channels),
        })
    }

    /// Normalises, adds `residual` and rectifies if asked.
    pub fn forward(
        &self,
        x: &Tensor,
        residual: Residual,
        relu: bool,
        mode: Mode,
    ) -> Result<Tensor> {
        let mut running = self.running.lock().expect("no panic while locked");
        let fixed = (mode == Mode::Evaluate).then_some(&*running);
        let (y, used) = batch_norm(x, &self.gain, &self.bias, residual, relu, NORM_EPS, fixed)?;
        if let Mode::Train { momentum } = mode {
            let blend = |running: &mut [f32], batch: &[f32]| {
                for (running, batch) in running.iter_mut().zip(batch) {
                    *running += momentum * (batch - *running);
                }
            };
            let BatchStatistics { mean, variance } = &mut *running;
            blend(mean, &used.mean);
            blend(variance, &used.variance);
        }
        Ok(y)
    }
}

/// A norm that both paths share, or one for each.
#[derive(Debug)]
pub enum PathNorm {
    /// `NAME.shared`
    Shared(Box<Norm>),
    /// `NAME.0` and `NAME.1`
    PerPath(Box<[Norm; PATHS]>),
}

impl PathNorm {
    /// Norms called `NAME.shared`, or `NAME.0` and `NAME.1`.
    pub fn new(p: &mut Parameters, name: &str, channels: usize, per_path: bool) -> Result<Self> {
        if !per_path {
            return Ok(Self::Shared(Box::new(Norm::new(
                p,
                &format!("{name}.shared"),
                channels,
            )?)));
        }
        let first = Norm::new(p, &format!("{name}.0"), channels)?;
        let second = Norm::new(p, &format!("{name}.1"), channels)?;
        Ok(Self::PerPath(Box::new([first, second])))
    }

    /// The norm of `path`.
    pub fn of(&self, path: usize) -> &Norm {
        match self {
            Self::Shared(norm) => norm,
            Self::PerPath(norms) => &norms[path],
        }
    }
}

/// A convolution shared by both paths, with an optional parallel 1x1 adapter for each:
/// `C(x) + W_t(x)`, the published system's parallel variant.
#[derive(Debug)]
pub struct AdaptedConv {
    weight: Var,
    adapters: Option<[Var; PATHS]>,
    geometry: Conv2d,
}

impl AdaptedConv {
    /// `NAME.weight`, normal with variance `2 / fan-out`, and, where `adapted`, adapters
    /// `NAME.adapter.T.weight` that start at zero: the adapted network begins as the shared one.
    pub fn new(
        p: &mut Parameters,
        name: &str,
        (channels_in, channels_out): (usize, usize),
        kernel: usize,
        stride: usize,
        adapted: bool,
    ) -> Result<Self> {
        let deviation = (2.0 / (kernel * kernel * channels_out) as f32).sqrt();
        let shape = [channels_out, kernel, kernel, channels_in];
        let weight = p.normal(&format!("{name}.weight"), &shape, deviation)?;
        let mut adapter = |path: usize| {
            let shape = [channels_out, 1, 1, channels_in];
            p.constant(&format!("{name}.adapter.{path}.weight"), &shape, 0.0)
        };
        let adapters = if adapted {
            Some([adapter(0)?, adapter(1)?])
        } else {
            None
        };
        Ok(Self {
            weight,
            adapters,
            geometry: Conv2d {
                stride,
                padding: kernel / 2,
            },
        })
    }

    /// `x` is `[batch, height, width, in]`.
    ///
    /// A parallel 1x1 convolution of the same stride reads just the pixel under the kernel's
    /// centre, so it is added to the centre tap and costs no pass over the activations of its own.
    pub fn forward(&self, x: &Tensor, path: usize) -> Result<Tensor> {
        let Some(adapters) = &self.adapters else {
            return conv2d(x, &self.weight, self.geometry);
        };
        let around = self.geometry.padding;
        let tap = adapters[path]
            .pad_with_zeros(1, around, around)?
            .pad_with_zeros(2, around, around)?;
        conv2d(x, &(self.weight.as_tensor() + tap)?, self.geometry)
    }
}

/// `x · weightᵀ`, with or without a bias, over rows.
#[derive(Debug)]
pub struct Linear {
    weight: Var,
    bias: Option<Var>,
}

impl Linear {
    /// `NAME.weight` (`[out, in]`), normal with variance `2 / in`, and `NAME.bias`, zero.
    pub fn new(
        p: &mut Parameters,
        name: &str,
        (rows_in, rows_out): (usize, usize),
    ) -> Result<Self> {
        let bias = Some(p.constant(&format!("{name}.bias"), &[rows_out], 0.0)?);
        Ok(Self {
            bias,
            ..Self::without_bias(p, name, (rows_in, rows_out))?
        })
    }

    /// For use before a batch norm, which would subtract a bias again.
    pub fn without_bias(
        p: &mut Parameters,
        name: &str,
        (rows_in, rows_out): (usize, usize),
    ) -> Result<Self> {
        let deviation = (2.0 / rows_in as f32).sqrt();
        let weight = p.normal(&format!("{name}.weight"), &[rows_out, rows_in], deviation)?;
        Ok(Self { weight, bias: None })
    }

    /// `x` is `[rows, in]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}
