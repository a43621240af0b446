//! The convolution of one channel as work.

use super::{Kernels, MOST_BLOCKS, Map, Tape, Work, blocks};
use crate::device::backend::{Address, Argument};
use crate::net::ops::Geometry;
use candle_core::{Result, bail};

/// Most weights, values of an output row and of the input rows, as `kernels.cu` has them.
const MOST: [usize; 3] = [2048, 4096, 2048];

impl Tape<'_> {
    /// The first convolution, of one channel.
    pub(super) fn stem(&self, x: &Map, kernels: &Kernels, g: &Geometry) -> Result<Map> {
        let weights = g.out_channels * g.patch();
        let sizes = [
            weights,
            g.out_width * g.out_channels,
            g.kh * (g.width + 2 * g.padding),
        ];
        if g.kh != g.kw || sizes.iter().zip(MOST).any(|(size, most)| *size > most) {
            bail!(
                "a first convolution of {} channels over {} mels is too wide for a GPU's step: {sizes:?} values, at most {MOST:?}",
                g.out_channels,
                g.width
            );
        }
        let element = self.backend.element();
        let y = self.make_map([g.batch, g.out_height, g.out_width, g.out_channels])?;
        let shape: [Argument; 9] = [
            g.batch.into(),
            g.height.into(),
            g.width.into(),
            g.kh.into(),
            g.stride.into(),
            g.padding.into(),
            g.out_height.into(),
            g.out_width.into(),
            g.out_channels.into(),
        ];
        let launch = move |kernel, columns, operands: [Address; 3]| {
            let operands = operands.map(Argument::from);
            Work::launch(kernel, element, columns, operands.into_iter().chain(shape))
        };
        let (x, kernels, of_y) = (x.value, kernels.value, y.value);
        let eights = blocks(of_y.count / 8);
        let forward = launch("stem_forward", eights, [x.at, kernels.at, of_y.at]);
        let parts = (g.batch * g.out_height).clamp(1, MOST_BLOCKS);
        let partial = self.floats(parts * weights)?;
        self.push(vec![forward], move |slopes, backend| {
            let Some(dy) = slopes.of(&of_y) else {
                return Ok(Vec::new());
            };
            match slopes.give(&kernels, backend)? {
                Some((to, false)) => Ok(vec![
                    launch("stem_gradient", parts, [x.at, dy, partial]),
                    Work::launch(
                        "add_partial",
                        element,
                        weights.div_ceil(32),
                        [
                            partial.into(),
                            parts.into(),
                            weights.into(),
                            to.into(),
                            false.into(),
                        ],
                    ),
                ]),
                _ => anyhow::bail!("the first convolution is used twice"),
            }
        });
        Ok(y)
    }
}
