//! Learners: the sounds that were taught under a backbone.

use crate::backbone::{Backbone, locked};
use crate::error::{Error, raised, refused};
use crate::sound::Sound;
use mtslvr_listen::profile::{
    ClassLabel, ClipLog, Explained, Lesson, Memory, Profile, Resemblance, Snapshot, check_name,
    composed, decibels, find_sound, teach,
};
use mtslvr_runtime::fewshot::{Class, ClassId, Learner, Limits, Role};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use self_cell::{MutBorrow, self_cell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Name of a snapshot without a file in messages.
const SNAPSHOT: &str = "the snapshot";

self_cell!(
    /// A learner in memory of its own.
    struct Cell {
        owner: MutBorrow<Memory>,
        #[not_covariant]
        dependent: Learner,
    }
);

/// All that was taught.
pub struct Taught {
    cell: Cell,
    /// Recordings that examples were made of.
    clips: ClipLog,
}

impl Taught {
    fn new(backbone: &Backbone) -> Self {
        let memory = Memory::for_backbone(&*backbone.locked());
        let cell = Cell::new(MutBorrow::new(memory), |memory| {
            memory.borrow_mut().learner()
        });
        Self {
            cell,
            clips: ClipLog::default(),
        }
    }

    /// Holds what `snapshot` holds. One without examples fits every backbone.
    fn restored(backbone: &Backbone, snapshot: &Snapshot) -> PyResult<Self> {
        let mut taught = Self::new(backbone);
        let header = snapshot.header();
        let restored = taught.with(|learner| {
            if header.examples > 0 || header.backbone == learner.space().backbone() {
                snapshot.restore(learner)?;
            }
            Ok(())
        });
        restored.map_err(|error: mtslvr_listen::profile::ProfileError| raised(error))?;
        Ok(taught)
    }

    /// Calls `work` with the learner.
    fn with<T>(&mut self, work: impl FnOnce(&mut Learner<'_>) -> T) -> T {
        self.cell.with_dependent_mut(|_, learner| work(learner))
    }

    /// Calls `work` with the learner, fitted to what was taught. There is nothing to fit while no class takes part.
    pub fn fitted<T>(&mut self, work: impl FnOnce(&mut Learner<'_>) -> T) -> PyResult<T> {
        self.with(|learner| {
            let enabled = learner.support().classes().iter().any(Class::is_enabled);
            if enabled && learner.head().is_none() {
                let mut scratch = vec![0.0; learner.scratch_len()];
                learner.fit(&mut scratch).map_err(raised)?;
            }
            Ok(work(learner))
        })
    }
}

/// Learns sounds from one to five examples of each, and tells them apart from all others.
///
/// What is taught is saved as the profile that ``mtslvr``, the browser page and devices read. Any number of threads may
/// use a learner.
#[pyclass(frozen, module = "mtslvr", name = "Learner")]
pub struct PyLearner {
    backbone: Py<Backbone>,
    taught: Mutex<Taught>,
}

/// An example that was learnt.
#[pyclass(frozen, get_all, module = "mtslvr")]
#[derive(Clone, Debug)]
pub struct Example {
    /// Name of the sound that it is an example of.
    name: String,
    /// Length of the part that was used, seconds.
    seconds: f32,
    /// Level of the loudest sample, dB of full scale.
    peak_db: f32,
    /// Where that part begins in the recording, seconds; ``None`` if all of it was used.
    start: Option<f32>,
    /// Length of the recording, seconds; ``None`` if all of it was used.
    of: Option<f32>,
    /// Sounds that were found in the recording; ``None`` if none were looked for.
    sounds: Option<usize>,
    /// Example of this name, counted from 0, that does not resemble the others; ``None`` if all do.
    doubtful: Option<usize>,
}

/// What a learner takes a sound for.
#[pyclass(frozen, get_all, module = "mtslvr")]
#[derive(Clone, Debug)]
pub struct Decision {
    /// Name of the sound; ``None`` if it is unknown.
    name: Option<String>,
    /// The class that it is most like, recognised or not.
    best: String,
    /// How like that class it is, -1 to 1.
    score: f32,
    /// The score that is needed.
    threshold: f32,
    /// Share of strange sounds that would be less like that class, 0 to 1.
    confidence: f32,
    /// Score of the classifier for each class, by its name; minus infinity for one that is disabled.
    scores: HashMap<String, f32>,
}

/// A class of sounds that was taught.
#[pyclass(frozen, get_all, module = "mtslvr", name = "Class")]
#[derive(Clone, Debug)]
pub struct PyClass {
    /// Its name.
    name: String,
    /// ``sound``, ``negatives`` or ``background``.
    role: &'static str,
    /// Number of examples.
    examples: usize,
    /// Whether it takes part.
    enabled: bool,
    /// Lowest score at which a sound is recognised.
    threshold: f32,
    /// The threshold that was set for it; ``None`` where it is computed from the examples.
    own_threshold: Option<f32>,
}

#[pymethods]
impl PyLearner {
    #[new]
    fn new(backbone: Py<Backbone>) -> Self {
        let taught = Mutex::new(Taught::new(backbone.get()));
        Self { backbone, taught }
    }

    /// Reads a profile that was enrolled under ``backbone``, by this package, ``mtslvr enrol``, the browser page or a
    /// device.
    ///
    /// Raises
    /// ------
    /// FileNotFoundError
    ///     If there is no such file.
    /// Error
    ///     If it is no profile, or one of another backbone.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, backbone: Py<Backbone>) -> PyResult<Self> {
        let own = backbone.get();
        let taught = py.detach(|| {
            let snapshot = Snapshot::read(&path).map_err(raised)?;
            let profile = Profile::new(Some(path)).map_err(raised)?;
            Ok::<_, PyErr>(Taught {
                clips: ClipLog::read(&profile).map_err(raised)?,
                ..Taught::restored(own, &snapshot)?
            })
        })?;
        let taught = Mutex::new(taught);
        Ok(Self { backbone, taught })
    }

    /// Writes a profile, which replaces the one at ``path``: all of it or nothing.
    ///
    /// ``mtslvr listen --profile`` and ``mtslvr classes --profile`` take it. The backbone and the recordings that the
    /// examples were made of are listed in files beside it. What was replaced comes back with ``mtslvr classes undo``.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| {
            let profile = Profile::new(Some(path))?;
            let lock = profile.lock()?;
            let mut taught = self.locked();
            let Taught { cell, clips } = &mut *taught;
            cell.with_dependent_mut(|_, learner| {
                clips.retain(learner.support());
                // The lists first: an entry too many does no harm, and one too few loses a recording.
                clips.write(&lock)?;
                self.backbone.get().note().write(&lock)?;
                lock.write(learner)
            })
        })
        .map_err(|error: mtslvr_listen::profile::ProfileError| raised(error))
    }

    /// Reads a profile from bytes: those of a profile's file, or a device's.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8], backbone: Py<Backbone>) -> PyResult<Self> {
        let own = backbone.get();
        let taught = py.detach(|| {
            let snapshot = Snapshot::from_reader(data, Path::new(SNAPSHOT)).map_err(raised)?;
            Taught::restored(own, &snapshot)
        })?;
        let taught = Mutex::new(taught);
        Ok(Self { backbone, taught })
    }

    /// Returns the bytes of a profile's file, which devices read.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let snapshot = self.with(py, |learner| Snapshot::of(learner, Path::new(SNAPSHOT)));
        PyBytes::new(py, snapshot.as_bytes())
    }

    /// The backbone whose embeddings it learns from.
    #[getter]
    fn backbone(&self, py: Python<'_>) -> Py<Backbone> {
        self.backbone.clone_ref(py)
    }

    /// Teaches a sound from an example of it, as ``mtslvr enrol`` does.
    ///
    /// A recording need not be trimmed: its main sound is found as :class:`Listener` will hear it.
    ///
    /// Parameters
    /// ----------
    /// name:
    ///     Name of the sound, or :data:`NEGATIVES` for sounds that must not be recognised, or :data:`BACKGROUND` for
    ///     the usual sound of the place, which is used whole.
    /// sound:
    ///     Path of a recording, or float32 samples of one channel, shape ``[samples]``, with full scale at 1.
    /// rate:
    ///     Samples a second of an array, Hz.
    /// whole:
    ///     Use the recording as it is, silence and all.
    /// force:
    ///     Learn it even if the checks refuse it.
    ///
    /// Raises
    /// ------
    /// RefusedError
    ///     If the checks refuse it: it is too quiet, too short, clipped, unlike the other examples of its name or like
    ///     another sound, no sound stands out in it, or it is an example already. Nothing was learnt then.
    #[pyo3(signature = (name, sound, *, rate=None, whole=false, force=false))]
    fn enrol(
        &self,
        py: Python<'_>,
        name: &str,
        sound: &Bound<'_, PyAny>,
        rate: Option<u32>,
        whole: bool,
        force: bool,
    ) -> PyResult<Example> {
        let sound = Sound::new(sound, rate)?;
        let name = name.trim();
        let lesson = Lesson {
            label: label(name),
            limits: Limits::default(),
            force,
        };
        let whole = whole || lesson.label == ClassLabel::Background;
        let outcome = py.detach(|| {
            let recording = sound
                .recording(&mut self.backbone.get().locked(), whole)
                .map_err(raised)?;
            let source = sound.source(&recording);
            let mut taught = self.locked();
            let Taught { cell, clips } = &mut *taught;
            cell.with_dependent_mut(|_, learner| {
                let class = match teach(learner, &lesson, &recording).map_err(raised)? {
                    Ok(class) => class,
                    Err(why) => {
                        return Ok::<_, PyErr>(Err(Explained::new(
                            &why,
                            &lesson,
                            learner.support(),
                        )));
                    }
                };
                if let Some(source) = source
                    && let Some(example) = learner.support().examples(class).last()
                {
                    clips.insert(example, source);
                }
                let alike = Resemblance::of(learner, class).filter(Resemblance::is_doubtful);
                let is_sound = matches!(lesson.label, ClassLabel::Sound(_));
                Ok(Ok(Example {
                    name: name_of(learner, class),
                    seconds: recording.seconds(),
                    peak_db: decibels(recording.levels().peak()),
                    start: recording.cut().map(|(cut, _)| cut.start.max(0.0) as f32),
                    of: recording.cut().map(|(_, of)| of),
                    sounds: recording.sounds(),
                    doubtful: alike.filter(|_| is_sound).map(|alike| alike.least()),
                }))
            })
        })?;
        outcome.map_err(|why| refused(py, &why))
    }

    /// Tells which sound a recording is of, if it is one of those that were taught.
    ///
    /// Its main sound is judged, or all of it if it is used ``whole``.
    ///
    /// Parameters
    /// ----------
    /// sound:
    ///     Path of a recording, or float32 samples of one channel, shape ``[samples]``, with full scale at 1.
    /// rate:
    ///     Samples a second of an array, Hz.
    /// whole:
    ///     Judge the recording as it is, silence and all.
    #[pyo3(signature = (sound, *, rate=None, whole=false))]
    fn classify(
        &self,
        py: Python<'_>,
        sound: &Bound<'_, PyAny>,
        rate: Option<u32>,
        whole: bool,
    ) -> PyResult<Decision> {
        let sound = Sound::new(sound, rate)?;
        py.detach(|| {
            let recording = sound
                .recording(&mut self.backbone.get().locked(), whole)
                .map_err(raised)?;
            self.decide(recording.embedding())
        })
    }

    /// Tells which sound an embedding is of: float32, shape ``[dim]``, from :meth:`Backbone.embed`.
    fn classify_embedding(
        &self,
        py: Python<'_>,
        embedding: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<Decision> {
        let embedding = embedding.as_array().to_vec();
        py.detach(|| self.decide(&embedding))
    }

    /// The classes, in the order in which they were taught.
    #[getter]
    fn classes(&self, py: Python<'_>) -> PyResult<Vec<PyClass>> {
        py.detach(|| {
            self.locked().fitted(|learner| {
                let classes = learner.support().classes().iter();
                classes.map(|class| PyClass::of(learner, class)).collect()
            })
        })
    }

    /// Threshold of sounds without one of their own; ``None`` computes it from the examples.
    #[getter]
    fn default_threshold(&self, py: Python<'_>) -> Option<f32> {
        self.with(py, |learner| learner.support().default_threshold())
    }

    #[setter]
    fn set_default_threshold(&self, py: Python<'_>, threshold: Option<f32>) -> PyResult<()> {
        self.with(py, |learner| learner.set_default_threshold(threshold))
            .map_err(raised)
    }

    /// Sets the threshold of a sound, -1 to 1; ``None`` takes it back.
    fn set_threshold(&self, py: Python<'_>, name: &str, threshold: Option<f32>) -> PyResult<()> {
        self.with(py, |learner| {
            let class = found(learner, name)?;
            learner
                .set_class_threshold(class, threshold)
                .map_err(raised)
        })
    }

    /// Gives a sound another name.
    fn rename(&self, py: Python<'_>, name: &str, new: &str) -> PyResult<()> {
        check_name(new).map_err(raised)?;
        self.with(py, |learner| {
            let class = found(learner, name)?;
            let support = learner.support_mut();
            if find_sound(support, new).is_some_and(|other| other != class) {
                return Err(Error::new_err(format!(
                    "{new}: a class has this name already; choose another name, or delete that class first"
                )));
            }
            support.rename(class, &composed(new.trim())).map_err(raised)
        })
    }

    /// Deletes a class, or one of its examples, counted from 0. A class goes with its last example.
    #[pyo3(signature = (name, example=None))]
    fn delete(&self, py: Python<'_>, name: &str, example: Option<usize>) -> PyResult<()> {
        self.with(py, |learner| {
            let class = found(learner, name)?;
            let support = learner.support_mut();
            match example {
                Some(example) => support.remove_example(class, example).map_err(raised),
                None => support.remove(class).map_err(raised),
            }
        })
    }

    /// Lets a class take part, or not.
    #[pyo3(signature = (name, enabled=true))]
    fn enable(&self, py: Python<'_>, name: &str, enabled: bool) -> PyResult<()> {
        self.with(py, |learner| {
            let class = found(learner, name)?;
            let support = learner.support_mut();
            support.set_enabled(class, enabled).map_err(raised)
        })
    }

    /// Number of classes.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.with(py, |learner| learner.support().class_count())
    }

    /// Tells whether there is a class of this name.
    fn __contains__(&self, py: Python<'_>, name: &str) -> bool {
        self.with(py, |learner| label(name).find(learner.support()).is_some())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let names = self.with(py, |learner| names(learner));
        format!(
            "<mtslvr.Learner under {:?}: {}>",
            self.backbone.get().file().name(),
            match &names[..] {
                [] => "nothing taught".to_owned(),
                names => names.join(", "),
            }
        )
    }
}

impl PyLearner {
    /// Calls `work` with the learner, without Python's interpreter lock: another thread may be using it for a while.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Learner<'_>) -> T + Send) -> T {
        py.detach(|| self.locked().with(work))
    }

    /// Lends what was taught.
    pub fn locked(&self) -> MutexGuard<'_, Taught> {
        locked(&self.taught)
    }

    /// Lends its backbone.
    pub fn own_backbone(&self) -> &Backbone {
        self.backbone.get()
    }

    fn decide(&self, embedding: &[f32]) -> PyResult<Decision> {
        self.locked().fitted(|learner| {
            let mut scores = vec![0.0; learner.support().class_count()];
            let decision = learner.classify(embedding, &mut scores).map_err(raised)?;
            Ok(Decision {
                name: decision.class.map(|class| name_of(learner, class)),
                best: name_of(learner, decision.best),
                score: decision.similarity,
                threshold: decision.threshold,
                confidence: 1.0 - decision.chance,
                scores: names(learner).into_iter().zip(scores).collect(),
            })
        })?
    }
}

impl PyClass {
    fn of(learner: &Learner<'_>, class: &Class) -> Self {
        Self {
            name: ClassLabel::of(class.role(), class.name()).to_string(),
            role: match class.role() {
                Role::Negatives => "negatives",
                Role::Background => "background",
                _ => "sound",
            },
            examples: class.examples(),
            enabled: class.is_enabled(),
            threshold: learner.threshold(class.id()),
            own_threshold: class.threshold(),
        }
    }
}

#[pymethods]
impl PyClass {
    fn __repr__(&self) -> String {
        let Self {
            name,
            examples,
            threshold,
            ..
        } = self;
        let off = if self.enabled { "" } else { ", disabled" };
        format!("<mtslvr.Class {name:?}: {examples} examples, threshold {threshold:.2}{off}>")
    }
}

#[pymethods]
impl Example {
    fn __repr__(&self) -> String {
        let part = match (self.start, self.of) {
            (Some(start), Some(of)) => {
                format!("{:.2} of {of:.2} s, from {start:.2} s on", self.seconds)
            }
            _ => format!("{:.2} s", self.seconds),
        };
        format!(
            "<mtslvr.Example of {:?}: {part}, peak {:.0} dB>",
            self.name, self.peak_db
        )
    }
}

#[pymethods]
impl Decision {
    fn __repr__(&self) -> String {
        let known = match &self.name {
            Some(name) => format!("{name:?}"),
            None => format!("unknown, most like {:?}", self.best),
        };
        format!(
            "<mtslvr.Decision {known}: score {:.2}, threshold {:.2}, confidence {:.2}>",
            self.score, self.threshold, self.confidence
        )
    }
}

/// Returns the class that `name` stands for.
fn label(name: &str) -> ClassLabel<'_> {
    let nameless = [ClassLabel::Negatives, ClassLabel::Background];
    let nameless = nameless.into_iter().find(|label| name == label.to_string());
    nameless.unwrap_or(ClassLabel::Sound(name))
}

/// Returns the class that is called `name`.
fn found(learner: &Learner<'_>, name: &str) -> PyResult<ClassId> {
    label(name).find(learner.support()).ok_or_else(|| {
        PyKeyError::new_err(format!(
            "no class is called {name}; the classes are {}",
            names(learner).join(", ")
        ))
    })
}

/// Returns the names of all classes, in their order.
fn names(learner: &Learner<'_>) -> Vec<String> {
    let classes = learner.support().classes().iter();
    classes
        .map(|class| ClassLabel::of(class.role(), class.name()).to_string())
        .collect()
}

/// Returns the name of a class; empty if it is not there any more.
pub fn name_of(learner: &Learner<'_>, class: ClassId) -> String {
    let class = learner.support().class(class);
    class.map_or_else(
        |_| String::new(),
        |class| ClassLabel::of(class.role(), class.name()).to_string(),
    )
}
