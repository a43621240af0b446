//! The similarities of all examples that take part in a fit, with their classes.

use core::ops::Range;

/// The Gram matrix of the examples, with the label and the length of the sum of each class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gram<'a> {
    /// `n x n` similarities.
    values: &'a [f32],
    /// A label for each example, in order.
    labels: &'a [u8],
    /// Length of the sum of each label's examples as unit vectors, zero if they cancel out.
    lengths: &'a [f32],
}

impl<'a> Gram<'a> {
    pub fn new(values: &'a [f32], labels: &'a [u8], lengths: &'a [f32]) -> Self {
        Self {
            values,
            labels,
            lengths,
        }
    }

    /// Returns the labels that there are, each with the places of its examples.
    pub fn groups(&self) -> impl Iterator<Item = (u8, Range<usize>)> + use<'a> {
        let mut end = 0;
        self.labels.chunk_by(|a, b| a == b).map(move |group| {
            end += group.len();
            (group[0], end - group.len()..end)
        })
    }

    /// Returns the label of an example.
    pub fn label(&self, example: usize) -> u8 {
        self.labels[example]
    }

    /// Returns the length of the sum of a label's examples.
    pub fn length(&self, label: u8) -> f32 {
        self.lengths[usize::from(label)]
    }

    /// Returns the sum of the similarities of an example and those of a label.
    fn along(&self, example: usize, label: u8) -> f32 {
        let row = &self.values[example * self.labels.len()..][..self.labels.len()];
        let from = self.labels.partition_point(|other| *other < label);
        let to = self.labels.partition_point(|other| *other <= label);
        row[from..to].iter().sum()
    }

    /// Returns the similarity of an example and the mean of those of a label; zero if those cancel out.
    pub fn similarity_to_mean(&self, example: usize, label: u8) -> f32 {
        let length = self.length(label);
        if length > 0.0 {
            self.along(example, label) / length
        } else {
            0.0
        }
    }

    /// Returns the similarity of an example and the mean of the other examples of its label; `None` if there
    /// are none, or they cancel out.
    pub fn left_out(&self, example: usize) -> Option<f32> {
        let label = self.label(example);
        let own = self.values[example * self.labels.len() + example];
        let (along, length) = (self.along(example, label), self.length(label));
        let square = length * length - 2.0 * along + own;
        // Below this, what is left is rounding. With no other example, nothing else is.
        (square > 1e-3).then(|| (along - own) / libm::sqrtf(square))
    }
}
