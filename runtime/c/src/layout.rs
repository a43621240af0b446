//! Cuts lent memory into what an object needs.

use crate::error::Error;
use core::marker::PhantomData;
use core::slice;
use mtslvr_runtime::model::ALIGNMENT;

/// Lent memory and models begin at multiples of this.
pub const MTSLVR_ALIGNMENT: usize = 16;

const _: () = assert!(MTSLVR_ALIGNMENT == ALIGNMENT);

/// Plans rooms one after the other.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Bytes so far; `usize::MAX` if they are more than there can be.
    len: usize,
}

/// Room for values of type `T` in lent memory.
#[derive(Debug)]
pub(crate) struct Room<T> {
    at: usize,
    count: usize,
    of: PhantomData<T>,
}

impl Plan {
    /// Adds room for `count` values.
    pub fn room<T>(&mut self, count: usize) -> Room<T> {
        self.room_at::<T>(count, align_of::<T>())
    }

    /// Adds room for `count` values that begins at a multiple of [`MTSLVR_ALIGNMENT`].
    pub fn aligned_room<T>(&mut self, count: usize) -> Room<T> {
        self.room_at::<T>(count, MTSLVR_ALIGNMENT)
    }

    fn room_at<T>(&mut self, count: usize, alignment: usize) -> Room<T> {
        const { assert!(align_of::<T>() <= MTSLVR_ALIGNMENT) };
        let at = self.len.checked_next_multiple_of(alignment);
        let at = at.unwrap_or(usize::MAX);
        self.len = at.saturating_add(count.saturating_mul(size_of::<T>()));
        Room {
            at,
            count,
            of: PhantomData,
        }
    }

    /// Returns the bytes of all rooms.
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Memory that the caller lends for as long as the object in it is used: `'static` as far as the
/// compiler is concerned.
#[derive(Debug)]
pub(crate) struct Memory(*mut u8);

impl Memory {
    /// Takes `len` bytes from `start` on, which must suffice for `plan`.
    ///
    /// # Safety
    /// A pointer that is neither null nor misaligned leads to `len` bytes that nobody else uses for as
    /// long as the object in them is used.
    pub unsafe fn lent(start: *mut u8, len: usize, plan: &Plan) -> Result<Self, Error> {
        if start.is_null() {
            return Err(Error::NullPointer);
        }
        if !start.addr().is_multiple_of(MTSLVR_ALIGNMENT) {
            return Err(Error::Misaligned);
        }
        if len < plan.len() || isize::try_from(plan.len()).is_err() {
            return Err(Error::MemoryTooSmall);
        }
        Ok(Self(start))
    }

    /// Returns where a room begins.
    ///
    /// # Safety
    /// The room is one of the plan that the memory was lent for.
    pub unsafe fn place<T>(&self, room: Room<T>) -> *mut T {
        // SAFETY: the plan's rooms lie in the memory, and at multiples of their alignment.
        unsafe { self.0.add(room.at) }.cast()
    }

    /// Fills a room with `value` and lends it.
    ///
    /// # Safety
    /// The room is one of the plan that the memory was lent for, and is lent once.
    pub unsafe fn fill<T: Clone>(&self, room: Room<T>, value: T) -> &'static mut [T] {
        // SAFETY: the caller promises the same.
        let (count, start) = (room.count, unsafe { self.place(room) });
        for index in 0..count {
            // SAFETY: the room is as long, aligned, and used by nobody else.
            unsafe { start.add(index).write(value.clone()) };
        }
        // SAFETY: all values were written; the room is lent once, for as long as the object is used.
        unsafe { slice::from_raw_parts_mut(start, count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_aligned_and_apart() {
        let mut plan = Plan::default();
        let bytes = plan.room::<u8>(3);
        let floats = plan.room::<f32>(2);
        let last = plan.aligned_room::<i8>(1);
        assert_eq!([bytes.at, floats.at, last.at], [0, 4, 16]);
        assert_eq!(plan.len(), 17);
    }

    #[test]
    fn more_than_there_can_be_is_too_much() {
        let mut plan = Plan::default();
        plan.room::<f32>(usize::MAX / 2);
        plan.room::<u64>(1);
        assert_eq!(plan.len(), usize::MAX);
        let mut byte = 0;
        // SAFETY: nothing is read or written before the length is found to be wrong.
        let lent = unsafe { Memory::lent(&raw mut byte, usize::MAX, &plan) };
        assert!(lent.is_err());
    }
}
