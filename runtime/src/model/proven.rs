//! Marks values that opening the model has already checked.

/// Takes what [`Model::open`](super::Model::open) has proved to be there. A panic here is a fault of
/// the check, never of a file or an argument.
#[inline]
pub(crate) fn proven<T>(found: Option<T>) -> T {
    match found {
        Some(found) => found,
        None => unreachable!("Model::open has checked it"),
    }
}
