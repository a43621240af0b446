//! The Python package `mtslvr`: the trainer's crates behind classes and functions of Python.
//!
//! Whatever decides is that of the command line, so that both say the same of the same samples. Work of any length
//! is done without Python's interpreter lock.

mod backbone;
mod error;
mod evaluate;
mod json;
mod learner;
mod listener;
mod pack;
mod paths;
mod sound;
mod synth;

use pyo3::prelude::*;

/// Teach a device new sounds from one to five examples.
///
/// :class:`Backbone` turns sounds into embeddings, :class:`Learner` learns sounds from examples, and
/// :class:`Listener` recognises them in a stream; :func:`evaluate` measures a backbone on labelled recordings, and
/// :func:`pack` packs one for a device. Embeddings, scores, profiles and packed models are those of the program
/// ``mtslvr``, bit for bit.
#[pymodule]
mod mtslvr {
    #[pymodule_export]
    use super::backbone::Backbone;
    #[pymodule_export]
    use super::error::{Error, RefusedError};
    #[pymodule_export]
    use super::evaluate::evaluate;
    #[pymodule_export]
    use super::learner::{Decision, Example, PyClass, PyLearner};
    #[pymodule_export]
    use super::listener::{Event, Events, PyListener};
    #[pymodule_export]
    use super::pack::pack;
    #[pymodule_export]
    use super::synth::synth;
    use mtslvr_listen::profile::ClassLabel;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("NEGATIVES", ClassLabel::Negatives.to_string())?;
        module.add("BACKGROUND", ClassLabel::Background.to_string())
    }
}
