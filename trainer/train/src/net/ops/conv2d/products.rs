//! The gradient of a convolution's kernel: register tiles of kernel values, summed over positions.

use super::frame::Frame;
use super::geometry::Geometry;
use super::vectors::{MOST_VECTORS, Vectors, channel_tiles};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Products of padded inputs and output gradients, summed over the positions of some images:
/// `[kernel height, kernel width, channels, out channels]`.
struct Products<'p> {
    g: &'p Geometry,
    frame: Frame,
    padded: &'p [f32],
    dy: &'p [f32],
    /// The part of the output channels that is wanted, `(first, count)`.
    part: (usize, usize),
    out: &'p mut [f32],
}

impl Products<'_> {
    fn is_within(&self) -> bool {
        let (g, (first, count)) = (self.g, self.part);
        let images = self.dy.len() / (g.out_rows() * g.out_channels);
        self.dy.len() == images * g.out_rows() * g.out_channels
            && self.padded.len() >= images * self.frame.padded_image()
            && first + count <= g.out_channels
            && self.out.len() == g.patch() * count
            && (g.out_height - 1) * g.stride + g.kh <= self.frame.padded_height
            && (g.out_width - 1) * g.stride + g.kw <= self.frame.padded_width
    }

    /// `J` inputs of a kernel row from `k` on, times `V` vectors of output channels.
    #[inline(always)]
    #[allow(unsafe_code)]
    // Loops of constant length over registers.
    #[allow(clippy::needless_range_loop)]
    fn tile<S: Simd, const J: usize, const V: usize>(
        &mut self,
        simd: S,
        ky: usize,
        k: usize,
        vector: usize,
    ) {
        let (g, (first, count)) = (self.g, self.part);
        let row = self.frame.padded_width * g.channels;
        let (image, step) = (self.frame.padded_image(), g.stride * g.channels);
        let images = self.dy.len() / (g.out_rows() * g.out_channels);
        let mut sums = [[simd.splat_f32s(0.0); V]; J];
        // SAFETY: `is_within` has been asserted; `k + J` is within a kernel row and `vector + V` within
        // the part.
        unsafe {
            let mut dy = self.dy.as_ptr().add(first + vector * S::F32_LANES);
            for n in 0..images {
                for y in 0..g.out_height {
                    let mut x = self
                        .padded
                        .as_ptr()
                        .add(n * image + (y * g.stride + ky) * row + k);
                    for _ in 0..g.out_width {
                        let mut slopes = [simd.splat_f32s(0.0); V];
                        for v in 0..V {
                            slopes[v] = dy.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned();
                        }
                        for j in 0..J {
                            let input = simd.splat_f32s(*x.add(j));
                            for v in 0..V {
                                sums[j][v] = simd.mul_add_f32s(input, slopes[v], sums[j][v]);
                            }
                        }
                        x = x.wrapping_add(step);
                        dy = dy.wrapping_add(g.out_channels);
                    }
                }
            }
            let out = self
                .out
                .as_mut_ptr()
                .add((ky * g.kw * g.channels + k) * count + vector * S::F32_LANES);
            for j in 0..J {
                for v in 0..V {
                    out.add(j * count + v * S::F32_LANES)
                        .cast::<S::f32s>()
                        .write_unaligned(sums[j][v]);
                }
            }
        }
    }

    /// Tiles of `J` inputs, as long as there are so many, and then of what is left.
    #[inline(always)]
    fn tiles<S: Simd, const J: usize, const V: usize>(&mut self, simd: S, vector: usize) {
        let run = self.g.kw * self.g.channels;
        for ky in 0..self.g.kh {
            let mut k = 0;
            while run - k >= J {
                self.tile::<S, J, V>(simd, ky, k, vector);
                k += J;
            }
            while k < run {
                let here = match run - k {
                    1 => {
                        self.tile::<S, 1, V>(simd, ky, k, vector);
                        1
                    }
                    2 => {
                        self.tile::<S, 2, V>(simd, ky, k, vector);
                        2
                    }
                    3 => {
                        self.tile::<S, 3, V>(simd, ky, k, vector);
                        3
                    }
                    5 if J > 5 => {
                        self.tile::<S, 5, V>(simd, ky, k, vector);
                        5
                    }
                    _ => {
                        self.tile::<S, 4, V>(simd, ky, k, vector);
                        4
                    }
                };
                k += here;
            }
        }
    }
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (first, vectors) in channel_tiles(self.part.1 / S::F32_LANES) {
            if S::REGISTER_COUNT >= 32 {
                match vectors {
                    1 => self.tiles::<S, 24, 1>(simd, first),
                    2 => self.tiles::<S, 12, 2>(simd, first),
                    3 => self.tiles::<S, 8, 3>(simd, first),
                    _ => self.tiles::<S, 6, 4>(simd, first),
                }
            } else {
                match vectors {
                    1 => self.tiles::<S, 12, 1>(simd, first),
                    2 => self.tiles::<S, 6, 2>(simd, first),
                    3 => self.tiles::<S, 4, 3>(simd, first),
                    _ => self.tiles::<S, 3, 4>(simd, first),
                }
            }
        }
    }
}

/// The gradient of the kernel, `[out, kernel height, kernel width, in]`: partial sums of blocks of
/// images, added up in their order.
pub(super) fn weight_gradient(g: &Geometry, vectors: Vectors, x: &[f32], dy: &[f32]) -> Vec<f32> {
    /// Values of all partial sums together.
    const PARTIAL: usize = 1 << 20;
    /// Pieces of work that there should be.
    const PIECES: usize = 16;
    let frame = g.frame();
    let most = (PARTIAL / (g.patch() * g.out_channels)).max(1);
    let block = frame.block(g.batch).max(g.batch.div_ceil(most));
    let blocks = g.batch.div_ceil(block);
    // Where there are few blocks of images, each is split by output channels.
    let all = g.out_channels / vectors.lanes();
    let splits = PIECES
        .div_ceil(blocks.max(1))
        .min(all.div_ceil(MOST_VECTORS))
        .max(1);
    let part = |split: usize| {
        let edge = |split: usize| split * all / splits * vectors.lanes();
        (edge(split), edge(split + 1) - edge(split))
    };
    let pieces: Vec<Vec<f32>> = (0..blocks * splits)
        .into_par_iter()
        .map(|piece| {
            let (n, part) = (piece / splits * block, part(piece % splits));
            let count = block.min(g.batch - n);
            let images = &x[n * frame.image()..][..count * frame.image()];
            let out_image = g.out_rows() * g.out_channels;
            let mut out = vec![0.0; g.patch() * part.1];
            frame.with_padded(images, |padded| {
                let products = Products {
                    g,
                    frame,
                    padded,
                    dy: &dy[n * out_image..][..count * out_image],
                    part,
                    out: &mut out,
                };
                assert!(products.is_within());
                vectors.run(products);
            });
            out
        })
        .collect();
    let mut dw = vec![0f32; g.out_channels * g.patch()];
    let lanes = vectors.lanes();
    dw.par_chunks_mut(lanes * g.patch())
        .enumerate()
        .for_each(|(vector, dw)| {
            let split = (0..splits).rfind(|&split| part(split).0 <= vector * lanes);
            let split = split.expect("the first part begins at 0");
            let (first, count) = part(split);
            let mut sums = vec![0f32; lanes * g.patch()];
            for piece in pieces.iter().skip(split).step_by(splits) {
                let rows = piece[vector * lanes - first..].chunks(count);
                for (sums, row) in sums.chunks_exact_mut(lanes).zip(rows) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += value;
                    }
                }
            }
            for (o, dw) in dw.chunks_exact_mut(g.patch()).enumerate() {
                for (dw, sums) in dw.iter_mut().zip(sums.chunks_exact(lanes)) {
                    *dw = sums[o];
                }
            }
        });
    dw
}
