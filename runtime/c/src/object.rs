//! Objects in lent memory, with a mark by which an open one is known.

use crate::error::{Error, Outcome};

/// Object at the beginning of lent memory. The mark is read and written through raw pointers, apart
/// from the body, so that a call from within a call finds it and leaves the body alone.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Object<T> {
    mark: u32,
    body: T,
}

/// A kind of object.
pub(crate) trait Kind {
    /// Its mark while it is open.
    const MARK: u32;
}

/// Mark of an object of the kind `T` that a call uses.
const fn in_use<T: Kind>() -> u32 {
    !T::MARK
}

/// Opens an object at `place`.
///
/// # Safety
/// `place` leads to room for the object, aligned for it, which nobody else uses.
pub(crate) unsafe fn open<T: Kind>(place: *mut Object<T>, body: T) {
    let mark = T::MARK;
    // SAFETY: the caller promises it.
    unsafe { place.write(Object { mark, body }) };
}

/// Does `work` with the open object at `object`, which is in use meanwhile.
///
/// # Safety
/// A pointer that is neither null nor misaligned leads to as many readable bytes as an object of this
/// kind has. If they bear the mark, `open` wrote them and nobody but `with` has used them since.
pub(crate) unsafe fn with<T: Kind>(
    object: *mut Object<T>,
    work: impl FnOnce(&mut T) -> Outcome,
) -> Outcome {
    if object.is_null() {
        return Err(Error::NullPointer);
    }
    if !object.is_aligned() {
        return Err(Error::Misaligned);
    }
    // SAFETY: the pointer is aligned and not null, and the caller promises that bytes are there.
    let (mark, body) = unsafe { (&raw mut (*object).mark, &raw mut (*object).body) };
    // SAFETY: as above; volatile, because an interrupt may come between this and the next line.
    let found = unsafe { mark.read_volatile() };
    if found == in_use::<T>() {
        return Err(Error::Busy);
    }
    if found != T::MARK {
        return Err(Error::NotOpen);
    }
    // SAFETY: as above.
    unsafe { mark.write_volatile(in_use::<T>()) };
    // SAFETY: the mark says that `open` wrote the body, and that no other call uses it; the mark itself
    // is no part of it.
    let outcome = work(unsafe { &mut *body });
    // SAFETY: as above.
    unsafe { mark.write_volatile(T::MARK) };
    outcome
}
