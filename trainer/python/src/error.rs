//! Exceptions, with the project's own sentences.

use mtslvr_audio::{AudioError, EmbedError};
use mtslvr_listen::capture::CaptureError;
use mtslvr_listen::profile::{Explained, ProfileError};
use mtslvr_pack::OpenBackboneError;
use mtslvr_pack::engine::EngineError;
use mtslvr_pack::onnx::ImportError;
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use std::ffi::CString;
use std::io;

pyo3::create_exception!(
    mtslvr,
    Error,
    PyValueError,
    "A recording, a model, a profile or a setting cannot be used. The message names it, what was found, what was \
     expected and what to do."
);
pyo3::create_exception!(
    mtslvr,
    RefusedError,
    Error,
    "Nothing was learnt from a sound.\n\n\
     ``reason`` is one word, such as ``too-quiet``, ``no-sound`` or ``known``; ``found``, ``limit`` and ``unit`` are \
     the value that was measured for that, and the limit (``None`` where nothing was measured)."
);

/// Turns an error into an exception: ``FileNotFoundError`` or ``OSError`` where the operating system refused, and
/// [`Error`] otherwise.
pub fn raised(error: impl Into<anyhow::Error>) -> PyErr {
    let error = error.into();
    let text = format!("{error:#}");
    match error.chain().find_map(refused_by_system) {
        Some(io::ErrorKind::NotFound) => PyFileNotFoundError::new_err(text),
        Some(_) => PyOSError::new_err(text),
        None => Error::new_err(text),
    }
}

/// Returns what the operating system refused, if `error` says that it did.
fn refused_by_system(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(error.kind());
    }
    // Some errors of reading sound are within others, whose text is theirs.
    let audio = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(CaptureError::File(error)), _) => Some(error),
        (_, Some(EmbedError::<EngineError>::Audio(error))) => Some(error),
        _ => error.downcast_ref(),
    };
    if let Some(AudioError::Io { error, .. }) = audio {
        return Some(error.kind());
    }
    if let Some(ProfileError::Io { error, .. }) = error.downcast_ref() {
        return Some(error.kind());
    }
    if let Some(ImportError::Read { source, .. }) = error.downcast_ref() {
        return Some(source.kind());
    }
    match error.downcast_ref()? {
        OpenBackboneError::Read { source, .. } => Some(source.kind()),
        OpenBackboneError::NotFound(_) => Some(io::ErrorKind::NotFound),
        _ => None,
    }
}

/// Makes the exception for a sound that nothing was learnt from.
pub fn refused(py: Python<'_>, why: &Explained) -> PyErr {
    let error = RefusedError::new_err(why.text.clone());
    let value = error.value(py);
    let set = value
        .setattr("reason", why.reason)
        .and_then(|()| value.setattr("found", why.found))
        .and_then(|()| value.setattr("limit", why.limit))
        .and_then(|()| value.setattr("unit", why.unit));
    match set {
        Ok(()) => error,
        Err(other) => other,
    }
}

/// Warns the caller, through Python's `warnings`.
pub fn warn(py: Python<'_>, text: &str) -> PyResult<()> {
    let text = CString::new(text.replace('\0', "\\0"))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)
}
