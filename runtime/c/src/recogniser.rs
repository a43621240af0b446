//! The recogniser: a model in flash, the memory that it runs in, and what it was taught.

use crate::boundary::{self, Out, result};
use crate::error::{Error, Outcome};
use crate::layout::{MTSLVR_ALIGNMENT, Memory, Plan, Room};
use crate::object::{self, Kind, Object};
use core::ffi::c_char;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::fewshot::{
    Class, ClassScores, Decision as Decided, HeadKind, Learner, Limits, Role as ClassRole, Rooms,
    StorageMut,
};
use mtslvr_runtime::model::Model;

/// A model that runs, and the sounds that it was taught. Opened by mtslvr_open.
#[derive(Debug)]
pub struct Mtslvr {
    _private: (),
}

/// The body of a [`Mtslvr`].
#[derive(Debug)]
pub(crate) struct Recogniser {
    pub backbone: PackedBackbone<'static>,
    pub sounds: Learner<'static>,
    /// A value for each class.
    scores: &'static mut [f32],
}

impl Kind for Recogniser {
    const MARK: u32 = 0x6d74_7372;
}

/// Use of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Role {
    /// A sound to recognise.
    Sound = 0,
    /// Sounds that the user said were none of the classes; recognised as unknown.
    Negatives = 1,
    /// Sounds of the place when nothing happens; recognised as unknown.
    Background = 2,
}

/// Facts about an open recogniser.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Values of an embedding.
    pub embedding_len: usize,
    /// Samples a second that the model takes.
    pub sample_rate: u32,
    /// Most classes.
    pub class_capacity: usize,
    /// Most examples of all classes together.
    pub example_capacity: usize,
    /// Classes that are enrolled.
    pub classes: usize,
    /// Examples that are enrolled.
    pub examples: usize,
}

/// Class that a sound was recognised as, and how sure that is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// True if the sound is of class `class_id`; false if it is unknown.
    pub recognised: bool,
    /// Id of the class that the sound is most like, recognised or not.
    pub class_id: u16,
    /// Similarity to that class, -1 to 1.
    pub similarity: f32,
    /// Smallest similarity at which the sound would be of that class.
    pub threshold: f32,
    /// Probability, 0 to 1, that a sound of none of the classes is as like that one.
    pub chance: f32,
}

impl Decision {
    fn of(decision: &Decided<'_>) -> Self {
        Self {
            recognised: decision.class.is_some(),
            class_id: decision.best.get(),
            similarity: decision.similarity,
            threshold: decision.threshold,
            chance: decision.chance,
        }
    }
}

/// Places of a recogniser's parts in lent memory.
struct Layout {
    plan: Plan,
    object: Room<Object<Recogniser>>,
    arena: Room<i8>,
    classes: Room<Class>,
    class_scores: Room<ClassScores>,
    biases: Room<f32>,
    lengths: Room<f32>,
    duals: Room<f32>,
    scores: Room<f32>,
    labels: Room<u8>,
    directions: Room<i8>,
    query: Room<i8>,
}

impl Layout {
    fn new(model: &Model<'_>, classes: usize, examples: usize) -> Self {
        let mut plan = Plan::default();
        let dim = model.space().dim();
        // A fit works in the arena.
        let fit = Learner::scratch_len_for(HeadKind::default(), classes, examples);
        let arena = model.arena_len().max(fit.saturating_mul(size_of::<f32>()));
        Self {
            object: plan.room(1),
            arena: plan.aligned_room(arena),
            classes: plan.room(classes),
            class_scores: plan.room(classes),
            biases: plan.room(classes),
            lengths: plan.room(classes),
            duals: plan.room(classes.saturating_mul(examples)),
            scores: plan.room(classes),
            labels: plan.room(examples),
            directions: plan.room(examples.saturating_mul(dim)),
            query: plan.room(dim),
            plan,
        }
    }
}

/// Returns the bytes of memory that a recogniser needs on this machine.
pub fn memory_len(model: &Model<'_>, classes: usize, examples: usize) -> usize {
    Layout::new(model, classes, examples).plan.len()
}

/// Opens the model at `bytes`.
///
/// # Safety
/// As the rules of all calls say.
unsafe fn model(bytes: *const u8, len: usize) -> Result<Model<'static>, Error> {
    if bytes.is_null() {
        return Err(Error::NullPointer);
    }
    if !bytes.addr().is_multiple_of(MTSLVR_ALIGNMENT) {
        return Err(Error::Misaligned);
    }
    // SAFETY: the caller promises that the bytes are there and stay as they are.
    let bytes = unsafe { boundary::values(bytes, len) }?;
    Ok(Model::open(bytes)?)
}

/// Tells how many bytes of memory mtslvr_open needs for this model, with room for up to `classes`
/// classes and `examples` examples of all classes together. It checks the whole model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_size(
    model_bytes: *const u8,
    model_len: usize,
    classes: usize,
    examples: usize,
    size: *mut usize,
) -> Error {
    result((|| {
        // SAFETY: the rules of all calls.
        let (size, model) = unsafe { (Out::new(size)?, model(model_bytes, model_len)?) };
        size.put(memory_len(&model, classes, examples));
        Ok(())
    })())
}

/// Opens a model, which is checked once and then used where it is, in flash for instance, and makes a
/// recogniser in `memory` that knows no sounds yet. There is room for up to `classes` classes, at most
/// 256, and `examples` examples of all classes together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_open(
    model_bytes: *const u8,
    model_len: usize,
    classes: usize,
    examples: usize,
    memory: *mut u8,
    memory_len: usize,
    opened: *mut *mut Mtslvr,
) -> Error {
    result((|| {
        // SAFETY: the rules of all calls.
        let (opened, model) = unsafe { (Out::new(opened)?, model(model_bytes, model_len)?) };
        let layout = Layout::new(&model, classes, examples);
        // SAFETY: the rules of all calls; the rooms are those of this plan, and each is lent once.
        let (place, arena, scores, rooms) = unsafe {
            let memory = Memory::lent(memory, memory_len, &layout.plan)?;
            let rooms = Rooms {
                classes: memory.fill(layout.classes, Class::EMPTY),
                scores: memory.fill(layout.class_scores, ClassScores::NONE),
                biases: memory.fill(layout.biases, 0.0),
                lengths: memory.fill(layout.lengths, 0.0),
                labels: memory.fill(layout.labels, 0),
                duals: memory.fill(layout.duals, 0.0),
                directions: memory.fill(layout.directions, 0),
                query: memory.fill(layout.query, 0),
            };
            let arena = memory.fill(layout.arena, 0);
            let scores = memory.fill(layout.scores, 0.0);
            (memory.place(layout.object), arena, scores, rooms)
        };
        let storage = StorageMut::join(rooms).ok_or(Error::OutOfRange)?;
        let recogniser = Recogniser {
            backbone: PackedBackbone::new(model, arena)?,
            sounds: Learner::new(storage, HeadKind::default(), model.space())?,
            scores,
        };
        // SAFETY: the place is a room of the plan.
        unsafe { object::open(place, recogniser) };
        opened.put(place.cast());
        Ok(())
    })())
}

/// Does `work` with an open recogniser.
///
/// # Safety
/// As the rules of all calls say.
pub(crate) unsafe fn with(
    m: *mut Mtslvr,
    work: impl FnOnce(&mut Recogniser) -> Outcome,
) -> Outcome {
    // SAFETY: the caller promises that the pointer came from `mtslvr_open`.
    unsafe { object::with(m.cast(), work) }
}

/// Tells what the recogniser has room for and how much of that is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_get_info(m: *mut Mtslvr, info: *mut Info) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        with(m, |recogniser| {
            let support = recogniser.sounds.support();
            Out::new(info)?.put(Info {
                embedding_len: support.dim(),
                sample_rate: support.space().frontend().sample_rate,
                class_capacity: support.class_capacity(),
                example_capacity: support.example_capacity(),
                classes: support.class_count(),
                examples: support.example_count(),
            });
            Ok(())
        })
    })
}

impl Recogniser {
    /// Adds an example and tells its class.
    pub fn enrol(&mut self, name: &str, embedding: &[f32], class_id: Option<Out<u16>>) -> Outcome {
        let class = self.sounds.enrol(name, embedding)?;
        if let Some(class_id) = class_id {
            class_id.put(class.get());
        }
        Ok(())
    }

    /// As [`Self::enrol`], if the embedding is as like its class and as unlike others as an example
    /// should be.
    pub fn enrol_checked(
        &mut self,
        name: &str,
        embedding: &[f32],
        class_id: Option<Out<u16>>,
    ) -> Outcome {
        Limits::default().check_example(&mut self.sounds, name, embedding)?;
        self.enrol(name, embedding, class_id)
    }

    /// Classifies an embedding.
    pub fn classify(&mut self, embedding: &[f32]) -> Result<Decision, Error> {
        let decision = self.sounds.classify(embedding, self.scores)?;
        Ok(Decision::of(&decision))
    }
}

/// Adds an embedding, `len` values as mtslvr_clip_embed and mtslvr_heard give them, to the examples of the
/// sound called `name`, which is made if it is new. Whether it is a good example is not checked.
/// mtslvr_fit is due afterwards. The class's id is written to `class_id` unless that is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_enrol(
    m: *mut Mtslvr,
    name: *const c_char,
    embedding: *const f32,
    len: usize,
    class_id: *mut u16,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        with(m, |recogniser| {
            let (name, class_id) = (boundary::name(name)?, Out::optional(class_id)?);
            recogniser.enrol(name, boundary::values(embedding, len)?, class_id)
        })
    })
}

/// Adds an embedding to the class for `role`: MTSLVR_ROLE_NEGATIVES for a sound that was recognised by
/// mistake, MTSLVR_ROLE_BACKGROUND for a sound of the place. mtslvr_fit is due afterwards. The class's id is
/// written to `class_id` unless that is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_enrol_role(
    m: *mut Mtslvr,
    role: i32,
    embedding: *const f32,
    len: usize,
    class_id: *mut u16,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        with(m, |recogniser| {
            let role = match role {
                _ if role == Role::Negatives as i32 => ClassRole::Negatives,
                _ if role == Role::Background as i32 => ClassRole::Background,
                _ => return Err(Error::OutOfRange),
            };
            let (class_id, embedding) =
                (Out::optional(class_id)?, boundary::values(embedding, len)?);
            let class = recogniser.sounds.enrol_role(role, embedding)?;
            if let Some(class_id) = class_id {
                class_id.put(class.get());
            }
            Ok(())
        })
    })
}

/// Learns from the examples that are enrolled. It is due after every change of them, and before anything
/// is recognised. If it fails, nothing is recognised until the next fit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_fit(m: *mut Mtslvr) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        with(m, |recogniser| {
            Ok(recogniser.sounds.fit(recogniser.backbone.scratch())?)
        })
    })
}

/// Tells what an embedding of `len` values is recognised as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_classify(
    m: *mut Mtslvr,
    embedding: *const f32,
    len: usize,
    decision: *mut Decision,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        with(m, |recogniser| {
            let (decision, embedding) = (Out::new(decision)?, boundary::values(embedding, len)?);
            decision.put(recogniser.classify(embedding)?);
            Ok(())
        })
    })
}
