//! The layers the trunk and the heads are made of.

use super::operators::Operators;
use super::ops::{Activation, BatchStatistics, Conv2d, Residual, batch_norm};
use super::parameters::{Parameters, RunningStatistics};
use super::spec::{AdapterKind, PATHS};
use candle_core::{Result, Var};

/// Added to the variance in every batch norm; also written into the ONNX nodes.
pub const NORM_EPS: f32 = 1e-5;

/// Source of a batch norm's statistics.
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
    /// Makes a norm that starts as plain standardisation.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn new(p: &mut Parameters, name: &str, channels: usize) -> Result<Self> {
        Ok(Self {
            gain: p.constant(&format!("{name}.weight"), &[channels], 1.0)?,
            bias: p.constant(&format!("{name}.bias"), &[channels], 0.0)?,
            running: p.statistics(name, channels),
        })
    }

    /// Returns gain and bias, `[channels]` each.
    pub(crate) fn affine(&self) -> [&Var; 2] {
        [&self.gain, &self.bias]
    }

    /// Returns the running statistics.
    pub(crate) fn running(&self) -> &RunningStatistics {
        &self.running
    }

    /// Normalises `x`, adds `residual` and rectifies if asked.
    ///
    /// # Errors
    /// If `x` has another number of channels, or the residual another shape.
    pub fn forward(
        &self,
        x: &Activation,
        residual: Residual,
        relu: bool,
        mode: Mode,
    ) -> Result<Activation> {
        let mut running = self.running.lock().expect("no panic while locked");
        let fixed = (mode == Mode::Evaluate).then_some(&*running);
        let (y, used) = batch_norm(x, &self.gain, &self.bias, residual, relu, NORM_EPS, fixed)?;
        if let Mode::Train { momentum } = mode {
            let blend = |running: &mut [f32], batch: &[f32]| {
                for (running, batch) in running.iter_mut().zip(batch) {
                    *running += momentum * (batch - *running);
                }
            };
            // A batch whose loss is not finite is left out of training; statistics that had taken
            // it in would never be finite again.
            if used.is_finite() {
                let BatchStatistics { mean, variance } = &mut *running;
                blend(mean, &used.mean);
                blend(variance, &used.variance);
            }
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
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
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

    /// Whether each path has its own.
    pub fn is_per_path(&self) -> bool {
        matches!(self, Self::PerPath(_))
    }

    /// The norm of `path`.
    pub fn of(&self, path: usize) -> &Norm {
        match self {
            Self::Shared(norm) => norm,
            Self::PerPath(norms) => &norms[path],
        }
    }
}

/// Kernels that both paths share, or one set for each.
#[derive(Debug)]
enum Kernels {
    /// `NAME.weight`
    Shared(Var),
    /// `NAME.0.weight` and `NAME.1.weight`
    PerPath([Var; PATHS]),
}

/// Convolutions that each path adds to a shared one.
#[derive(Debug)]
enum Adapters {
    None,
    Parallel([Var; PATHS]),
    Series(Box<[SeriesAdapter; PATHS]>),
}

/// `z + W BN(z)`
#[derive(Debug)]
struct SeriesAdapter {
    norm: Norm,
    weight: Var,
}

/// A convolution with what each path has of its own in it, up to the norm that follows: see
/// [`AdapterKind`].
#[derive(Debug)]
pub struct AdaptedConv {
    kernels: Kernels,
    adapters: Adapters,
    geometry: Conv2d,
}

/// Share of a convolution's own deviation that a series adapter begins with: near the shared
/// network, but not at zero, where the norm inside it would get no gradient.
const SERIES_START: f32 = 0.1;

impl AdaptedConv {
    /// `NAME.weight` (or `NAME.T.weight`), normal with variance `2 / fan-out`; adapters
    /// `NAME.adapter.T.weight`, with the series variant's norm `NAME.adapter.T.norm`. Parallel
    /// adapters start at zero: the adapted network begins as the shared one.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn new(
        p: &mut Parameters,
        name: &str,
        (channels_in, channels_out): (usize, usize),
        kernel: usize,
        stride: usize,
        kind: AdapterKind,
    ) -> Result<Self> {
        let deviation = |kernel: usize| (2.0 / (kernel * kernel * channels_out) as f32).sqrt();
        let mut kernels = |name: String| {
            let shape = [channels_out, kernel, kernel, channels_in];
            p.normal(&format!("{name}.weight"), &shape, deviation(kernel))
        };
        let kernels = match kind {
            AdapterKind::Separate => {
                Kernels::PerPath([kernels(format!("{name}.0"))?, kernels(format!("{name}.1"))?])
            }
            _ => Kernels::Shared(kernels(name.to_owned())?),
        };
        let adapters = match kind {
            AdapterKind::Parallel => {
                let mut adapter = |path: usize| {
                    let shape = [channels_out, 1, 1, channels_in];
                    p.constant(&format!("{name}.adapter.{path}.weight"), &shape, 0.0)
                };
                Adapters::Parallel([adapter(0)?, adapter(1)?])
            }
            AdapterKind::Series => {
                let mut adapter = |path: usize| -> Result<SeriesAdapter> {
                    let name = format!("{name}.adapter.{path}");
                    let shape = [channels_out, 1, 1, channels_out];
                    let deviation = SERIES_START * deviation(1);
                    Ok(SeriesAdapter {
                        norm: Norm::new(p, &format!("{name}.norm"), channels_out)?,
                        weight: p.normal(&format!("{name}.weight"), &shape, deviation)?,
                    })
                };
                Adapters::Series(Box::new([adapter(0)?, adapter(1)?]))
            }
            _ => Adapters::None,
        };
        Ok(Self {
            kernels,
            adapters,
            geometry: Conv2d {
                stride,
                padding: kernel / 2,
            },
        })
    }

    /// Whether the paths' results differ on the same input.
    pub fn is_per_path(&self) -> bool {
        !matches!(
            (&self.kernels, &self.adapters),
            (Kernels::Shared(_), Adapters::None)
        )
    }

    /// Returns the convolution of `x`, `[batch, height, width, in]`, as `path` has it.
    ///
    /// # Errors
    /// If `x` has another number of channels.
    pub fn forward<O: Operators>(&self, o: &O, x: &O::Map, path: usize) -> Result<O::Map> {
        let kernels = match &self.kernels {
            Kernels::Shared(kernels) => kernels,
            Kernels::PerPath(kernels) => &kernels[path],
        };
        let adapter = match &self.adapters {
            Adapters::Parallel(adapters) => Some(&adapters[path]),
            Adapters::None | Adapters::Series(_) => None,
        };
        let z = o.conv2d(x, &o.kernels(kernels, adapter)?, self.geometry)?;
        let Adapters::Series(adapters) = &self.adapters else {
            return Ok(z);
        };
        let SeriesAdapter { norm, weight } = &adapters[path];
        let normed = o.norm(&z, norm, None, false)?;
        let point = Conv2d {
            stride: 1,
            padding: 0,
        };
        o.add(&z, &o.conv2d(&normed, &o.kernels(weight, None)?, point)?)
    }
}

/// `x · weightᵀ`, with or without a bias, over rows.
#[derive(Debug)]
pub struct Linear {
    weight: Var,
    bias: Option<Var>,
}

impl Linear {
    /// Makes the layer: `NAME.weight` (`[out, in]`), normal with variance `2 / in`, and `NAME.bias`, zero.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
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

    /// Makes a layer without a bias, for use before a batch norm, which would subtract the bias again.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn without_bias(
        p: &mut Parameters,
        name: &str,
        (rows_in, rows_out): (usize, usize),
    ) -> Result<Self> {
        let deviation = (2.0 / rows_in as f32).sqrt();
        let weight = p.normal(&format!("{name}.weight"), &[rows_out, rows_in], deviation)?;
        Ok(Self { weight, bias: None })
    }

    /// Returns `[rows, out]` of `x`, `[rows, in]`.
    ///
    /// # Errors
    /// If `x` has another number of columns.
    pub fn forward<O: Operators>(&self, o: &O, x: &O::Rows) -> Result<O::Rows> {
        o.linear(x, &self.weight, self.bias.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn statistics_do_not_take_in_what_is_not_finite() {
        let mut p = Parameters::new(1, &Device::Cpu);
        let norm = Norm::new(&mut p, "norm", 2).unwrap();
        let train = Mode::Train { momentum: 0.5 };
        let after = |rows: [[f32; 2]; 2]| {
            let x = Tensor::new(&rows, &Device::Cpu).unwrap();
            let x = Activation::new(&x).unwrap();
            norm.forward(&x, Residual::None, false, train).unwrap();
            p.to_weights().unwrap()["norm.mean"].1.clone()
        };
        assert_eq!(after([[1.0, 2.0], [3.0, 4.0]]), [1.0, 1.5]);
        assert_eq!(after([[f32::NAN, 2.0], [3.0, f32::INFINITY]]), [1.0, 1.5]);
    }
}
