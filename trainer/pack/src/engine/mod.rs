//! Float engines for hosts: an exported ONNX model behind the same
//! [`mtslvr_runtime::backbone::Backbone`] trait as the packed engine.
//!
//! [`open_float`] opens a model in the engine asked for; an engine that this program was built without
//! is an error. An engine takes the frontend, the parts, the base mean and the reference from the ONNX
//! file's metadata ([`OnnxMetadata`]), so that a model needs no other file.

mod described;
mod error;
#[cfg(feature = "onnx")]
mod interpreter;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tract")]
mod tract;
#[cfg(feature = "ort")]
mod waveform;

pub use self::error::EngineError;
#[cfg(feature = "onnx")]
pub use self::interpreter::InterpretedBackbone;
#[cfg(feature = "ort")]
pub use self::ort::{ORT_LIBRARY_VARIABLE, OrtBackbone};
#[cfg(feature = "tract")]
pub use self::tract::TractBackbone;
#[cfg(all(feature = "ort", feature = "onnx"))]
pub use self::waveform::waveform_output;
#[cfg(feature = "ort")]
pub use self::waveform::{WaveformModel, fitted};
pub use crate::metadata::{
    FrontendDescription, INPUT, KEY_BASE_MEAN, KEY_FRONTEND, KEY_PARTS, KEY_PROVENANCE,
    KEY_REFERENCE, Layout, MetadataError, OnnxMetadata,
};
pub use crate::part_outputs::{EQUIVARIANT, INVARIANT, INVARIANT_SHARE, PartOutput, part_outputs};

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::space::EmbeddingSpace;

/// A backbone in a float engine.
pub trait FloatBackbone: Backbone<Error = EngineError> + core::fmt::Debug + Send {}

impl<B: Backbone<Error = EngineError> + core::fmt::Debug + Send> FloatBackbone for B {}

impl Backbone for Box<dyn FloatBackbone> {
    type Error = EngineError;

    fn space(&self) -> EmbeddingSpace<'_> {
        (**self).space()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EngineError> {
        (**self).embed(patch, embedding)
    }
}

/// The engines that run ONNX models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatEngine {
    /// The packer's own interpreter, the feature `onnx`.
    Interpreter,
    /// tract, the feature `tract`.
    Tract,
    /// ONNX Runtime, the feature `ort`.
    Ort,
}

impl FloatEngine {
    /// The engine that needs nothing beside this program: tract, which is several times as fast, if it
    /// was built in, and otherwise the interpreter.
    pub const BUILT_IN: Self = if cfg!(feature = "tract") {
        Self::Tract
    } else {
        Self::Interpreter
    };
}

/// Opens an ONNX model in `engine`; errors call it `model`.
///
/// # Errors
/// [`EngineError::NotBuilt`] if this program was built without the engine; other errors if the engine
/// cannot take the model.
#[cfg_attr(
    not(any(feature = "onnx", feature = "tract", feature = "ort")),
    allow(unused_variables)
)]
pub fn open_float(
    engine: FloatEngine,
    bytes: &[u8],
    model: &str,
) -> Result<Box<dyn FloatBackbone>, EngineError> {
    match engine {
        #[cfg(feature = "onnx")]
        FloatEngine::Interpreter => Ok(Box::new(InterpretedBackbone::from_bytes(
            bytes, model, None,
        )?)),
        #[cfg(not(feature = "onnx"))]
        FloatEngine::Interpreter => Err(EngineError::NotBuilt {
            model: model.to_owned(),
            engine: "interpreter",
        }),
        #[cfg(feature = "tract")]
        FloatEngine::Tract => Ok(Box::new(TractBackbone::from_bytes(bytes, model, None)?)),
        #[cfg(feature = "ort")]
        FloatEngine::Ort => Ok(Box::new(OrtBackbone::from_bytes(bytes, model, None)?)),
        #[cfg(not(feature = "tract"))]
        FloatEngine::Tract => Err(EngineError::NotBuilt {
            model: model.to_owned(),
            engine: "tract",
        }),
        #[cfg(not(feature = "ort"))]
        FloatEngine::Ort => Err(EngineError::NotBuilt {
            model: model.to_owned(),
            engine: "ort",
        }),
    }
}
