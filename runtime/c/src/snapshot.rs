//! Taught sounds as bytes: the profile that every other form of the runtime reads and writes.

use crate::boundary::{self, Out, result};
use crate::error::Error;
use crate::recogniser::{self, Mtslvr};
use mtslvr_runtime::fewshot::persist::{export, import, snapshot_len};

/// Tells how many bytes the snapshot has that mtslvr_export would write now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_snapshot_size(m: *mut Mtslvr, size: *mut usize) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            Out::new(size)?.put(snapshot_len(recogniser.sounds.support()));
            Ok(())
        })
    })
}

/// Writes a snapshot of what was taught, as `mtslvr` reads and writes it, and its length in bytes to
/// `written`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_export(
    m: *mut Mtslvr,
    bytes: *mut u8,
    capacity: usize,
    written: *mut usize,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let (written, bytes) = (Out::new(written)?, boundary::values_mut(bytes, capacity)?);
            written.put(export(&recogniser.sounds, bytes)?);
            Ok(())
        })
    })
}

/// Makes the recogniser know what the snapshot of `len` bytes holds, in place of what it knows. mtslvr_fit
/// is due afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_import(m: *mut Mtslvr, bytes: *const u8, len: usize) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let bytes = boundary::values(bytes, len)?;
            Ok(import(&mut recogniser.sounds, bytes)?)
        })
    })
}
