//! Float engines for hosts: an exported ONNX model behind the same
//! [`crate::backbone::Backbone`] trait as the packed engine.
//!
//! An engine takes the frontend, the base mean and the rejection similarity from the ONNX file's
//! metadata ([`OnnxMetadata`]), so that a model file alone says how to feed it.

mod onnx_metadata;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tract")]
mod tract;
#[cfg(feature = "ort")]
mod waveform;

#[cfg(feature = "ort")]
pub use self::ort::{ORT_LIBRARY_VARIABLE, OrtBackbone};
#[cfg(feature = "tract")]
pub use self::tract::TractBackbone;
#[cfg(feature = "ort")]
pub use self::waveform::{WaveformModel, fitted};
pub use onnx_metadata::{
    FrontendDescription, KEY_BASE_MEAN, KEY_FRONTEND, KEY_PROVENANCE, KEY_REJECTION_SIMILARITY,
    Layout, MetadataError, OnnxMetadata,
};

/// Name of the ONNX input: log-mel patches, `[batch, 1, frames, mels]`.
pub const INPUT: &str = "log_mel";

/// Name of the contrastive path's output, `[batch, dim]`.
pub const INVARIANT: &str = "invariant";

/// Name of the predictive path's output, `[batch, dim]`.
pub const EQUIVARIANT: &str = "equivariant";

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
            Self::Run { model, reason } => write!(f, "{model}: inference failed: {reason}"),
        }
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

/// What both float engines know of a model beside its graph.
#[derive(Debug)]
#[cfg_attr(not(any(feature = "tract", feature = "ort")), allow(dead_code))]
struct Described {
    model: String,
    frontend: crate::frontend::FrontendConfig,
    layout: Layout,
    base_mean: Vec<f32>,
    rejection_similarity: f32,
    reference: Option<crate::fewshot::Reference>,
    invariant_dim: usize,
    equivariant_dim: usize,
}

#[cfg_attr(not(any(feature = "tract", feature = "ort")), allow(dead_code))]
impl Described {
    /// Joins metadata and the widths of the outputs, and checks one against the other.
    fn new(model: &str, metadata: OnnxMetadata, dims: (usize, usize)) -> Result<Self, EngineError> {
        let complete = || {
            let description = metadata
                .frontend
                .ok_or(MetadataError::Missing(KEY_FRONTEND))?;
            let base_mean = metadata
                .base_mean
                .ok_or(MetadataError::Missing(KEY_BASE_MEAN))?;
            let rejection_similarity = metadata
                .rejection_similarity
                .ok_or(MetadataError::Missing(KEY_REJECTION_SIMILARITY))?;
            if base_mean.len() != dims.0 + dims.1 {
                return Err(MetadataError::BaseMeanLength {
                    found: base_mean.len(),
                    expected: dims.0 + dims.1,
                });
            }
            Ok(Self {
                model: model.to_owned(),
                frontend: description.config,
                layout: description.layout,
                base_mean,
                rejection_similarity,
                reference: metadata.reference,
                invariant_dim: dims.0,
                equivariant_dim: dims.1,
            })
        };
        complete().map_err(|source| EngineError::Metadata {
            model: model.to_owned(),
            source,
        })
    }

    /// Shape of `batch` patches as the graph wants them.
    fn input_shape(&self, batch: usize) -> [usize; 4] {
        let (frames, mels) = (self.frontend.frames as usize, self.frontend.mels as usize);
        match self.layout {
            Layout::TimeMel => [batch, 1, frames, mels],
            Layout::MelTime => [batch, 1, mels, frames],
        }
    }

    /// Patches (time-major) in the order in which the graph wants their values.
    ///
    /// # Panics
    /// If `patches` is not a whole number of patches.
    fn arrange(&self, patches: &[f32]) -> Vec<f32> {
        let len = self.frontend.patch_len();
        assert!(
            patches.len().is_multiple_of(len),
            "{} values are not a whole number of patches of {len}",
            patches.len()
        );
        match self.layout {
            Layout::TimeMel => patches.to_vec(),
            Layout::MelTime => {
                let (frames, mels) = (self.frontend.frames as usize, self.frontend.mels as usize);
                let mut arranged = Vec::with_capacity(patches.len());
                for patch in patches.chunks_exact(len) {
                    for mel in 0..mels {
                        arranged.extend((0..frames).map(|frame| patch[frame * mels + mel]));
                    }
                }
                arranged
            }
        }
    }

    /// Writes the paths' outputs, each `[batch][dim]`, as embeddings one after the other.
    fn join(&self, outputs: [&[f32]; 2], embeddings: &mut [f32]) -> Result<(), EngineError> {
        let dims = [self.invariant_dim, self.equivariant_dim];
        let dim = dims[0] + dims[1];
        let batch = embeddings.len() / dim;
        for (output, width) in outputs.iter().zip(dims) {
            if output.len() != batch * width {
                return Err(EngineError::Run {
                    model: self.model.clone(),
                    reason: format!(
                        "an output holds {} values where {batch} x {width} were expected",
                        output.len()
                    ),
                });
            }
        }
        for (index, embedding) in embeddings.chunks_exact_mut(dim).enumerate() {
            let (invariant, equivariant) = embedding.split_at_mut(dims[0]);
            invariant.copy_from_slice(&outputs[0][index * dims[0]..][..dims[0]]);
            equivariant.copy_from_slice(&outputs[1][index * dims[1]..][..dims[1]]);
        }
        Ok(())
    }
}

/// Which of a graph's outputs is which path: the named ones, or a single output of any name.
#[cfg_attr(not(any(feature = "tract", feature = "ort")), allow(dead_code))]
fn path_outputs(names: &[String]) -> Result<(usize, Option<usize>), String> {
    let position = |wanted: &str| names.iter().position(|name| name == wanted);
    match (position(INVARIANT), position(EQUIVARIANT), names.len()) {
        (Some(invariant), equivariant, _) => Ok((invariant, equivariant)),
        (None, None, 1) => Ok((0, None)),
        _ => Err(format!(
            "its outputs are {}; expected `{INVARIANT}` and `{EQUIVARIANT}`, or a single output",
            names.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_by_name_or_alone() {
        let names = |list: &[&str]| list.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(
            path_outputs(&names(&["equivariant", "invariant"])),
            Ok((1, Some(0)))
        );
        assert_eq!(path_outputs(&names(&["features"])), Ok((0, None)));
        assert!(
            path_outputs(&names(&["a", "b"]))
                .unwrap_err()
                .contains("a, b")
        );
    }
}
