//! Parts of slices at computed places.
//!
//! Embedding, classifying and listening compute places that were checked before, by
//! [`Model::open`](crate::model::Model::open) or by an operator's `fits`, and take what lies there by these
//! functions: where a place is not there after all, the call ends with an error, and no panic is linked.
//! `firmware-examples/no-panic` proves that.

/// Returns the `len` values from `start` on.
#[inline(always)]
pub(crate) fn part<T>(values: &[T], start: usize, len: usize) -> Option<&[T]> {
    values.get(start..)?.get(..len)
}

/// Returns the `len` values from `start` on, to be changed.
#[inline(always)]
pub(crate) fn part_mut<T>(values: &mut [T], start: usize, len: usize) -> Option<&mut [T]> {
    values.get_mut(start..)?.get_mut(..len)
}

/// Copies `from` to `to`; `None` if they differ in length.
#[inline(always)]
pub(crate) fn copy<T: Copy>(from: &[T], to: &mut [T]) -> Option<()> {
    if from.len() != to.len() {
        return None;
    }
    to.copy_from_slice(from);
    Some(())
}

/// Clamps as [`f32::clamp`] does where the bounds are in order, and does not look whether they are.
#[inline(always)]
pub(crate) fn clamp(value: f32, least: f32, greatest: f32) -> f32 {
    if value < least {
        least
    } else if value > greatest {
        greatest
    } else {
        value
    }
}
