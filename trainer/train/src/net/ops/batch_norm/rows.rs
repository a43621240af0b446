//! The loops of batch norm over the rows of a block.

use crate::net::ops::loops::Loop;
use std::mem::MaybeUninit;

/// Values per block of work. Fixed, so that sums are taken in the same order whatever the number
/// of threads.
const BLOCK_VALUES: usize = 16 * 1024;

/// Rows of a block of work.
pub(super) fn rows_per_block(channels: usize) -> usize {
    (BLOCK_VALUES / channels).max(1)
}

/// `y = max(x * scale + offset + residual, lowest)`
pub(super) struct NormaliseRows<'n> {
    pub(super) y: &'n mut [MaybeUninit<f32>],
    pub(super) x: &'n [f32],
    pub(super) residual: Option<&'n [f32]>,
    pub(super) scale: &'n [f32],
    pub(super) offset: &'n [f32],
    pub(super) lowest: f32,
}

impl Loop for NormaliseRows<'_> {
    #[inline(always)]
    fn run(self) {
        let (scale, offset, lowest) = (self.scale, self.offset, self.lowest);
        let channels = scale.len();
        let rows = self.y.chunks_exact_mut(channels);
        let rows = rows.zip(self.x.chunks_exact(channels));
        match self.residual {
            None => {
                for (y, x) in rows {
                    for (((y, x), s), o) in y.iter_mut().zip(x).zip(scale).zip(offset) {
                        y.write((x * s + o).max(lowest));
                    }
                }
            }
            Some(residual) => {
                for ((y, x), r) in rows.zip(residual.chunks_exact(channels)) {
                    let values = y.iter_mut().zip(x).zip(r);
                    for ((((y, x), r), s), o) in values.zip(scale).zip(offset) {
                        y.write((x * s + o + r).max(lowest));
                    }
                }
            }
        }
    }
}

/// The gradient past a rectifier: that of its output where this was not cut off.
pub(super) struct Past<'p> {
    pub(super) dy: &'p [f32],
    pub(super) y: &'p [f32],
    pub(super) lowest: f32,
}

impl Past<'_> {
    #[inline(always)]
    fn at(dy: f32, y: f32, lowest: f32) -> f32 {
        if y > lowest { dy } else { 0.0 }
    }
}

/// Adds up `dz` and `dz * (x - mean)` of each channel, and keeps `dz` if asked.
pub(super) struct SumRows<'s> {
    pub(super) past: Past<'s>,
    pub(super) x: &'s [f32],
    pub(super) mean: &'s [f32],
    pub(super) sum: &'s mut [f32],
    pub(super) product: &'s mut [f32],
    pub(super) kept: Option<&'s mut [MaybeUninit<f32>]>,
}

impl Loop for SumRows<'_> {
    #[inline(always)]
    fn run(self) {
        let Past { dy, y, lowest } = self.past;
        let (mean, sum, product) = (self.mean, self.sum, self.product);
        let channels = mean.len();
        let rows = dy.chunks_exact(channels).zip(y.chunks_exact(channels));
        let rows = rows.zip(self.x.chunks_exact(channels));
        match self.kept {
            None => {
                for ((dy, y), x) in rows {
                    let sums = sum.iter_mut().zip(product.iter_mut());
                    for ((((dy, y), x), mean), (sum, product)) in
                        dy.iter().zip(y).zip(x).zip(mean).zip(sums)
                    {
                        let dz = Past::at(*dy, *y, lowest);
                        *sum += dz;
                        *product += dz * (x - mean);
                    }
                }
            }
            Some(kept) => {
                for (((dy, y), x), kept) in rows.zip(kept.chunks_exact_mut(channels)) {
                    let sums = sum.iter_mut().zip(product.iter_mut()).zip(kept);
                    for ((((dy, y), x), mean), ((sum, product), kept)) in
                        dy.iter().zip(y).zip(x).zip(mean).zip(sums)
                    {
                        let dz = Past::at(*dy, *y, lowest);
                        kept.write(dz);
                        *sum += dz;
                        *product += dz * (x - mean);
                    }
                }
            }
        }
    }
}

/// `dx = scale * (dz - mean_dz - (x - mean) * mean_dz_h)`, where `dz` was kept or is found again.
pub(super) struct SlopeRows<'s> {
    pub(super) dx: &'s mut [MaybeUninit<f32>],
    pub(super) x: &'s [f32],
    pub(super) dz: std::result::Result<&'s [f32], Past<'s>>,
    /// Gain over deviation.
    pub(super) scale: &'s [f32],
    pub(super) mean: &'s [f32],
    pub(super) mean_dz: &'s [f32],
    /// Over the deviation once more.
    pub(super) mean_dz_h: &'s [f32],
}

impl Loop for SlopeRows<'_> {
    #[inline(always)]
    fn run(self) {
        let channels = self.scale.len();
        let constants = || {
            let means = self.mean_dz.iter().zip(self.mean_dz_h);
            self.scale.iter().zip(self.mean).zip(means)
        };
        let rows = self.dx.chunks_exact_mut(channels);
        let rows = rows.zip(self.x.chunks_exact(channels));
        match self.dz {
            Ok(dz) => {
                for ((dx, x), dz) in rows.zip(dz.chunks_exact(channels)) {
                    for (((dx, x), dz), ((scale, mean), (mean_dz, mean_dz_h))) in
                        dx.iter_mut().zip(x).zip(dz).zip(constants())
                    {
                        dx.write(scale * (dz - mean_dz - (x - mean) * mean_dz_h));
                    }
                }
            }
            Err(Past { dy, y, lowest }) => {
                let past = dy.chunks_exact(channels).zip(y.chunks_exact(channels));
                for ((dx, x), (dy, y)) in rows.zip(past) {
                    for (((dx, x), (dy, y)), ((scale, mean), (mean_dz, mean_dz_h))) in
                        dx.iter_mut().zip(x).zip(dy.iter().zip(y)).zip(constants())
                    {
                        let dz = Past::at(*dy, *y, lowest);
                        dx.write(scale * (dz - mean_dz - (x - mean) * mean_dz_h));
                    }
                }
            }
        }
    }
}
