//! A tensor: a map of int8 values in the arena.

use core::ops::Range;

use super::wire::TensorRecord;
use crate::nn::{Quantisation, Shape};

/// A tensor of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tensor {
    /// Its index: 0 is the patch, `i + 1` what operator `i` writes.
    pub index: usize,
    /// Its shape.
    pub shape: Shape,
    /// Its place: bytes from the start of the arena.
    pub offset: usize,
    /// Real values that its int8 values stand for.
    pub quantisation: Quantisation,
}

impl Tensor {
    /// Reads the record of tensor `index`.
    pub(super) fn read(index: usize, record: &[u8; TensorRecord::LEN]) -> Self {
        let record = TensorRecord::read(record);
        Self {
            index,
            shape: record.shape,
            offset: record.offset as usize,
            quantisation: record.quantisation,
        }
    }

    /// Returns the bytes of the arena that it takes.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.len()
    }

    /// Returns its values.
    #[inline]
    pub(crate) fn values<'a>(&self, arena: &'a [i8]) -> Option<&'a [i8]> {
        arena.get(self.range())
    }

    /// Returns its values, to be changed.
    #[inline]
    pub(crate) fn values_mut<'a>(&self, arena: &'a mut [i8]) -> Option<&'a mut [i8]> {
        arena.get_mut(self.range())
    }
}
