//! Listening to a stream.

use crate::boundary::{self, Out, result};
use crate::error::{Error, Outcome};
use crate::layout::{Memory, Plan, Room};
use crate::object::{self, Kind, Object};
use crate::recogniser::{self, Mtslvr, Recogniser};
use core::ffi::c_char;
use mtslvr_runtime::listener::{
    Ended as RuntimeEnded, Event as RuntimeEvent, Listener as StreamListener, ListenerConfig,
    Window,
};
use mtslvr_runtime::space::EmbeddingSpace;

/// Listens to a stream and reports the sounds in it. Made by mtslvr_listener_open.
#[derive(Debug)]
pub struct MtslvrListener {
    _private: (),
}

/// The body of a [`MtslvrListener`].
#[derive(Debug)]
struct Listener {
    stream: StreamListener<'static>,
    /// Embedding of the sound that was heard last.
    heard: &'static mut [f32],
    /// Whether there is one that was not enrolled.
    is_heard: bool,
}

impl Kind for Listener {
    const MARK: u32 = 0x6d74_6c69;
}

/// Settings of a listener. Times are in seconds. mtslvr_listener_defaults writes the ones to begin with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// From one judged window to the next while a sound lasts.
    pub hop: f32,
    /// Windows of one sound over which embeddings are averaged; 1 is no smoothing.
    pub smoothing: u16,
    /// Judgements in a row that have to agree before an event begins; at least 1.
    pub agreeing: u16,
    /// Similarity that an event needs above the threshold of its class to begin.
    pub margin: f32,
    /// An event goes on until the similarity is below its beginning's threshold by more than this.
    pub hysteresis: f32,
    /// After an event's last recognised window, time in which no other event of its class begins.
    pub refractory: f32,
    /// Level above the background that a sound needs to be judged, dB.
    pub gate: f32,
    /// Time for which a sound goes on after it last stood out.
    pub hold: f32,
}

impl From<ListenerConfig> for Settings {
    fn from(config: ListenerConfig) -> Self {
        let ListenerConfig {
            hop,
            smoothing,
            margin,
            hysteresis,
            agreeing,
            refractory,
            gate,
            hold,
        } = config;
        Self {
            hop,
            smoothing,
            agreeing,
            margin,
            hysteresis,
            refractory,
            gate,
            hold,
        }
    }
}

impl From<Settings> for ListenerConfig {
    fn from(settings: Settings) -> Self {
        let Settings {
            hop,
            smoothing,
            agreeing,
            margin,
            hysteresis,
            refractory,
            gate,
            hold,
        } = settings;
        Self {
            hop,
            smoothing,
            margin,
            hysteresis,
            agreeing,
            refractory,
            gate,
            hold,
        }
    }
}

/// A sound was recognised. Samples are counted from the beginning of the stream.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Event {
    /// Sample at which the sound began.
    pub start: u64,
    /// Sample at which it was recognised.
    pub end: u64,
    /// Id of its class.
    pub class_id: u16,
    /// Confidence, 0 to 1: the share of strange sounds that would be less like the class.
    pub confidence: f32,
}

/// A recognised sound is over. Samples are counted from the beginning of the stream.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ended {
    /// Sample at which the sound began.
    pub start: u64,
    /// Sample at which it ended.
    pub end: u64,
    /// Id of its class.
    pub class_id: u16,
    /// Largest similarity to the class.
    pub similarity: f32,
    /// Confidence at that similarity, 0 to 1.
    pub confidence: f32,
}

/// Report on the samples of one call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Samples that were taken.
    pub used: usize,
    /// True if a sound was judged, recognised or not: mtslvr_heard_enrol enrols it.
    pub heard: bool,
    /// True if a sound was recognised: `event` describes it.
    pub recognised: bool,
    /// True if a sound that was recognised is over: `ended` describes it.
    pub over: bool,
    /// Level of the loudest moment above the background, dB.
    pub level: f32,
    /// The sound that was recognised.
    pub event: Event,
    /// The sound that is over.
    pub ended: Ended,
}

impl From<RuntimeEvent> for Event {
    fn from(event: RuntimeEvent) -> Self {
        Self {
            start: event.start,
            end: event.end,
            class_id: event.class.get(),
            confidence: event.confidence,
        }
    }
}

impl From<RuntimeEnded> for Ended {
    fn from(ended: RuntimeEnded) -> Self {
        Self {
            start: ended.start,
            end: ended.end,
            class_id: ended.class.get(),
            similarity: ended.similarity,
            confidence: ended.confidence,
        }
    }
}

impl Report {
    /// Tells whether there is something that a caller waits for.
    fn is_worth_telling(&self) -> bool {
        self.recognised || self.over
    }

    /// Adds what a window says, and keeps the embedding of its sound in `heard`.
    fn add(&mut self, window: &Window<'_>, heard: &mut [f32]) {
        self.level = self.level.max(window.level);
        if let Some(embedding) = window.embedding {
            heard.copy_from_slice(embedding);
            self.heard = true;
        }
        if let Some(event) = window.event {
            self.recognised = true;
            self.event = event.into();
        }
        if let Some(ended) = window.ended {
            self.over = true;
            self.ended = ended.into();
        }
    }
}

/// Places of a listener's parts in lent memory.
struct Layout {
    plan: Plan,
    object: Room<Object<Listener>>,
    buffer: Room<f32>,
    heard: Room<f32>,
}

impl Layout {
    fn new(space: &EmbeddingSpace<'_>, classes: usize) -> Self {
        let mut plan = Plan::default();
        let dim = space.dim();
        Self {
            object: plan.room(1),
            buffer: plan.room(StreamListener::buffer_len(space.frontend(), dim, classes)),
            heard: plan.room(dim),
            plan,
        }
    }
}

/// Returns the bytes of memory that a listener needs on this machine, for up to `classes` classes.
pub fn memory_len(space: &EmbeddingSpace<'_>, classes: usize) -> usize {
    Layout::new(space, classes).plan.len()
}

/// Tells how many bytes of memory mtslvr_listener_open needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_listener_size(m: *mut Mtslvr, size: *mut usize) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let support = recogniser.sounds.support();
            Out::new(size)?.put(memory_len(support.space(), support.class_capacity()));
            Ok(())
        })
    })
}

/// Writes the settings to begin with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_listener_defaults(settings: *mut Settings) -> Error {
    result((|| {
        // SAFETY: the rules of all calls.
        unsafe { Out::new(settings)? }.put(ListenerConfig::DEFAULT.into());
        Ok(())
    })())
}

/// Makes a listener in `memory`. A null pointer to settings stands for the ones to begin with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_listener_open(
    m: *mut Mtslvr,
    settings: *const Settings,
    memory: *mut u8,
    memory_len: usize,
    opened: *mut *mut MtslvrListener,
) -> Error {
    // SAFETY: the rules of all calls; the rooms are those of this plan, and each is lent once.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let opened = Out::new(opened)?;
            let config = match settings.is_null() {
                true => ListenerConfig::DEFAULT,
                false => boundary::read(settings)?.into(),
            };
            let support = recogniser.sounds.support();
            let classes = support.class_capacity();
            let layout = Layout::new(support.space(), classes);
            let memory = Memory::lent(memory, memory_len, &layout.plan)?;
            let buffer = memory.fill(layout.buffer, 0.0);
            let listener = Listener {
                stream: StreamListener::new(config, support.space(), classes, buffer)?,
                heard: memory.fill(layout.heard, 0.0),
                is_heard: false,
            };
            let place = memory.place(layout.object);
            object::open(place, listener);
            opened.put(place.cast());
            Ok(())
        })
    })
}

/// Does `work` with a recogniser and a listener.
///
/// # Safety
/// As the rules of all calls say.
unsafe fn with_both(
    m: *mut Mtslvr,
    listener: *mut MtslvrListener,
    work: impl FnOnce(&mut Recogniser, &mut Listener) -> Outcome,
) -> Error {
    // SAFETY: the caller promises that the pointers came from the functions that open them.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            object::with(listener.cast(), |listener| work(recogniser, listener))
        })
    })
}

impl Listener {
    /// Takes samples up to the first frame that brings something to tell.
    fn listen(&mut self, recogniser: &mut Recogniser, samples: &[i16]) -> Result<Report, Error> {
        let mut report = Report::default();
        let (sounds, backbone) = (&mut recogniser.sounds, &mut recogniser.backbone);
        // No more than one frame comes of as many samples, and so no more than one event.
        let hop = usize::from(sounds.space().frontend().hop);
        let Self { stream, heard, .. } = self;
        if heard.len() != sounds.space().dim() {
            return Err(Error::OtherModel);
        }
        for step in samples.chunks(hop) {
            report.used += step.len();
            stream.push_i16(sounds, backbone, step, |window| report.add(window, heard))?;
            if report.is_worth_telling() {
                break;
            }
        }
        self.is_heard |= report.heard;
        Ok(report)
    }

    fn end(&mut self, recogniser: &mut Recogniser) -> Result<Report, Error> {
        let mut report = Report::default();
        let (sounds, backbone) = (&mut recogniser.sounds, &mut recogniser.backbone);
        let Self { stream, heard, .. } = self;
        if heard.len() != sounds.space().dim() {
            return Err(Error::OtherModel);
        }
        stream.finish(sounds, backbone, |window| report.add(window, heard))?;
        self.is_heard |= report.heard;
        Ok(report)
    }

    /// Returns the embedding of the sound that was heard last.
    fn last(&self) -> Result<&[f32], Error> {
        if self.is_heard {
            Ok(self.heard)
        } else {
            Err(Error::NothingHeard)
        }
    }
}

/// Listens to `count` samples of 16-bit PCM, one channel, at the model's rate. It returns early when a
/// sound is recognised or over: `used` in the report says how many samples were taken. Call it again
/// with those that are left until none is:
///
///     while (count > 0) {
///         mtslvr_error error = mtslvr_listen(m, listener, samples, count, &report);
///         if (error) { ... }
///         if (report.recognised) { ... }
///         samples += report.used;
///         count -= report.used;
///     }
///
/// Before anything is enrolled it reports sounds that could be. If something is enrolled and was not
/// fitted, it is MTSLVR_ERROR_NOT_FITTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_listen(
    m: *mut Mtslvr,
    listener: *mut MtslvrListener,
    samples: *const i16,
    count: usize,
    report: *mut Report,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, listener, |recogniser, listener| {
            let (report, samples) = (Out::new(report)?, boundary::values(samples, count)?);
            report.put(listener.listen(recogniser, samples)?);
            Ok(())
        })
    }
}

/// Ends the stream: a sound that is heard ends here. Another stream may begin.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_listen_end(
    m: *mut Mtslvr,
    listener: *mut MtslvrListener,
    report: *mut Report,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, listener, |recogniser, listener| {
            let report = Out::new(report)?;
            report.put(listener.end(recogniser)?);
            Ok(())
        })
    }
}

/// Writes the embedding of the sound that was heard last, `len` values as mtslvr_info says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_heard(
    listener: *mut MtslvrListener,
    embedding: *mut f32,
    len: usize,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        object::with(listener.cast(), |listener: &mut Listener| {
            let (last, out) = (listener.last()?, boundary::values_mut(embedding, len)?);
            if out.len() != last.len() {
                return Err(Error::Length);
            }
            out.copy_from_slice(last);
            Ok(())
        })
    })
}

/// Adds the sound that was heard last to the examples of the sound called `name`, which is made if it is
/// new: what a button does that says "that was it". It is refused if it is unlike the other examples, or
/// like another sound. A sound is enrolled once. mtslvr_fit is due afterwards. The class's id is written to
/// `class_id` unless that is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_heard_enrol(
    m: *mut Mtslvr,
    listener: *mut MtslvrListener,
    name: *const c_char,
    class_id: *mut u16,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, listener, |recogniser, listener| {
            let (name, class_id) = (boundary::name(name)?, Out::optional(class_id)?);
            recogniser.enrol_checked(name, listener.last()?, class_id)?;
            listener.is_heard = false;
            Ok(())
        })
    }
}
