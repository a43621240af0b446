//! Figures that the command line prints as JSON, as Python's objects.

use crate::error::raised;
use pyo3::prelude::*;
use serde::Serialize;

/// Turns `value` into the objects that Python's `json.loads` makes of its JSON.
pub fn object(py: Python<'_>, value: &impl Serialize) -> PyResult<Py<PyAny>> {
    let text = serde_json::to_string(value).map_err(raised)?;
    let object = py.import("json")?.call_method1("loads", (text,))?;
    Ok(object.unbind())
}
