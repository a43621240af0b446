//! Mean and variance of every channel of a batch.

use super::rows::rows_per_block;
use crate::net::ops::loops::{Loop, vectorised};
use rayon::prelude::*;

/// Mean and (biased) variance of every channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Mean squared deviation of each channel.
    pub variance: Vec<f32>,
}

impl BatchStatistics {
    /// Whether every value is a number that can be computed with.
    pub fn is_finite(&self) -> bool {
        let mut values = self.mean.iter().chain(&self.variance);
        values.all(|value| value.is_finite())
    }
}

/// Mean and variance of each channel, merged block by block (Chan, Golub and LeVeque 1979).
pub(super) fn statistics(x: &[f32], channels: usize) -> BatchStatistics {
    let blocks: Vec<(f64, Vec<f32>, Vec<f32>)> = x
        .par_chunks(rows_per_block(channels) * channels)
        .map(|block| {
            let rows = (block.len() / channels) as f32;
            let (mut mean, mut squares) = (vec![0f32; channels], vec![0f32; channels]);
            vectorised(MeanAndSquares {
                block,
                rows,
                mean: &mut mean,
                squares: &mut squares,
            });
            (f64::from(rows), mean, squares)
        })
        .collect();
    let (mut count, mut mean, mut squares) = (0f64, vec![0f64; channels], vec![0f64; channels]);
    for (rows, block_mean, block_squares) in blocks {
        let total = count + rows;
        for c in 0..channels {
            let delta = f64::from(block_mean[c]) - mean[c];
            mean[c] += delta * rows / total;
            squares[c] += f64::from(block_squares[c]) + delta * delta * count * rows / total;
        }
        count = total;
    }
    BatchStatistics {
        mean: mean.iter().map(|&m| m as f32).collect(),
        variance: squares.iter().map(|&s| (s / count) as f32).collect(),
    }
}

/// Mean of each channel over `rows` rows, then the sum of squares around it.
struct MeanAndSquares<'m> {
    block: &'m [f32],
    rows: f32,
    mean: &'m mut [f32],
    squares: &'m mut [f32],
}

impl Loop for MeanAndSquares<'_> {
    #[inline(always)]
    fn run(self) {
        let (mean, squares) = (self.mean, self.squares);
        for row in self.block.chunks_exact(mean.len()) {
            for (sum, x) in mean.iter_mut().zip(row) {
                *sum += x;
            }
        }
        for sum in mean.iter_mut() {
            *sum /= self.rows;
        }
        for row in self.block.chunks_exact(mean.len()) {
            for ((square, x), mean) in squares.iter_mut().zip(row).zip(&*mean) {
                *square += (x - mean) * (x - mean);
            }
        }
    }
}
