//! Float engines for hosts: an exported ONNX model behind the same
//! [`mtslvr_runtime::backbone::Backbone`] trait as the packed engine.
//!
//! [`open_float`] opens a model in the engine asked for; those that this program was built without are
//! an error. An engine takes the frontend, the parts, the base mean and the reference from the ONNX file's
//! metadata ([`OnnxMetadata`]), so that a model file alone says how to feed it.

#[cfg(feature = "onnx")]
mod interpreter;
mod onnx_metadata;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tract")]
mod tract;
#[cfg(feature = "ort")]
mod waveform;

use mtslvr_runtime::backbone::Backbone;

#[cfg(feature = "onnx")]
pub use self::interpreter::InterpretedBackbone;
#[cfg(feature = "ort")]
pub use self::ort::{ORT_LIBRARY_VARIABLE, OrtBackbone};
#[cfg(feature = "tract")]
pub use self::tract::TractBackbone;
#[cfg(feature = "ort")]
pub use self::waveform::{WaveformModel, fitted};
pub use onnx_metadata::{
    FrontendDescription, KEY_BASE_MEAN, KEY_FRONTEND, KEY_PARTS, KEY_PROVENANCE, KEY_REFERENCE,
    Layout, MetadataError, OnnxMetadata,
};

use mtslvr_runtime::backbone::EmbedError;
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, OwnedSpace, PART_NAME_BYTES, Part, Parts};
use sha2::{Digest, Sha256};

/// Name of the ONNX input: log-mel patches, `[batch, 1, frames, mels]`.
pub const INPUT: &str = "log_mel";

/// Name of the contrastive path's output, `[batch, dim]`.
pub const INVARIANT: &str = "invariant";

/// Name of the predictive path's output, `[batch, dim]`.
pub const EQUIVARIANT: &str = "equivariant";

/// Share of the invariant features in a similarity, beside equivariant ones alone: what was best at 1, 3
/// and 5 examples a class on labelled sets sorted from pretraining recordings (`reports/bias.md`).
pub const INVARIANT_SHARE: f32 = 0.7;

/// Why an ONNX model cannot be opened or run. Each variant names the model it is about.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// The file cannot be read.
    Read {
        /// The model.
        model: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The metadata lacks something or holds something else than expected.
    Metadata {
        /// The model.
        model: String,
        /// What is wrong.
        source: MetadataError,
    },
    /// The engine cannot take the graph.
    Graph {
        /// The model.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// ONNX Runtime's shared library is absent, too old or not what its name says.
    Library {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// This program was built without the engine.
    NotBuilt {
        /// The model.
        model: String,
        /// The engine.
        engine: &'static str,
    },
    /// A patch or the room for its embedding has the wrong length.
    Embed(EmbedError),
    /// The engine failed on a patch.
    Run {
        /// The model.
        model: String,
        /// What the engine says.
        reason: String,
    },
}

impl core::fmt::Display for EngineError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Read { model, source } => write!(f, "{model}: cannot be read: {source}"),
            Self::Metadata { model, source } => write!(f, "{model}: {source}"),
            Self::Graph { model, reason } => write!(f, "{model}: not a usable model: {reason}"),
            Self::Library { reason } => f.write_str(reason),
            Self::NotBuilt { model, engine } => write!(
                f,
                "{model}: this program was built without the engine {engine}; it runs packed models (.slvr)"
            ),
            Self::Embed(error) => error.fmt(f),
            Self::Run { model, reason } => write!(f, "{model}: inference failed: {reason}"),
        }
    }
}

impl From<EmbedError> for EngineError {
    fn from(error: EmbedError) -> Self {
        Self::Embed(error)
    }
}

impl core::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Metadata { source, .. } => Some(source),
            _ => None,
        }
    }
}

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
    /// The engine that needs nothing beside this program: tract where it was built in, which is several
    /// times as fast, the interpreter elsewhere.
    pub const BUILT_IN: Self = if cfg!(feature = "tract") {
        Self::Tract
    } else {
        Self::Interpreter
    };
}

/// Opens an ONNX model in `engine`; errors call it `model`.
///
/// # Errors
/// [`EngineError::NotBuilt`] where this program was built without the engine, and whatever the engine
/// says of the model.
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

/// What both float engines know of a model beside its graph.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "onnx", feature = "tract", feature = "ort")),
    allow(dead_code)
)]
struct Described {
    model: String,
    layout: Layout,
    space: OwnedSpace,
}

#[cfg_attr(
    not(any(feature = "onnx", feature = "tract", feature = "ort")),
    allow(dead_code)
)]
impl Described {
    /// Joins the file's hash, its metadata, and the widths of the outputs that hold the `parts`.
    fn new(
        model: &str,
        bytes: &[u8],
        metadata: OnnxMetadata,
        parts: &[PartOutput],
        widths: &[usize],
    ) -> Result<Self, EngineError> {
        let complete = || {
            let description = metadata
                .frontend
                .ok_or(MetadataError::Missing(KEY_FRONTEND))?;
            let base_mean = metadata
                .base_mean
                .ok_or(MetadataError::Missing(KEY_BASE_MEAN))?;
            let reference = metadata
                .reference
                .ok_or(MetadataError::Missing(KEY_REFERENCE))?;
            let parts = parts.iter().zip(widths).map(|(part, len)| Part {
                name: &part.name,
                len: *len,
                share: part.share,
            });
            let parts = Parts::new(parts).map_err(MetadataError::Parts)?;
            let length = MetadataError::BaseMeanLength {
                found: base_mean.len(),
                expected: parts.dim(),
            };
            let id = BackboneId::new(Sha256::digest(bytes).into());
            let space = EmbeddingSpace::new(id, description.config, parts, &base_mean, reference);
            Ok(Self {
                model: model.to_owned(),
                layout: description.layout,
                space: space.ok_or(length)?.into_owned(),
            })
        };
        complete().map_err(|source| EngineError::Metadata {
            model: model.to_owned(),
            source,
        })
    }

    /// Shape of `batch` patches as the graph wants them.
    fn input_shape(&self, batch: usize) -> [usize; 4] {
        let [frames, mels] = self.patch_shape();
        match self.layout {
            Layout::TimeMel => [batch, 1, frames, mels],
            Layout::MelTime => [batch, 1, mels, frames],
        }
    }

    /// Frames and mels of a patch.
    fn patch_shape(&self) -> [usize; 2] {
        let space = self.space.as_space();
        [space.frontend().frames, space.frontend().mels].map(usize::from)
    }

    /// Patches (time-major) in the order in which the graph wants their values.
    fn arrange(&self, patches: &[f32]) -> Vec<f32> {
        match self.layout {
            Layout::TimeMel => patches.to_vec(),
            Layout::MelTime => {
                let [frames, mels] = self.patch_shape();
                let mut arranged = Vec::with_capacity(patches.len());
                for patch in patches.chunks_exact(frames * mels) {
                    for mel in 0..mels {
                        arranged.extend((0..frames).map(|frame| patch[frame * mels + mel]));
                    }
                }
                arranged
            }
        }
    }

    /// Writes the outputs that hold the parts, each `[batch][len]`, as embeddings one after the other.
    fn join(&self, outputs: &[&[f32]], embeddings: &mut [f32]) -> Result<(), EngineError> {
        let space = self.space.as_space();
        let batch = embeddings.len() / space.dim();
        for ((part, range), output) in space.parts().ranges().zip(outputs) {
            if output.len() != batch * part.len {
                return Err(EngineError::Run {
                    model: self.model.clone(),
                    reason: format!(
                        "the output of `{}` holds {} values where {batch} x {} were expected",
                        part.name,
                        output.len(),
                        part.len
                    ),
                });
            }
            let embeddings = embeddings.chunks_exact_mut(space.dim());
            for (embedding, values) in embeddings.zip(output.chunks_exact(part.len)) {
                embedding[range.clone()].copy_from_slice(values);
            }
        }
        Ok(())
    }
}

/// The output of a graph that holds a part of the embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct PartOutput {
    /// Place among the graph's outputs.
    pub index: usize,
    /// Name of the part.
    pub name: String,
    /// Share of the part in a similarity.
    pub share: f32,
}

/// Finds the outputs that hold the parts, among those that a graph has by these `names`.
///
/// `parts` are the names and shares that the metadata gives. Without them every output is a part, with
/// equal shares; but outputs called [`INVARIANT`] and [`EQUIVARIANT`] alone come in this order, and the
/// first has the share [`INVARIANT_SHARE`].
///
/// # Errors
/// If the graph has no output, or none of the name of one of `parts`.
pub fn part_outputs(
    names: &[String],
    parts: Option<&[(String, f32)]>,
) -> Result<Vec<PartOutput>, String> {
    let position = |wanted: &str| names.iter().position(|name| name == wanted);
    if let Some(parts) = parts {
        let found = parts.iter().map(|(name, share)| {
            // A graph with one output and one part needs no name in common.
            let alone = (names.len() == 1 && parts.len() == 1).then_some(0);
            let index = position(name).or(alone).ok_or_else(|| {
                let outputs = names.join(", ");
                format!("it has no output `{name}` for the part of that name, but {outputs}")
            })?;
            Ok(PartOutput {
                index,
                name: name.clone(),
                share: *share,
            })
        });
        return found.collect();
    }
    let part = |index: usize, share| PartOutput {
        index,
        name: names[index].clone(),
        share,
    };
    match (position(INVARIANT), position(EQUIVARIANT), names.len()) {
        (_, _, 0) => Err("it has no output".to_owned()),
        (Some(invariant), Some(equivariant), 2) => Ok(vec![
            part(invariant, INVARIANT_SHARE),
            part(equivariant, 1.0 - INVARIANT_SHARE),
        ]),
        (_, _, 1) => {
            let mut alone = part(0, 1.0);
            // A single output need not be named with care.
            if !(1..=PART_NAME_BYTES).contains(&alone.name.len()) {
                "features".clone_into(&mut alone.name);
            }
            Ok(vec![alone])
        }
        (_, _, count) => Ok((0..count)
            .map(|index| part(index, 1.0 / count as f32))
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_by_name_or_alone() {
        let names = |list: &[&str]| {
            list.iter()
                .map(std::string::ToString::to_string)
                .collect::<Vec<_>>()
        };
        let found = |outputs: &[&str], parts: Option<&[(&str, f32)]>| {
            let parts: Option<Vec<_>> =
                parts.map(|parts| parts.iter().map(|(n, s)| (n.to_string(), *s)).collect());
            let found = part_outputs(&names(outputs), parts.as_deref())?;
            Ok::<_, String>(found.iter().map(|o| (o.index, o.share)).collect::<Vec<_>>())
        };
        let both = found(&["equivariant", "invariant"], None);
        assert_eq!(both, Ok(vec![(1, 0.7), (0, 1.0 - 0.7)]));
        let more = found(&["invariant", "events", "equivariant", "speech"], None);
        assert_eq!(more, Ok((0..4).map(|index| (index, 0.25)).collect()));
        assert!(found(&[], None).is_err());
        assert_eq!(found(&["features"], None), Ok(vec![(0, 1.0)]));
        let parts = [("b", 0.2), ("c", 0.7), ("a", 0.1)];
        let three = found(&["a", "b", "c", "other"], Some(&parts));
        assert_eq!(three, Ok(vec![(1, 0.2), (2, 0.7), (0, 0.1)]));
        let missing = found(&["a", "b"], Some(&parts)).unwrap_err();
        assert!(missing.contains("`c`"), "{missing}");
    }
}
