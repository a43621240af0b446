//! Batch norm as work, with the residual sum and the rectifier behind it.

use super::{MOST_PARTS, Slopes, Tape, Value, Work, blocks};
use crate::device::backend::{Address, Argument, Backend, Element, THREADS};
use crate::net::{NORM_EPS, Norm};
use candle_core::{Result, bail};

/// A norm of rows of `channels` values each, and the memory that its passes share.
#[derive(Clone, Copy)]
struct Normalised {
    x: Value,
    y: Value,
    gain: Value,
    bias: Value,
    residual: Option<Value>,
    relu: bool,
    channels: usize,
    rows: usize,
    element: Element,
    /// Blocks that leave partial sums in `partial`.
    parts: usize,
    partial: Address,
    /// Counts the blocks that have come to their end.
    arrived: Address,
    /// Mean and one over the deviation, `[2, channels]`.
    statistics: Address,
    /// The sums of the backward pass, `[2, channels]`.
    results: Address,
}

impl Normalised {
    fn eights(&self) -> usize {
        self.x.count / 8
    }

    fn forward(&self, running: Address, momentum: f32) -> Vec<Work> {
        let residual = self.residual.map_or(Address::NONE, |residual| residual.at);
        let statistics = [
            self.x.at.into(),
            self.rows.into(),
            self.channels.into(),
            self.partial.into(),
            self.arrived.into(),
            self.statistics.into(),
            running.into(),
            momentum.into(),
            NORM_EPS.into(),
        ];
        let apply = [
            self.x.at.into(),
            residual.into(),
            self.y.at.into(),
            self.statistics.into(),
            self.gain.at.into(),
            self.bias.at.into(),
            self.eights().into(),
            self.channels.into(),
            self.relu.into(),
        ];
        vec![
            Work::launch("norm_statistics", self.element, self.parts, statistics),
            Work::launch("norm_apply", self.element, blocks(self.eights()), apply),
        ]
    }

    fn backward(&self, slopes: &mut Slopes, backend: &dyn Backend) -> anyhow::Result<Vec<Work>> {
        let Some(dy) = slopes.of(&self.y) else {
            return Ok(Vec::new());
        };
        // What both launches read: the gradient, and what they find past the rectifier.
        let [dy, y, x, statistics] =
            [dy, self.y.at, self.x.at, self.statistics].map(Argument::from);
        let given = (
            slopes.give(&self.gain, backend)?,
            slopes.give(&self.bias, backend)?,
        );
        let (Some((of_gain, add)), Some((of_bias, _))) = given else {
            unreachable!("gain and bias are parameters");
        };
        let sums = [
            dy,
            y,
            x,
            statistics,
            self.rows.into(),
            self.channels.into(),
            self.relu.into(),
            self.partial.into(),
            self.arrived.into(),
            self.results.into(),
            of_gain.into(),
            of_bias.into(),
            add.into(),
        ];
        let mut work = vec![Work::launch(
            "norm_gradient_sums",
            self.element,
            self.parts,
            sums,
        )];
        if let Some((dx, add_dx)) = slopes.give(&self.x, backend)? {
            let to_residual = match &self.residual {
                Some(residual) => slopes.give(residual, backend)?,
                None => None,
            };
            let (of_residual, add_residual) = to_residual.unwrap_or((Address::NONE, false));
            let apply = [
                dy,
                y,
                x,
                statistics,
                self.gain.at.into(),
                self.results.into(),
                self.rows.into(),
                self.channels.into(),
                self.relu.into(),
                dx.into(),
                add_dx.into(),
                of_residual.into(),
                add_residual.into(),
            ];
            let columns = blocks(self.eights());
            work.push(Work::launch(
                "norm_gradient_apply",
                self.element,
                columns,
                apply,
            ));
        }
        Ok(work)
    }
}

impl Tape<'_> {
    /// Normalises rows of `channels` values each of `x` into `y`.
    pub(super) fn normalise(
        &self,
        (x, y): (Value, Value),
        channels: usize,
        norm: &Norm,
        residual: Option<Value>,
        relu: bool,
    ) -> Result<()> {
        let [gain, bias] = norm.affine();
        if gain.elem_count() != channels {
            bail!("a norm of {} channels for {channels}", gain.elem_count());
        }
        let rows = x.count / channels;
        let lanes = THREADS / (channels / 8);
        let parts = (rows / (lanes * 8)).clamp(1, MOST_PARTS);
        let normalised = Normalised {
            x,
            y,
            gain: self.parameter(gain)?.1,
            bias: self.parameter(bias)?.1,
            residual,
            relu,
            channels,
            rows,
            element: x.element,
            parts,
            partial: self.floats(parts * 2 * channels)?,
            arrived: self.memory(4)?,
            statistics: self.floats(2 * channels)?,
            results: self.floats(2 * channels)?,
        };
        let forward = normalised.forward(self.running(norm)?, self.momentum);
        self.push(forward, move |slopes, backend| {
            normalised.backward(slopes, backend)
        });
        Ok(())
    }
}
