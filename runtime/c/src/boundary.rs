//! Checks what comes over the boundary: pointers, lengths and strings.

use crate::error::{Error, Outcome};
use core::ffi::{CStr, c_char};
use core::{slice, str};
use mtslvr_runtime::fewshot::CLASS_NAME_BYTES;

/// Bytes of the longest name, with the zero at its end.
pub const MTSLVR_NAME_SIZE: usize = 33;

const _: () = assert!(MTSLVR_NAME_SIZE == CLASS_NAME_BYTES + 1);

/// Takes what a call did as its result.
pub(crate) fn result(outcome: Outcome) -> Error {
    match outcome {
        Ok(()) => Error::None,
        Err(error) => error,
    }
}

/// Checks a pointer to values of type `T`.
fn check<T>(pointer: *const T) -> Outcome {
    if pointer.is_null() {
        Err(Error::NullPointer)
    } else if !pointer.is_aligned() {
        Err(Error::Misaligned)
    } else {
        Ok(())
    }
}

/// Checks that `count` values of type `T` can lie somewhere.
fn check_count<T>(count: usize) -> Outcome {
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Error::Length),
    }
}

/// Reads `count` values. No values need no pointer.
///
/// # Safety
/// A pointer that is neither null nor misaligned leads to `count` values that nobody changes while `'a`
/// lasts.
pub(crate) unsafe fn values<'a, T: Copy>(
    pointer: *const T,
    count: usize,
) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    check(pointer)?;
    check_count::<T>(count)?;
    // SAFETY: the pointer is aligned and not null, the length is possible, and the caller promises the
    // rest.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// Lends `count` values to be written.
///
/// # Safety
/// A pointer that is neither null nor misaligned leads to `count` values that nobody else uses while `'a`
/// lasts.
pub(crate) unsafe fn values_mut<'a, T: Copy>(
    pointer: *mut T,
    count: usize,
) -> Result<&'a mut [T], Error> {
    if count == 0 {
        return Ok(&mut []);
    }
    check(pointer)?;
    check_count::<T>(count)?;
    // SAFETY: as in `values`.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, count) })
}

/// Reads a value that a pointer leads to.
///
/// # Safety
/// A pointer that is neither null nor misaligned leads to a value.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T) -> Result<T, Error> {
    check(pointer)?;
    // SAFETY: the pointer is aligned and not null, and the caller promises the rest.
    Ok(unsafe { pointer.read() })
}

/// A place for a result.
#[derive(Debug)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks the pointer to the place, before anything is done that it would be lost for.
    ///
    /// # Safety
    /// A pointer that is neither null nor misaligned leads to room for a value that nobody else uses
    /// during the call.
    pub unsafe fn new(pointer: *mut T) -> Result<Self, Error> {
        check(pointer)?;
        Ok(Self(pointer))
    }

    /// As [`Self::new`]; a null pointer stands for a result that nobody wants.
    ///
    /// # Safety
    /// As [`Self::new`].
    pub unsafe fn optional(pointer: *mut T) -> Result<Option<Self>, Error> {
        if pointer.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller promises the same.
        unsafe { Self::new(pointer) }.map(Some)
    }

    /// Writes the result.
    pub fn put(self, value: T) {
        // SAFETY: `new` has checked the pointer, and its caller promised the rest.
        unsafe { self.0.write(value) };
    }
}

/// Reads a name that ends with a zero. No more is read than the longest name and one byte.
///
/// # Safety
/// A pointer that is not null leads to bytes that end with a zero, or to more of them than a name has.
pub(crate) unsafe fn name<'a>(pointer: *const c_char) -> Result<&'a str, Error> {
    check(pointer)?;
    let bytes = pointer.cast::<u8>();
    for len in 0..MTSLVR_NAME_SIZE {
        // SAFETY: no zero came before, so the caller promises that this byte is there.
        if unsafe { bytes.add(len).read() } == 0 {
            // SAFETY: as above, for all of them.
            let name = unsafe { slice::from_raw_parts(bytes, len) };
            return str::from_utf8(name).map_err(|_| Error::NameCharacters);
        }
    }
    Err(Error::NameTooLong)
}

/// Writes a name with the zero at its end.
pub(crate) fn name_out(name: &str) -> [c_char; MTSLVR_NAME_SIZE] {
    let mut out = [0; MTSLVR_NAME_SIZE];
    for (to, from) in out.iter_mut().zip(name.bytes().take(CLASS_NAME_BYTES)) {
        *to = from as c_char;
    }
    out
}

/// Version of this library.
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// Returns the version of this library, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn mtslvr_version() -> *const c_char {
    VERSION.as_ptr()
}
