//! Backbones.

use crate::error::{Error, raised};
use crate::sound::Sound;
use anyhow::{Context, Result, anyhow};
use mtslvr_audio::read_bounded;
use mtslvr_evaluate::{ClipFeatures, embed_clips};
use mtslvr_listen::profile::BackboneNote;
use mtslvr_pack::engine::FrontendDescription;
use mtslvr_pack::{BackboneFile, Engine, ModelSource, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone as _;
use mtslvr_runtime::space::OwnedSpace;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySlice};
use rayon::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sounds that are in memory at once while many are embedded.
const BATCH: usize = 64;

/// Longest description of a frontend, bytes.
const MOST_DESCRIPTION: u64 = 1 << 20;

/// A frozen network that turns sounds into embeddings.
///
/// Make one with :meth:`Backbone.load`. Any number of threads may use it.
#[pyclass(frozen, module = "mtslvr")]
#[derive(Debug)]
pub struct Backbone {
    choice: Choice,
    file: BackboneFile,
    engine: Mutex<OpenedBackbone>,
    space: OwnedSpace,
}

/// A model as a user chose it.
#[derive(Clone, Debug)]
struct Choice {
    model: ModelSource,
    engine: Option<Engine>,
    frontend: Option<FrontendDescription>,
}

impl Choice {
    fn open(&self) -> Result<BackboneFile> {
        let file = BackboneFile::open(&self.model, self.engine)?;
        Ok(match &self.frontend {
            Some(frontend) => file.described(frontend)?,
            None => file,
        })
    }
}

#[pymethods]
impl Backbone {
    /// Opens a backbone.
    ///
    /// Parameters
    /// ----------
    /// model:
    ///     Name of a shipped backbone (``edge-s`` or ``edge-m``), or path of a ``.slvr`` file, an ``.onnx`` file or a
    ///     run folder.
    /// engine:
    ///     ``packed``, ``interpreter`` or ``ort``; by default, ``packed`` for packed and shipped models and
    ///     ``interpreter`` for ONNX. ``ort`` needs ONNX Runtime's library, named by ``ORT_DYLIB_PATH``.
    /// frontend:
    ///     Path of a TOML file that describes the input of an ONNX model of another program.
    ///
    /// Raises
    /// ------
    /// FileNotFoundError
    ///     If there is no such file.
    /// Error
    ///     If it is not a usable model.
    #[staticmethod]
    #[pyo3(signature = (model=None, *, engine=None, frontend=None), text_signature = "(model='edge-s', *, engine=None, frontend=None)")]
    fn load(
        py: Python<'_>,
        model: Option<PathBuf>,
        engine: Option<&str>,
        frontend: Option<PathBuf>,
    ) -> PyResult<Self> {
        let engine = engine.map(engine_of).transpose()?;
        py.detach(|| {
            let choice = Choice {
                model: model.map_or_else(ModelSource::default, |model| {
                    ModelSource::from(OsString::from(model))
                }),
                engine,
                frontend: frontend.as_deref().map(described_in).transpose()?,
            };
            let file = choice.open()?;
            let engine = file.backbone()?;
            Ok(Self {
                choice,
                space: engine.space().into_owned(),
                engine: Mutex::new(engine),
                file,
            })
        })
        .map_err(|error: anyhow::Error| raised(error))
    }

    /// Path of the file, or name of the shipped backbone.
    #[getter]
    fn name(&self) -> &str {
        self.file.name()
    }

    /// Engine that runs it.
    #[getter]
    fn engine(&self) -> &'static str {
        self.file.engine().name()
    }

    /// Id in hexadecimal, by which profiles name it.
    #[getter]
    fn id(&self) -> String {
        self.space.as_space().backbone().to_string()
    }

    /// Samples a second that it takes, Hz. Other rates are converted.
    #[getter]
    pub fn sample_rate(&self) -> u32 {
        self.space.as_space().frontend().sample_rate
    }

    /// Values of an embedding.
    #[getter]
    fn dim(&self) -> usize {
        self.space.dim()
    }

    /// Named parts of an embedding: ``embedding[backbone.parts["invariant"]]`` holds the values of one.
    #[getter]
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parts = PyDict::new(py);
        for (part, range) in self.space.as_space().parts().ranges() {
            let slice = PySlice::new(py, range.start as isize, range.end as isize, 1);
            parts.set_item(part.name, slice)?;
        }
        Ok(parts)
    }

    /// Embeds a sound.
    ///
    /// A sound that is longer than the model's window is cut into windows, whose embeddings are averaged, as
    /// ``mtslvr embed`` does.
    ///
    /// Parameters
    /// ----------
    /// sound:
    ///     Path of a recording, or float32 samples of one channel, shape ``[samples]``, with full scale at 1.
    /// rate:
    ///     Samples a second of an array, Hz; they are converted to :attr:`sample_rate`.
    ///
    /// Returns
    /// -------
    /// numpy.ndarray
    ///     float32, shape ``[dim]``.
    #[pyo3(signature = (sound, *, rate=None))]
    fn embed<'py>(
        &self,
        py: Python<'py>,
        sound: &Bound<'py, PyAny>,
        rate: Option<u32>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let sound = Sound::new(sound, rate)?;
        let embedding = py.detach(|| sound.embed(&mut self.locked()));
        Ok(PyArray1::from_vec(py, embedding.map_err(raised)?))
    }

    /// Embeds many sounds on all cores.
    ///
    /// Parameters
    /// ----------
    /// sounds:
    ///     Iterable of sounds, each as :meth:`embed` takes it.
    /// rate:
    ///     Samples a second of the arrays among them, Hz.
    ///
    /// Returns
    /// -------
    /// numpy.ndarray
    ///     float32, shape ``[sounds, dim]``: a row for each sound, equal to what :meth:`embed` returns.
    #[pyo3(signature = (sounds, *, rate=None))]
    fn embed_all<'py>(
        &self,
        py: Python<'py>,
        sounds: &Bound<'py, PyAny>,
        rate: Option<u32>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        if sounds.extract::<PathBuf>().is_ok() {
            return Err(PyTypeError::new_err(
                "sounds is one path; expected a list of sounds, such as sorted(folder.glob('*.wav'))".to_owned(),
            ));
        }
        let mut engines = py.detach(|| self.file.backbones()).map_err(raised)?;
        let mut iterator = sounds.try_iter()?;
        let (mut rows, mut count) = (Vec::new(), 0);
        loop {
            let mut batch = Vec::new();
            for sound in iterator.by_ref().take(BATCH) {
                let sound = sound?;
                // A path among arrays has no use for their rate.
                let rate = rate.filter(|_| sound.extract::<PathBuf>().is_err());
                batch.push(Sound::new(&sound, rate)?);
            }
            if batch.is_empty() {
                break;
            }
            let embedded = py.detach(|| embedded(&mut engines, &batch, self.sample_rate()));
            rows.extend(embedded.map_err(raised)?.rows);
            count += batch.len();
            py.check_signals()?;
        }
        PyArray1::from_vec(py, rows).reshape([count, self.dim()])
    }

    fn __repr__(&self) -> String {
        format!(
            "<mtslvr.Backbone {:?}: {} values at {} Hz, engine {}, id {}>",
            self.name(),
            self.dim(),
            self.sample_rate(),
            self.engine(),
            self.id()
        )
    }
}

impl Backbone {
    /// Lends the engine that single sounds are embedded with.
    pub fn locked(&self) -> MutexGuard<'_, OpenedBackbone> {
        locked(&self.engine)
    }

    /// Returns the file that it was made of.
    pub fn file(&self) -> &BackboneFile {
        &self.file
    }

    /// Opens its model anew.
    pub fn reopened(&self) -> Result<BackboneFile> {
        self.choice.open()
    }

    /// Returns the note to keep beside a profile that is enrolled under it.
    pub fn note(&self) -> BackboneNote {
        BackboneNote::of_choice(&self.choice.model, self.choice.engine)
    }
}

/// Waits for what is in `mutex`. What a thread that panicked left there is whole enough: it is checked where it is
/// used.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Embeds a batch of sounds.
fn embedded(engines: &mut [OpenedBackbone], batch: &[Sound], rate: u32) -> Result<ClipFeatures> {
    let clips = batch.par_iter().map(|sound| sound.samples(rate));
    let clips = clips.collect::<Result<Vec<_>, _>>()?;
    embed_clips(engines, &clips, || ()).map_err(|(clip, error)| anyhow!("{}: {error}", batch[clip]))
}

/// Returns the engine that is called `name`.
fn engine_of(name: &str) -> PyResult<Engine> {
    let engines = [Engine::Packed, Engine::Interpreter, Engine::Ort];
    let found = engines.into_iter().find(|engine| engine.name() == name);
    found.ok_or_else(|| {
        let names = engines.map(Engine::name).join(", ");
        Error::new_err(format!("engine={name:?}: expected one of {names}"))
    })
}

/// Reads the description of a model's input.
pub fn described_in(path: &Path) -> Result<FrontendDescription> {
    let name = path.display().to_string();
    let bytes =
        read_bounded(path, MOST_DESCRIPTION).with_context(|| format!("cannot read {name}"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("cannot read {name}"))?;
    FrontendDescription::parse(&text).context(name)
}
