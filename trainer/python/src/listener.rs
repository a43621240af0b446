//! Listeners: sounds recognised in a stream.

use crate::backbone::locked;
use crate::error::raised;
use crate::learner::{PyLearner, name_of};
use crate::sound::{checked_rate, samples};
use anyhow::anyhow;
use mtslvr_audio::StreamResampler;
use mtslvr_listen::capture::{Capture, Heard};
use mtslvr_listen::profile::Memory;
use mtslvr_pack::OpenedBackbone;
use mtslvr_runtime::backbone::Backbone as _;
use mtslvr_runtime::listener::{Change, Listener, ListenerConfig};
use numpy::PyUntypedArray;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use self_cell::{MutBorrow, self_cell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// Longest wait for samples before Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(50);

/// Samples of an array that are heard at once, of a second at 16 kHz.
const CHUNK: usize = 16_000;

self_cell!(
    /// A listener in a buffer of its own.
    struct Cell {
        owner: MutBorrow<Vec<f32>>,
        #[not_covariant]
        dependent: Listener,
    }
);

/// Everything of the stream that is heard.
struct Stream {
    engine: OpenedBackbone,
    cell: Cell,
    resampler: StreamResampler,
    /// Threshold of the event that goes on, from its beginning.
    threshold: f32,
}

/// Recognises the sounds of a learner in a stream, as ``mtslvr listen`` does.
///
/// Parameters
/// ----------
/// learner:
///     What was taught. Changes count at once.
/// rate:
///     Samples a second of the arrays that it hears, Hz; by default, the backbone's.
/// margin:
///     Score to add to every threshold: above 0 there are fewer false alarms, below 0 fewer misses.
/// gate:
///     How far a sound must rise above the background to be judged, dB; ``-inf`` judges every window.
/// cooldown:
///     Time after a sound in which the same sound is not reported again, seconds.
#[pyclass(frozen, module = "mtslvr", name = "Listener")]
pub struct PyListener {
    learner: Py<PyLearner>,
    rate: u32,
    config: ListenerConfig,
    stream: Mutex<Stream>,
}

/// A recognised sound began, or is over. Times are seconds from the beginning of the stream.
#[pyclass(frozen, get_all, module = "mtslvr")]
#[derive(Clone, Debug)]
pub struct Event {
    /// ``begin`` as soon as a sound is recognised, ``end`` when it is over.
    kind: &'static str,
    /// Name of the sound.
    name: String,
    /// Moment at which the sound began.
    start: f64,
    /// Moment at which it was recognised, for ``begin``; at which it ended, for ``end``.
    end: f64,
    /// How like its class it is, -1 to 1; the best of the sound, for ``end``.
    score: f32,
    /// The score that was needed, the margin included.
    threshold: f32,
    /// Share of strange sounds that would be less like the class, 0 to 1.
    confidence: f32,
}

/// Iterator over the events of a stream, from :meth:`Listener.listen`.
#[pyclass(frozen, module = "mtslvr")]
pub struct Events {
    listener: Py<PyListener>,
    pending: Mutex<Pending>,
}

/// Samples that are still to be heard, and events that are still to be given.
struct Pending {
    source: Source,
    events: VecDeque<Event>,
}

enum Source {
    Recording(Capture),
    Samples(VecDeque<Vec<f32>>),
    Arrays(Py<PyIterator>),
    Ended,
}

/// What comes next out of a source.
enum Piece {
    /// Samples at the backbone's rate.
    Decoded(Vec<f32>),
    /// Samples at the listener's rate.
    Given(Vec<f32>),
    /// No samples yet.
    Nothing,
    /// The end of the stream.
    End,
}

#[pymethods]
impl PyListener {
    #[new]
    #[pyo3(
        signature = (learner, *, rate=None, margin=ListenerConfig::DEFAULT.margin, gate=ListenerConfig::DEFAULT.gate, cooldown=ListenerConfig::DEFAULT.refractory),
        text_signature = "(learner, *, rate=None, margin=0.0, gate=4.0, cooldown=0.5)"
    )]
    fn new(
        py: Python<'_>,
        learner: Py<PyLearner>,
        rate: Option<u32>,
        margin: f32,
        gate: f32,
        cooldown: f32,
    ) -> PyResult<Self> {
        let backbone = learner.get().own_backbone();
        let rate = rate.map_or_else(|| Ok(backbone.sample_rate()), checked_rate)?;
        let config = ListenerConfig {
            margin,
            gate,
            refractory: cooldown,
            ..ListenerConfig::DEFAULT
        };
        let engine = py.detach(|| backbone.file().backbone()).map_err(raised)?;
        let space = engine.space();
        let classes = Memory::CLASSES;
        let len = Listener::buffer_len(space.frontend(), space.dim(), classes);
        let cell = Cell::try_new(MutBorrow::new(vec![0.0; len]), |buffer| {
            Listener::new(config, &space, classes, buffer.borrow_mut())
        });
        let cell = cell.map_err(raised)?;
        let stream = Stream {
            resampler: StreamResampler::new(rate, backbone.sample_rate()),
            engine,
            cell,
            threshold: 0.0,
        };
        Ok(Self {
            learner,
            rate,
            config,
            stream: Mutex::new(stream),
        })
    }

    /// The learner whose sounds it recognises.
    #[getter]
    fn learner(&self, py: Python<'_>) -> Py<PyLearner> {
        self.learner.clone_ref(py)
    }

    /// Samples a second of the arrays that it hears, Hz.
    #[getter]
    fn rate(&self) -> u32 {
        self.rate
    }

    /// Hears the samples that follow: float32, shape ``[samples]``, full scale at 1, at :attr:`rate`.
    ///
    /// Returns the events that began or ended in them. Events do not depend on how the stream is cut into calls.
    #[pyo3(signature = (samples))]
    fn push(&self, py: Python<'_>, samples: &Bound<'_, PyAny>) -> PyResult<Vec<Event>> {
        let samples = self::samples(samples)?;
        py.detach(|| self.hear(Piece::Given(samples)))
    }

    /// Ends the stream: a sound that is not over yet is decided on. Another stream may begin.
    fn finish(&self, py: Python<'_>) -> PyResult<Vec<Event>> {
        py.detach(|| self.hear(Piece::End))
    }

    /// Listens to a whole stream, which begins now, and iterates over its events as they happen.
    ///
    /// Parameters
    /// ----------
    /// sound:
    ///     Path of a recording; float32 samples at :attr:`rate`, shape ``[samples]``; or an iterable of such arrays,
    ///     such as a generator that reads a microphone.
    fn listen(slf: &Bound<'_, Self>, sound: &Bound<'_, PyAny>) -> PyResult<Events> {
        let own = slf.get();
        let source = if let Ok(path) = sound.extract::<PathBuf>() {
            let rate = own.learner.get().own_backbone().sample_rate();
            let capture = slf.py().detach(|| Capture::file(&path, rate, false));
            Source::Recording(capture.map_err(raised)?)
        } else if sound.is_instance_of::<PyUntypedArray>() {
            let samples = samples(sound)?;
            Source::Samples(samples.chunks(CHUNK).map(<[f32]>::to_vec).collect())
        } else {
            let arrays = sound.try_iter().map_err(|_| {
                PyTypeError::new_err(format!(
                    "a stream is of type {}; expected a path, a NumPy array of float32, or an iterable of such arrays",
                    sound.get_type()
                ))
            })?;
            Source::Arrays(arrays.unbind())
        };
        slf.py().detach(|| own.reset());
        Ok(Events {
            listener: slf.clone().unbind(),
            pending: Mutex::new(Pending {
                source,
                events: VecDeque::new(),
            }),
        })
    }

    fn __repr__(&self) -> String {
        let ListenerConfig {
            margin,
            gate,
            refractory,
            ..
        } = self.config;
        format!(
            "<mtslvr.Listener at {} Hz: margin {margin}, gate {gate} dB, cooldown {refractory} s>",
            self.rate
        )
    }
}

impl PyListener {
    /// Hears what comes next, and returns the events in it.
    fn hear(&self, piece: Piece) -> PyResult<Vec<Event>> {
        let mut stream = locked(&self.stream);
        let Stream {
            engine,
            cell,
            resampler,
            threshold,
        } = &mut *stream;
        let samples = match piece {
            Piece::Nothing => return Ok(Vec::new()),
            Piece::Decoded(samples) => Some(samples),
            Piece::Given(samples) => Some(resampler.push(&samples)),
            Piece::End => None,
        };
        let rate = f64::from(engine.space().frontend().sample_rate);
        let mut taught = self.learner.get().locked();
        let heard = taught.fitted(|learner| {
            let mut changes = Vec::new();
            cell.with_dependent_mut(|_, listener| match &samples {
                Some(samples) => listener.push(learner, engine, samples, |window| {
                    changes.extend(window.changes());
                }),
                None => listener.finish(learner, engine, |window| {
                    changes.extend(window.changes());
                }),
            })
            .map_err(|error| raised(anyhow!("{error}")))?;
            let event = |change| match change {
                Change::Began { event, judgement } => {
                    *threshold = judgement.threshold + self.config.margin;
                    Event {
                        kind: "begin",
                        name: name_of(learner, event.class),
                        start: event.start as f64 / rate,
                        end: event.end as f64 / rate,
                        score: judgement.similarity,
                        threshold: *threshold,
                        confidence: event.confidence,
                    }
                }
                Change::Ended(ended) => Event {
                    kind: "end",
                    name: name_of(learner, ended.class),
                    start: ended.start as f64 / rate,
                    end: ended.end as f64 / rate,
                    score: ended.similarity,
                    threshold: *threshold,
                    confidence: ended.confidence,
                },
            };
            Ok(changes.into_iter().map(event).collect())
        })?;
        drop(taught);
        if samples.is_none() {
            *resampler = StreamResampler::new(self.rate, rate as u32);
        }
        heard
    }

    /// Forgets the stream: another begins.
    fn reset(&self) {
        let mut stream = locked(&self.stream);
        let rate = stream.engine.space().frontend().sample_rate;
        stream.resampler = StreamResampler::new(self.rate, rate);
        stream
            .cell
            .with_dependent_mut(|_, listener| listener.reset());
    }
}

#[pymethods]
impl Event {
    /// Time from :attr:`start` to :attr:`end`, seconds.
    #[getter]
    fn duration(&self) -> f64 {
        self.end - self.start
    }

    fn __repr__(&self) -> String {
        format!(
            "<mtslvr.Event {} of {:?}: {:.2} to {:.2} s, score {:.2}, threshold {:.2}, confidence {:.2}>",
            self.kind, self.name, self.start, self.end, self.score, self.threshold, self.confidence
        )
    }
}

#[pymethods]
impl Events {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        loop {
            // An iterable of arrays may do anything, even ask for events: nothing is locked meanwhile.
            let source = {
                let mut pending = locked(&self.pending);
                if let Some(event) = pending.events.pop_front() {
                    return Ok(Some(event));
                }
                match std::mem::replace(&mut pending.source, Source::Ended) {
                    Source::Ended => return Ok(None),
                    source => source,
                }
            };
            let (piece, source) = source.next(py)?;
            let events = py.detach(|| self.listener.get().hear(piece))?;
            let mut pending = locked(&self.pending);
            pending.events.extend(events);
            pending.source = source;
            drop(pending);
            py.check_signals()?;
        }
    }
}

impl Source {
    /// Returns the next piece, and what is left.
    fn next(mut self, py: Python<'_>) -> PyResult<(Piece, Self)> {
        let piece = match &mut self {
            Self::Recording(capture) => {
                match py.detach(|| capture.next(PATIENCE)).map_err(raised)? {
                    Heard::Samples(samples) => Piece::Decoded(samples),
                    Heard::Nothing => Piece::Nothing,
                    Heard::End => Piece::End,
                }
            }
            Self::Samples(chunks) => chunks.pop_front().map_or(Piece::End, Piece::Given),
            Self::Arrays(arrays) => match arrays.bind(py).clone().next() {
                Some(array) => Piece::Given(samples(&array?)?),
                None => Piece::End,
            },
            Self::Ended => Piece::End,
        };
        match piece {
            Piece::End => Ok((piece, Self::Ended)),
            piece => Ok((piece, self)),
        }
    }
}
