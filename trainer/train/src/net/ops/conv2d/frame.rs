//! Images with the zeros around them, so that no inner loop meets a border.

use super::geometry::Geometry;
use std::cell::RefCell;

/// Zeros around an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) padded_height: usize,
    pub(super) padded_width: usize,
}

impl Frame {
    pub(super) fn image(&self) -> usize {
        self.height * self.width * self.channels
    }

    pub(super) fn padded_image(&self) -> usize {
        self.padded_height * self.padded_width * self.channels
    }

    /// Images that are worked on together: some for each of many threads, and no more than a
    /// second-level cache holds.
    pub(super) fn block(&self, batch: usize) -> usize {
        const VALUES: usize = 32 * 1024;
        (VALUES / self.padded_image()).clamp(1, batch.div_ceil(16).max(1))
    }

    /// Calls `f` with the images and their frames.
    pub(super) fn with_padded<R>(&self, images: &[f32], f: impl FnOnce(&[f32]) -> R) -> R {
        thread_local! {
            static PADDED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        if (self.padded_height, self.padded_width) == (self.height, self.width) {
            return f(images);
        }
        let count = images.len() / self.image();
        let mut padded = PADDED.take();
        padded.clear();
        padded.resize(count * self.padded_image(), 0.0);
        let (row, padded_row) = (
            self.width * self.channels,
            self.padded_width * self.channels,
        );
        let start = self.top * padded_row + self.left * self.channels;
        let to = padded.chunks_exact_mut(self.padded_image());
        for (to, image) in to.zip(images.chunks_exact(self.image())) {
            let rows = to[start..].chunks_mut(padded_row);
            for (to, row) in rows.zip(image.chunks_exact(row)) {
                to[..row.len()].copy_from_slice(row);
            }
        }
        let result = f(&padded);
        PADDED.set(padded);
        result
    }
}

impl Geometry {
    /// The input's frame.
    pub(super) fn frame(&self) -> Frame {
        Frame {
            height: self.height,
            width: self.width,
            channels: self.channels,
            top: self.padding,
            left: self.padding,
            padded_height: self.height + 2 * self.padding,
            padded_width: self.width + 2 * self.padding,
        }
    }
}
