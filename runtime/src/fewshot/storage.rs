//! The memory of a learner, in one piece that the caller owns.

use super::class::Class;
use super::class_scores::ClassScores;

/// Room for `CLASSES` classes with `EXAMPLES` examples in all, of `DIM` values each, and for the
/// head fitted to them.
///
/// It takes `EXAMPLES * (DIM + 4 * CLASSES)` bytes and a little more for each class, to the byte
/// `size_of::<Storage<..>>()`: 19 KiB for 8 classes with 8 examples each of 256 values. Put a large
/// one in a `static`. [`StorageVec`] is for sizes known at run time only.
#[derive(Clone, Debug)]
pub struct Storage<const CLASSES: usize, const EXAMPLES: usize, const DIM: usize> {
    classes: [Class; CLASSES],
    directions: [[i8; DIM]; EXAMPLES],
    labels: [u8; EXAMPLES],
    duals: [[f32; EXAMPLES]; CLASSES],
    biases: [f32; CLASSES],
    lengths: [f32; CLASSES],
    scores: [ClassScores; CLASSES],
    query: [i8; DIM],
}

impl<const CLASSES: usize, const EXAMPLES: usize, const DIM: usize>
    Storage<CLASSES, EXAMPLES, DIM>
{
    /// Makes an empty room.
    pub const fn new() -> Self {
        Self {
            classes: [const { Class::EMPTY }; CLASSES],
            directions: [[0; DIM]; EXAMPLES],
            labels: [0; EXAMPLES],
            duals: [[0.0; EXAMPLES]; CLASSES],
            biases: [0.0; CLASSES],
            lengths: [0.0; CLASSES],
            scores: [ClassScores::NONE; CLASSES],
            query: [0; DIM],
        }
    }

    /// Lends the room to a [`Learner`](super::Learner), which begins by knowing nothing.
    pub fn lend(&mut self) -> StorageMut<'_> {
        StorageMut {
            classes: &mut self.classes,
            directions: self.directions.as_flattened_mut(),
            head: HeadMut {
                labels: &mut self.labels,
                duals: self.duals.as_flattened_mut(),
                biases: &mut self.biases,
                lengths: &mut self.lengths,
                scores: &mut self.scores,
            },
            query: &mut self.query,
        }
    }
}

impl<const CLASSES: usize, const EXAMPLES: usize, const DIM: usize> Default
    for Storage<CLASSES, EXAMPLES, DIM>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Memory that a [`Storage`] or a [`StorageVec`] lends.
#[derive(Debug)]
pub struct StorageMut<'b> {
    pub(super) classes: &'b mut [Class],
    pub(super) directions: &'b mut [i8],
    pub(super) head: HeadMut<'b>,
    pub(super) query: &'b mut [i8],
}

/// Rooms of a learner, lent one by one: for memory that has neither a size known to the compiler
/// ([`Storage`]) nor a heap, such as what a C program lends.
///
/// With `classes` classes, `examples` examples of all classes together and embeddings of `dim` values:
#[derive(Debug)]
pub struct Rooms<'b> {
    /// `classes` times [`Class::EMPTY`].
    pub classes: &'b mut [Class],
    /// `classes` times [`ClassScores::NONE`].
    pub scores: &'b mut [ClassScores],
    /// `classes` values.
    pub biases: &'b mut [f32],
    /// `classes` values.
    pub lengths: &'b mut [f32],
    /// `examples` values.
    pub labels: &'b mut [u8],
    /// `examples * classes` values.
    pub duals: &'b mut [f32],
    /// `examples * dim` values.
    pub directions: &'b mut [i8],
    /// `dim` values.
    pub query: &'b mut [i8],
}

impl<'b> StorageMut<'b> {
    /// Joins rooms. `None` if their lengths do not fit together.
    pub fn join(rooms: Rooms<'b>) -> Option<Self> {
        let (classes, examples) = (rooms.classes.len(), rooms.labels.len());
        let of_classes = [rooms.scores.len(), rooms.biases.len(), rooms.lengths.len()];
        let fits = of_classes == [classes; 3]
            && examples.checked_mul(classes) == Some(rooms.duals.len())
            && examples.checked_mul(rooms.query.len()) == Some(rooms.directions.len());
        fits.then_some(Self {
            classes: rooms.classes,
            directions: rooms.directions,
            head: HeadMut {
                labels: rooms.labels,
                duals: rooms.duals,
                biases: rooms.biases,
                lengths: rooms.lengths,
                scores: rooms.scores,
            },
            query: rooms.query,
        })
    }
}

/// Room for a fitted head.
#[derive(Debug)]
pub(super) struct HeadMut<'b> {
    /// The class of each example that takes part, counted among classes that take part.
    pub labels: &'b mut [u8],
    /// Dual coefficients: a row for each class that takes part.
    pub duals: &'b mut [f32],
    pub biases: &'b mut [f32],
    /// Length of the sum of each class's examples, as unit vectors.
    pub lengths: &'b mut [f32],
    /// Scores of each class's examples and of strangers, for its threshold.
    pub scores: &'b mut [ClassScores],
}

/// A [`Storage`] of a size chosen at run time, on the heap.
#[cfg(feature = "std")]
#[derive(Clone, Debug)]
pub struct StorageVec {
    classes: Vec<Class>,
    directions: Vec<i8>,
    labels: Vec<u8>,
    duals: Vec<f32>,
    biases: Vec<f32>,
    lengths: Vec<f32>,
    scores: Vec<ClassScores>,
    query: Vec<i8>,
}

#[cfg(feature = "std")]
impl StorageVec {
    /// Makes room for `classes` classes with `examples` examples in all, of `dim` values each.
    pub fn new(classes: usize, examples: usize, dim: usize) -> Self {
        Self {
            classes: vec![Class::EMPTY; classes],
            directions: vec![0; examples * dim],
            labels: vec![0; examples],
            duals: vec![0.0; examples * classes],
            biases: vec![0.0; classes],
            lengths: vec![0.0; classes],
            scores: vec![ClassScores::NONE; classes],
            query: vec![0; dim],
        }
    }

    /// Lends the room, as [`Storage::lend`] does.
    pub fn lend(&mut self) -> StorageMut<'_> {
        StorageMut {
            classes: &mut self.classes,
            directions: &mut self.directions,
            head: HeadMut {
                labels: &mut self.labels,
                duals: &mut self.duals,
                biases: &mut self.biases,
                lengths: &mut self.lengths,
                scores: &mut self.scores,
            },
            query: &mut self.query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_joined_if_they_fit_together() {
        let mut room = StorageVec::new(2, 3, 4);
        let mut join = |labels: usize, query: usize| {
            StorageMut::join(Rooms {
                classes: &mut room.classes,
                scores: &mut room.scores,
                biases: &mut room.biases,
                lengths: &mut room.lengths,
                labels: &mut room.labels[..labels],
                duals: &mut room.duals,
                directions: &mut room.directions,
                query: &mut room.query[..query],
            })
            .is_some()
        };
        assert!(join(3, 4));
        assert!(!join(2, 4) && !join(3, 3));
    }

    /// A board with 256 KB of RAM has 64 KiB for it, less arena and frontend.
    #[test]
    fn eight_classes_of_eight_examples_fit_in_their_share() {
        assert!(size_of::<Storage<8, 64, 256>>() <= 19_600);
    }
}
