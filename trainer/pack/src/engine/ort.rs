//! Runs the exported ONNX model in ONNX Runtime, whose shared library is loaded at run time.

use super::described::{Described, prepared, read_model};
use super::error::EngineError;
use crate::metadata::OnnxMetadata;
use crate::part_outputs::part_outputs;
use mtslvr_runtime::backbone::{Backbone, EmbedError};
use mtslvr_runtime::space::EmbeddingSpace;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::{TensorRef, ValueType};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Environment variable that names ONNX Runtime's shared library.
pub const ORT_LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// A float backbone run by ONNX Runtime on one thread.
pub struct OrtBackbone {
    described: Described,
    session: Session,
    input: String,
    /// The name of the output that holds each part.
    outputs: Vec<String>,
}

impl OrtBackbone {
    /// Loads the library, or says why that does not work. Opening a model does this by itself.
    ///
    /// # Errors
    /// [`EngineError::Library`] if the library is absent, too old or another file.
    pub fn load_library() -> Result<(), EngineError> {
        environment().map(|_| ())
    }

    /// Opens an ONNX file that describes itself in its metadata.
    ///
    /// # Errors
    /// [`EngineError`] if the file cannot be read; also as [`Self::from_bytes`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let (model, bytes) = read_model(path.as_ref())?;
        Self::from_bytes(&bytes, &model, None)
    }

    /// Opens an ONNX model in memory; errors call it `model`. With `metadata`, that is used in
    /// place of the file's own (a foreign export has none).
    ///
    /// # Errors
    /// [`EngineError`] if the library cannot be loaded, it cannot take the graph, or the metadata is missing
    /// or does not fit the graph.
    pub fn from_bytes(
        bytes: &[u8],
        model: &str,
        metadata: Option<OnnxMetadata>,
    ) -> Result<Self, EngineError> {
        let graph_error = |reason: String| EngineError::Graph {
            model: model.to_owned(),
            reason,
        };
        // A library that is missing is said first.
        environment()?;
        let (graph, metadata) = prepared(bytes, model, metadata)?;
        let session = open_session(&graph, model)?;
        let [input] = session.inputs() else {
            return Err(graph_error(format!(
                "it has {} inputs, expected one",
                session.inputs().len()
            )));
        };
        let input = input.name().to_owned();
        let names: Vec<String> = session
            .outputs()
            .iter()
            .map(|o| o.name().to_owned())
            .collect();
        let parts = part_outputs(&names, metadata.parts.as_deref()).map_err(graph_error)?;
        let width = |index: usize| match session.outputs()[index].dtype() {
            ValueType::Tensor { shape, .. } if shape.last().is_some_and(|dim| *dim > 0) => {
                Ok(shape[shape.len() - 1] as usize)
            }
            other => Err(graph_error(format!(
                "output `{}` is {other}, expected [batch, dim]",
                names[index]
            ))),
        };
        let widths = parts.iter().map(|part| width(part.index));
        let widths = widths.collect::<Result<Vec<usize>, _>>()?;
        let outputs = parts.iter().map(|part| names[part.index].clone()).collect();
        Ok(Self {
            described: Described::new(model, bytes, metadata, &parts, &widths)?,
            session,
            input,
            outputs,
        })
    }

    /// Embeds any number of patches, laid one after the other, in one run.
    ///
    /// # Errors
    /// If `patches` is not a whole number of patches, `embeddings` has no room for exactly as many
    /// embeddings, or ONNX Runtime fails.
    pub fn embed_batch(
        &mut self,
        patches: &[f32],
        embeddings: &mut [f32],
    ) -> Result<(), EngineError> {
        let space = self.space();
        let (patch_len, found) = (space.frontend().patch_len(), patches.len());
        let batch = found / patch_len;
        if found != batch * patch_len {
            let expected = batch * patch_len;
            return Err(EmbedError::Patch { expected, found }.into());
        }
        let (expected, found) = (batch * space.dim(), embeddings.len());
        if found != expected {
            return Err(EmbedError::Embedding { expected, found }.into());
        }
        let arranged = self.described.arrange(patches);
        let model = &self.described.model;
        let run_error = |error: ort::Error| EngineError::Run {
            model: model.clone(),
            reason: error.to_string(),
        };
        let shape = self.described.input_shape(batch);
        let tensor = TensorRef::from_array_view((shape, arranged.as_slice())).map_err(run_error)?;
        let outputs = self
            .session
            .run(ort::inputs![self.input.as_str() => tensor])
            .map_err(run_error)?;
        let values = self.outputs.iter().map(|name| {
            outputs[name.as_str()]
                .try_extract_tensor::<f32>()
                .map(|(_, values)| values)
                .map_err(run_error)
        });
        let values = values.collect::<Result<Vec<&[f32]>, _>>()?;
        self.described.join(&values, embeddings)
    }
}

impl Backbone for OrtBackbone {
    type Error = EngineError;

    fn space(&self) -> EmbeddingSpace<'_> {
        self.described.space.as_space()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EngineError> {
        EmbedError::check(&self.space(), patch, embedding)?;
        self.embed_batch(patch, embedding)
    }
}

impl core::fmt::Debug for OrtBackbone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OrtBackbone")
            .field("described", &self.described)
            .finish_non_exhaustive()
    }
}

/// Opens an ONNX model in memory, to run on one thread; errors call it `model`.
pub(super) fn open_session(bytes: &[u8], model: &str) -> Result<Session, EngineError> {
    Session::builder(environment()?)
        .map_err(|error| error.to_string())
        .and_then(|builder| builder.with_intra_threads(1).map_err(|e| e.to_string()))
        .and_then(|mut builder| builder.commit_from_memory(bytes).map_err(|e| e.to_string()))
        .map_err(|reason| EngineError::Graph {
            model: model.to_owned(),
            reason,
        })
}

/// Returns the one environment of this process. A failure is kept too: the library is looked for once.
fn environment() -> Result<&'static Environment, EngineError> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    ENVIRONMENT
        .get_or_init(|| create_environment(std::env::var_os(ORT_LIBRARY_VARIABLE).map(Into::into)))
        .as_ref()
        .map_err(|reason| EngineError::Library {
            reason: reason.clone(),
        })
}

/// Loads `library`, or the platform's own name for it where none is given.
///
/// `ort` would load it by itself at its first use, but panics where that fails.
fn create_environment(library: Option<PathBuf>) -> Result<Environment, String> {
    let what_to_do = format!(
        "set {ORT_LIBRARY_VARIABLE} to the shared library of ONNX Runtime 1.{} or newer (the \
         PyPI wheel `onnxruntime` holds it in onnxruntime/capi/)",
        ort::MINOR_VERSION
    );
    let given = library.filter(|path| !path.as_os_str().is_empty());
    let path = match &given {
        // `ort` takes a relative path as relative to the program, not to the current folder.
        Some(path) => path.canonicalize().map_err(|error| {
            format!(
                "{ORT_LIBRARY_VARIABLE} is {}, which cannot be found ({error}); {what_to_do}",
                path.display()
            )
        })?,
        None => format!(
            "{}onnxruntime{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        )
        .into(),
    };
    let failed = |reason: String| match &given {
        Some(_) => format!("ONNX Runtime cannot be used: {reason}; {what_to_do}"),
        None => format!(
            "ONNX Runtime is not there: {ORT_LIBRARY_VARIABLE} is not set, and {reason}; {what_to_do}"
        ),
    };
    ort::init_from(&path)
        .map_err(|error| failed(error.to_string()))?
        .with_name("mtslvr")
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs by itself only in the child process of the tests below, which set the library.
    #[test]
    #[ignore = "a part of the tests below"]
    fn child_says_why_the_library_cannot_be_used() {
        println!("{}", OrtBackbone::load_library().unwrap_err());
    }

    /// The library is loaded once for a process, so each case needs a process of its own.
    fn reason_with(library: &Path) -> String {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("engine::ort::tests::child_says_why_the_library_cannot_be_used")
            .env(ORT_LIBRARY_VARIABLE, library)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        String::from_utf8(child.stdout).unwrap()
    }

    #[test]
    fn an_absent_library_is_an_error_that_says_what_to_do() {
        let reason = reason_with(Path::new("/nowhere/libonnxruntime.so"));
        assert!(reason.contains("/nowhere/libonnxruntime.so"), "{reason}");
        assert!(reason.contains("set ORT_DYLIB_PATH"), "{reason}");
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error_that_names_it() {
        let file = std::env::temp_dir().join(format!("mtslvr-no-library-{}", std::process::id()));
        std::fs::write(&file, b"not a library").unwrap();
        let reason = reason_with(&file);
        std::fs::remove_file(&file).unwrap();
        assert!(reason.contains("mtslvr-no-library"), "{reason}");
        assert!(reason.contains("1.17"), "{reason}");
    }
}
