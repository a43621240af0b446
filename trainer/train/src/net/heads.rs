//! Heads that the objectives put on a path's features during training; none of them is exported.

use super::layers::{Linear, Norm};
use super::operators::Operators;
use super::parameters::Parameters;
use candle_core::Result;

/// `BN(Linear(x))`, rectified or not. The linear layer has no bias: the norm would take it away.
#[derive(Debug)]
struct NormedLinear {
    linear: Linear,
    norm: Norm,
    relu: bool,
}

impl NormedLinear {
    /// `NAME` and `NORM` are what the layer and its norm are called.
    fn new(
        p: &mut Parameters,
        (name, norm): (&str, &str),
        sizes: (usize, usize),
        relu: bool,
    ) -> Result<Self> {
        Ok(Self {
            linear: Linear::without_bias(p, name, sizes)?,
            norm: Norm::new(p, norm, sizes.1)?,
            relu,
        })
    }

    fn forward<O: Operators>(&self, o: &O, x: &O::Rows) -> Result<O::Rows> {
        o.norm_rows(&self.linear.forward(o, x)?, &self.norm, self.relu)
    }
}

/// SimCLR's projector: `Linear(relu(BN(Linear(x))))`, as in Chen et al. 2020.
#[derive(Debug)]
pub struct Projector {
    hidden: NormedLinear,
    out: Linear,
}

impl Projector {
    /// Makes a projector from features of length `dim` through `hidden` units to `out` values; the names of
    /// its parameters begin with `NAME.`.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn new(
        p: &mut Parameters,
        name: &str,
        dim: usize,
        hidden: usize,
        out: usize,
    ) -> Result<Self> {
        let names = (format!("{name}.hidden"), format!("{name}.norm"));
        Ok(Self {
            hidden: NormedLinear::new(p, (&names.0, &names.1), (dim, hidden), true)?,
            out: Linear::new(p, &format!("{name}.out"), (hidden, out))?,
        })
    }

    /// Returns the projections, `[batch, out]`, of features `[batch, dim]`.
    ///
    /// # Errors
    /// If the features have another length.
    pub fn forward<O: Operators>(&self, o: &O, features: &O::Rows) -> Result<O::Rows> {
        self.out.forward(o, &self.hidden.forward(o, features)?)
    }
}

/// SimSiam's heads (Chen and He 2021, section 3): a projector of three layers, each with batch norm
/// and all but the last rectified, and a predictor with a bottleneck.
#[derive(Debug)]
pub struct SiameseHeads {
    projector: [NormedLinear; 3],
    bottleneck: NormedLinear,
    out: Linear,
}

impl SiameseHeads {
    /// Makes the heads from features of length `dim` through layers of `width` values and a bottleneck of
    /// `bottleneck`; the names of their parameters begin with `NAME.`.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn new(
        p: &mut Parameters,
        name: &str,
        dim: usize,
        width: usize,
        bottleneck: usize,
    ) -> Result<Self> {
        let mut layer = |layer: &str, sizes: (usize, usize), relu: bool| {
            let names = (format!("{name}.{layer}"), format!("{name}.{layer}.norm"));
            NormedLinear::new(p, (&names.0, &names.1), sizes, relu)
        };
        Ok(Self {
            projector: [
                layer("projector.0", (dim, width), true)?,
                layer("projector.1", (width, width), true)?,
                layer("projector.2", (width, width), false)?,
            ],
            bottleneck: layer("predictor.0", (width, bottleneck), true)?,
            out: Linear::new(p, &format!("{name}.predictor.out"), (bottleneck, width))?,
        })
    }

    /// Returns projections and predictions, `[batch, width]` each, of features `[batch, dim]`.
    ///
    /// # Errors
    /// If the features have another length.
    pub fn forward<O: Operators>(&self, o: &O, features: &O::Rows) -> Result<(O::Rows, O::Rows)> {
        let mut z = features.clone();
        for layer in &self.projector {
            z = layer.forward(o, &z)?;
        }
        let prediction = self.out.forward(o, &self.bottleneck.forward(o, &z)?)?;
        Ok((z, prediction))
    }
}

/// The augmentation predictor: hidden layers with batch norm, then one logit per operator and, where
/// parameters are regressed, one value per operator.
#[derive(Debug)]
pub struct AugmentationHead {
    hidden: Vec<NormedLinear>,
    out: Linear,
    parameters: Option<Linear>,
}

impl AugmentationHead {
    /// Makes the head from features of length `dim` through `widths` to `operators` logits; the names of its parameters begin with
    /// `NAME.`.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn new(
        p: &mut Parameters,
        name: &str,
        dim: usize,
        widths: &[usize],
        operators: usize,
        regress: bool,
    ) -> Result<Self> {
        let (mut hidden, mut from) = (Vec::new(), dim);
        for (i, &width) in widths.iter().enumerate() {
            let names = (format!("{name}.{i}"), format!("{name}.norm{i}"));
            hidden.push(NormedLinear::new(
                p,
                (&names.0, &names.1),
                (from, width),
                true,
            )?);
            from = width;
        }
        let mut out = |layer: &str| Linear::new(p, &format!("{name}.{layer}"), (from, operators));
        Ok(Self {
            hidden,
            out: out("out")?,
            parameters: regress.then(|| out("parameters")).transpose()?,
        })
    }

    /// Returns the logits and, if they are regressed, the parameters of features `[batch, dim]`: `[batch,
    /// operators]` each.
    ///
    /// # Errors
    /// If the features have another length.
    pub fn forward<O: Operators>(
        &self,
        o: &O,
        features: &O::Rows,
    ) -> Result<(O::Rows, Option<O::Rows>)> {
        let mut x = features.clone();
        for layer in &self.hidden {
            x = layer.forward(o, &x)?;
        }
        let parameters = self.parameters.as_ref();
        let parameters = parameters.map(|linear| linear.forward(o, &x)).transpose()?;
        Ok((self.out.forward(o, &x)?, parameters))
    }
}
