//! The three passes of a convolution over plain values.

use super::geometry::Geometry;
use super::vectors::Vectors;
use super::{direct, products, unfolded};

/// Returns the output, `[batch, out height, out width, out]`.
pub(crate) fn forward(g: &Geometry, x: &[f32], w: &[f32]) -> Vec<f32> {
    match Vectors::for_channels(g.out_channels) {
        Some(vectors) => direct::forward(g, vectors, x, w),
        None => unfolded::forward(g, x, w),
    }
}

/// Returns the gradient of the input from that of the output.
pub(crate) fn input_gradient(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    match Vectors::for_channels(g.channels) {
        Some(vectors) => direct::input_gradient(g, vectors, w, dy),
        None => unfolded::input_gradient(g, w, dy),
    }
}

/// Returns the gradient of the kernels.
pub(crate) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match Vectors::for_channels(g.out_channels) {
        Some(vectors) => products::weight_gradient(g, vectors, x, dy),
        None => unfolded::weight_gradient(g, x, dy),
    }
}
