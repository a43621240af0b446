//! Opens a trained backbone: from an `.onnx`, a `.slvr` or a run folder, or one that is part of the
//! program.

#[cfg(feature = "onnx")]
use super::engine::part_outputs;
use super::engine::{EngineError, FloatBackbone, FloatEngine, FrontendDescription, open_float};
use super::inspect::Inspection;
#[cfg(feature = "onnx")]
use super::onnx;
use super::shipped::{ModelSource, ShippedModel, model_kinds};
#[cfg(feature = "onnx")]
use super::statistics::EmbeddingStatistics;
use super::work::{WorkError, WorkLimit};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::model::{AlignedBytes, Model, OpenError};
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_runtime::space::EmbeddingSpace;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Engine that runs a backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Engine {
    /// The float ONNX model in the packer's interpreter.
    #[cfg_attr(all(feature = "clap", not(feature = "onnx")), value(skip))]
    Interpreter,
    /// The float ONNX model in tract.
    #[cfg_attr(all(feature = "clap", not(feature = "tract")), value(skip))]
    Tract,
    /// The float ONNX model in ONNX Runtime.
    #[cfg_attr(all(feature = "clap", not(feature = "ort")), value(skip))]
    Ort,
    /// The packed int8 model.
    Packed,
}

/// [`FloatEngine::BUILT_IN`] among all engines.
const BUILT_IN: Engine = match FloatEngine::BUILT_IN {
    FloatEngine::Tract => Engine::Tract,
    _ => Engine::Interpreter,
};

impl Engine {
    /// Returns the name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interpreter => "interpreter",
            Self::Tract => "tract",
            Self::Ort => "ort",
            Self::Packed => "packed",
        }
    }
}

/// Explains why a backbone cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenBackboneError {
    /// The file cannot be read.
    #[error("{path}: cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Message of the operating system.
        source: std::io::Error,
    },
    /// A packed model is damaged or no packed model.
    #[error("{path}: not a usable packed model: {error}")]
    Packed {
        /// The file.
        path: PathBuf,
        /// Fault that was found.
        error: OpenError,
    },
    /// A packed model asks for too much.
    #[error("{path}: {error}")]
    Work {
        /// The file.
        path: PathBuf,
        /// Limit that it breaks.
        error: WorkError,
    },
    /// A float engine cannot take the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The folder holds no model.
    #[error("{folder}: holds no {file}; make it with `mtslvr export {folder}`")]
    NotExported {
        /// The run folder.
        folder: PathBuf,
        /// The model that is missing.
        file: &'static str,
    },
    /// An ONNX model cannot be inspected.
    #[error("{model}: {reason}")]
    Inspect {
        /// The model.
        model: String,
        /// Fault that was found.
        reason: String,
    },
    /// A packed model says itself how its input is made.
    #[error("{0}: a packed model holds its own frontend; --frontend is for .onnx models")]
    OwnFrontend(String),
    /// The engine runs the other kind of file.
    #[error("{path}: the {engine:?} engine runs {expected} files")]
    OtherEngine {
        /// The file.
        path: PathBuf,
        /// The engine asked for.
        engine: Engine,
        /// Ending of the files that it runs.
        expected: &'static str,
    },
    /// Neither a file, nor a folder, nor the name of a shipped backbone.
    #[error("{0}: there is no such file or folder; expected {kinds}", kinds = model_kinds())]
    NotFound(PathBuf),
    /// Neither a folder nor a file with a known ending.
    #[error("{0}: a file of another kind; expected {kinds}", kinds = model_kinds())]
    Kind(PathBuf),
}

/// Name of the float model in a run folder.
pub const ONNX_FILE: &str = "model.onnx";

/// Name of the packed model in a run folder.
pub const SLVR_FILE: &str = "model.slvr";

/// A backbone in any engine. The packed engine fails only if a length is wrong.
#[derive(Debug)]
pub enum OpenedBackbone {
    /// A float engine.
    Float(Box<dyn FloatBackbone>),
    /// The packed engine.
    Packed(Box<PackedBackbone<'static, Vec<i8>>>),
}

/// A model file read once, from which each thread makes a backbone of its own. One that asks for more
/// than the [limit of the environment](WorkLimit::from_environment) makes none, but can be inspected.
#[derive(Debug)]
pub struct BackboneFile {
    name: String,
    engine: Engine,
    bytes: Bytes,
    /// The ONNX file with placeholders for the statistics that it lacks.
    complete: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Bytes {
    Onnx(Vec<u8>),
    // Leaked: a program opens few models and runs them to its end.
    Packed(Box<Model<'static>>),
}

impl Bytes {
    fn packed(bytes: &[u8], path: &Path) -> Result<Self, OpenBackboneError> {
        let model = leak(AlignedBytes::new(bytes)).map_err(|error| OpenBackboneError::Packed {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self::Packed(Box::new(model)))
    }

    /// Refuses a packed model that asks for too much; an ONNX model is checked as it is read.
    fn check_work(&self) -> Result<(), WorkError> {
        let Self::Packed(model) = self else {
            return Ok(());
        };
        let arena = model.arena_len() as u64;
        if arena > WorkLimit::BYTES {
            let (what, found) = ("working memory", arena);
            return Err(WorkError::Bytes { what, found });
        }
        let steps = model.ops().map(|op| op.work());
        let steps = steps.fold(0, u64::saturating_add);
        WorkLimit::from_environment()?.check(steps)
    }
}

/// Reads a model's file, which ends.
fn read_file(path: &Path) -> Result<Vec<u8>, OpenBackboneError> {
    let read = |source| OpenBackboneError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = crate::regular::open(path).map_err(read)?;
    let mut file = file.take(WorkLimit::BYTES + 1);
    file.read_to_end(&mut bytes).map_err(read)?;
    let found = bytes.len() as u64;
    if found > WorkLimit::BYTES {
        let what = "file, or more,";
        return Err(OpenBackboneError::Work {
            path: path.to_owned(),
            error: WorkError::Bytes { what, found },
        });
    }
    Ok(bytes)
}

impl BackboneFile {
    /// Opens the model that a user named; see [`Self::read`] for files. A shipped backbone runs packed
    /// unless `engine` says otherwise.
    ///
    /// # Errors
    /// As [`Self::read`]; also if a shipped backbone is asked for in a float engine and this program does
    /// not carry its ONNX model.
    pub fn open(model: &ModelSource, engine: Option<Engine>) -> Result<Self, OpenBackboneError> {
        match model {
            ModelSource::Path(path) => Self::read(path, engine),
            ModelSource::Shipped(model) => Self::shipped(model, engine.unwrap_or(Engine::Packed)),
        }
    }

    fn shipped(model: &ShippedModel, engine: Engine) -> Result<Self, OpenBackboneError> {
        let bytes = match engine {
            Engine::Packed => Bytes::packed(model.slvr, Path::new(model.name))?,
            Engine::Interpreter | Engine::Tract | Engine::Ort => {
                let onnx = model.onnx.ok_or_else(|| EngineError::NotBuilt {
                    model: model.name.to_owned(),
                    engine: engine.name(),
                })?;
                Bytes::Onnx(onnx.to_vec())
            }
        };
        Ok(Self {
            name: model.name.to_owned(),
            engine,
            bytes,
            complete: None,
        })
    }

    /// Reads `path`. Without `engine`, a packed model runs packed, an ONNX model runs in
    /// [`FloatEngine::BUILT_IN`], and a run folder stands for its ONNX model.
    ///
    /// # Errors
    /// [`OpenBackboneError`] if there is no such file, a run folder holds no exported model, the file cannot
    /// be read, its name ends neither in `.onnx` nor in `.slvr`, `engine` runs files of the other kind, or a
    /// packed model does not pass its checks.
    pub fn read(path: &Path, engine: Option<Engine>) -> Result<Self, OpenBackboneError> {
        if let Ok(false) = path.try_exists() {
            return Err(OpenBackboneError::NotFound(path.to_owned()));
        }
        if path.is_dir() {
            let file = match engine {
                Some(Engine::Packed) => SLVR_FILE,
                _ => ONNX_FILE,
            };
            let model = path.join(file);
            if !model.exists() {
                let folder = path.to_owned();
                return Err(OpenBackboneError::NotExported { folder, file });
            }
            return Self::read(&model, engine);
        }
        let other = |engine, expected| OpenBackboneError::OtherEngine {
            path: path.to_owned(),
            engine,
            expected,
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let (engine, bytes) = match (ending, engine) {
            (Some("slvr"), None | Some(Engine::Packed)) => {
                (Engine::Packed, Bytes::packed(&read_file(path)?, path)?)
            }
            (Some("slvr"), Some(engine)) => return Err(other(engine, ".onnx")),
            (Some("onnx"), Some(Engine::Packed)) => return Err(other(Engine::Packed, ".slvr")),
            (Some("onnx"), engine) => (engine.unwrap_or(BUILT_IN), Bytes::Onnx(load_onnx(path)?)),
            _ => return Err(OpenBackboneError::Kind(path.to_owned())),
        };
        let file = Self {
            name: path.display().to_string(),
            engine,
            bytes,
            complete: None,
        };
        file.completed()
    }

    /// Says how the input of an ONNX model of another program is made, in place of its own metadata.
    /// Where it lacks a base mean and a reference, its backbones have placeholders for them until
    /// [`Self::measure`]; embeddings do not depend on them.
    ///
    /// # Errors
    /// [`OpenBackboneError::OwnFrontend`] for a packed model; [`OpenBackboneError::Engine`] if the model
    /// cannot be read, or this program was built without ONNX.
    #[cfg(feature = "onnx")]
    pub fn described(mut self, frontend: &FrontendDescription) -> Result<Self, OpenBackboneError> {
        let Bytes::Onnx(bytes) = &mut self.bytes else {
            return Err(OpenBackboneError::OwnFrontend(self.name));
        };
        let described = describe(bytes, frontend).map_err(|error| EngineError::Graph {
            model: self.name.clone(),
            reason: error.to_string(),
        })?;
        (*bytes, self.complete) = described;
        Ok(self)
    }

    /// Fills in placeholders for the statistics of an ONNX model that brings its frontend along, and lacks
    /// them.
    fn completed(self) -> Result<Self, OpenBackboneError> {
        #[cfg(feature = "onnx")]
        if let Bytes::Onnx(bytes) = &self.bytes
            && let Ok(metadata) = onnx::read_metadata(bytes)
            && metadata.base_mean.is_none()
            && let Some(frontend) = metadata.frontend.clone()
        {
            return self.described(&frontend);
        }
        Ok(self)
    }

    /// As above, for a program that runs no ONNX.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "onnx"))]
    pub fn described(self, _: &FrontendDescription) -> Result<Self, OpenBackboneError> {
        Err(match self.bytes {
            Bytes::Packed(_) => OpenBackboneError::OwnFrontend(self.name),
            Bytes::Onnx(_) => OpenBackboneError::Engine(EngineError::NotBuilt {
                model: self.name,
                engine: self.engine.name(),
            }),
        })
    }

    /// Returns whether the statistics of its embeddings are placeholders.
    pub fn is_unmeasured(&self) -> bool {
        self.complete.is_some()
    }

    /// Measures the statistics of an unmeasured model on `clips`, samples at its rate.
    ///
    /// # Errors
    /// If the model does not run, or there are fewer than two clips with sound.
    #[cfg(feature = "onnx")]
    pub fn measure(&mut self, clips: &[Vec<f32>]) -> Result<(), OpenBackboneError> {
        let unusable = |model: &str, reason: String| {
            let model = model.to_owned();
            OpenBackboneError::Engine(EngineError::Graph { model, reason })
        };
        let (Some(complete), Bytes::Onnx(bytes)) = (&self.complete, &self.bytes) else {
            return Ok(());
        };
        // The first says what is wrong with the model.
        self.backbone()?;
        let backbone = || self.backbone().expect("opened before");
        let statistics = EmbeddingStatistics::measure(backbone, clips)
            .map_err(|error| unusable(&self.name, error.to_string()))?;
        let measured = onnx::read_metadata(complete).and_then(|mut metadata| {
            metadata.base_mean = Some(statistics.base_mean);
            metadata.reference = Some(statistics.reference);
            onnx::with_metadata(bytes, &metadata)
        });
        let measured = measured.map_err(|error| unusable(&self.name, error.to_string()))?;
        (self.bytes, self.complete) = (Bytes::Onnx(measured), None);
        Ok(())
    }

    /// Returns the file's path or the shipped backbone's name, which opens the same model again.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the engine that the backbones of this file run on.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Makes a backbone that runs on `set`, or on the portable set if this machine lacks it. `None` if the
    /// model is not a packed one.
    ///
    /// # Errors
    /// [`OpenBackboneError::Work`] if the model asks for too much.
    pub fn backbone_on(
        &self,
        set: InstructionSet,
    ) -> Result<Option<OpenedBackbone>, OpenBackboneError> {
        self.check_work()?;
        Ok(match &self.bytes {
            Bytes::Packed(model) => Some(OpenedBackbone::Packed(packed(model, set))),
            Bytes::Onnx(_) => None,
        })
    }

    fn check_work(&self) -> Result<(), OpenBackboneError> {
        let path = PathBuf::from(&self.name);
        let work = self.bytes.check_work();
        work.map_err(|error| OpenBackboneError::Work { path, error })
    }

    /// Returns the packed model, if it is one.
    pub fn packed_model(&self) -> Option<Model<'static>> {
        match &self.bytes {
            Bytes::Packed(model) => Some(**model),
            Bytes::Onnx(_) => None,
        }
    }

    /// Inspects the model.
    ///
    /// # Errors
    /// If an ONNX model cannot be read, or does not say how its input is made; or if this program was
    /// built without ONNX.
    pub fn inspect(&self) -> Result<Inspection, OpenBackboneError> {
        match &self.bytes {
            Bytes::Packed(model) => Ok(Inspection::of_packed(model)),
            Bytes::Onnx(bytes) => {
                inspect_onnx(bytes).map_err(|reason| OpenBackboneError::Inspect {
                    model: self.name.clone(),
                    reason,
                })
            }
        }
    }

    /// Makes a backbone for each thread that work is shared among.
    ///
    /// # Errors
    /// As [`Self::backbone`].
    pub fn backbones(&self) -> Result<Vec<OpenedBackbone>, OpenBackboneError> {
        let threads = 0..rayon::current_num_threads();
        threads.map(|_| self.backbone()).collect()
    }

    /// Makes a backbone.
    ///
    /// # Errors
    /// [`OpenBackboneError`] if the engine is not built into this program or cannot run an ONNX model, or
    /// if a packed model, which was checked when it was opened, asks for too much.
    pub fn backbone(&self) -> Result<OpenedBackbone, OpenBackboneError> {
        self.check_work()?;
        Ok(match &self.bytes {
            Bytes::Packed(model) => OpenedBackbone::Packed(packed(model, InstructionSet::best())),
            Bytes::Onnx(bytes) => {
                let engine = match self.engine {
                    Engine::Interpreter => FloatEngine::Interpreter,
                    Engine::Tract => FloatEngine::Tract,
                    Engine::Ort => FloatEngine::Ort,
                    Engine::Packed => FloatEngine::BUILT_IN,
                };
                let bytes = self.complete.as_ref().unwrap_or(bytes);
                OpenedBackbone::Float(open_float(engine, bytes, &self.name)?)
            }
        })
    }
}

/// Opens a backbone: an `.onnx`, a `.slvr` or a run folder. See [`BackboneFile::read`].
///
/// # Errors
/// As [`BackboneFile::read`] and [`BackboneFile::backbone`].
pub fn open_backbone(
    path: &Path,
    engine: Option<Engine>,
) -> Result<OpenedBackbone, OpenBackboneError> {
    BackboneFile::read(path, engine)?.backbone()
}

/// Puts `frontend` into the metadata of an ONNX file. Returns the file, and the file with placeholders
/// for the statistics that it lacks.
#[cfg(feature = "onnx")]
fn describe(
    bytes: &[u8],
    frontend: &FrontendDescription,
) -> Result<(Vec<u8>, Option<Vec<u8>>), onnx::ImportError> {
    let mut metadata = onnx::read_metadata(bytes)?;
    metadata.frontend = Some(frontend.clone());
    let described = onnx::with_metadata(bytes, &metadata)?;
    if metadata.base_mean.is_some() && metadata.reference.is_some() {
        return Ok((described, None));
    }
    let outputs = onnx::checked(bytes, Some(frontend))?.outputs;
    let names: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
    let parts =
        part_outputs(&names, metadata.parts.as_deref()).map_err(onnx::ImportError::Interface)?;
    let dim = parts.iter().map(|part| outputs[part.index].1).sum();
    let placeholders = EmbeddingStatistics::unmeasured(dim);
    metadata.base_mean.get_or_insert(placeholders.base_mean);
    metadata.reference.get_or_insert(placeholders.reference);
    let complete = onnx::with_metadata(bytes, &metadata)?;
    Ok((described, Some(complete)))
}

/// Reads an ONNX file, and the files beside it that hold its weights.
#[cfg(feature = "onnx")]
fn load_onnx(path: &Path) -> Result<Vec<u8>, OpenBackboneError> {
    onnx::load(path).map_err(|error| match error {
        onnx::ImportError::Read { path, source } => OpenBackboneError::Read { path, source },
        error => OpenBackboneError::Engine(EngineError::Graph {
            model: path.display().to_string(),
            reason: error.to_string(),
        }),
    })
}

/// Reads an ONNX file, which no engine of this program runs.
#[cfg(not(feature = "onnx"))]
fn load_onnx(path: &Path) -> Result<Vec<u8>, OpenBackboneError> {
    read_file(path)
}

/// Inspects an ONNX model; the error is a sentence.
#[cfg(feature = "onnx")]
fn inspect_onnx(bytes: &[u8]) -> Result<Inspection, String> {
    Inspection::of_onnx(bytes).map_err(|error| error.to_string())
}

/// Says that this program cannot inspect an ONNX model.
#[cfg(not(feature = "onnx"))]
fn inspect_onnx(_: &[u8]) -> Result<Inspection, String> {
    Err("this program was built without ONNX; it looks into packed models (.slvr)".to_owned())
}

/// Makes a packed engine over a model, in an arena of its own, with the kernels of an instruction set
/// that this machine has.
fn packed(model: &Model<'static>, set: InstructionSet) -> Box<PackedBackbone<'static, Vec<i8>>> {
    let backbone = PackedBackbone::with_instruction_set(*model, vec![0; model.arena_len()], set);
    Box::new(backbone.expect("the arena is as long as the model says"))
}

/// Opens a packed model and keeps its memory until the program ends.
fn leak(bytes: AlignedBytes) -> Result<Model<'static>, OpenError> {
    // Checked first, so that only a good model is kept.
    Model::open(&bytes)?;
    Model::open(bytes.leak())
}

impl Backbone for OpenedBackbone {
    type Error = EngineError;

    fn space(&self) -> EmbeddingSpace<'_> {
        match self {
            Self::Float(backbone) => backbone.space(),
            Self::Packed(backbone) => backbone.space(),
        }
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EngineError> {
        match self {
            Self::Float(backbone) => backbone.embed(patch, embedding),
            Self::Packed(backbone) => Ok(backbone.embed(patch, embedding)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str, engine| {
            let path = folder.path().join(name);
            open_backbone(&path, engine).unwrap_err().to_string()
        };
        assert!(text("", None).contains("mtslvr export"));
        for gone in ["gone.onnx", "gone.bin", "edge-x"] {
            let text = text(gone, None);
            assert!(
                text.contains(gone) && text.contains("no such file"),
                "{text}"
            );
            assert!(text.contains("run folder"), "{text}");
            assert!(text.contains("(edge-s or edge-m)"), "{text}");
        }
        for name in ["noise.slvr", "noise.onnx", "noise.bin"] {
            std::fs::write(folder.path().join(name), b"not a model").unwrap();
        }
        assert!(text("noise.slvr", None).contains("not a usable packed model"));
        assert!(text("noise.onnx", None).contains("noise.onnx"));
        assert!(text("noise.bin", None).contains("expected an .onnx"));
        assert!(text("noise.slvr", Some(Engine::Tract)).contains(".onnx files"));
    }
}
