//! Clips: recordings of one sound, which are enrolled or classified.

use crate::boundary::{self, Out, result};
use crate::error::{Error, Outcome};
use crate::layout::{Memory, Plan, Room};
use crate::object::{self, Kind, Object};
use crate::recogniser::{self, Decision, Mtslvr, Recogniser};
use core::ffi::c_char;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::Limits;
use mtslvr_runtime::space::EmbeddingSpace;

/// Takes the samples of one clip after another. Made by mtslvr_clip_open.
#[derive(Debug)]
pub struct MtslvrClip {
    _private: (),
}

/// The body of a [`MtslvrClip`].
#[derive(Debug)]
struct Clip {
    embedder: ClipEmbedder<'static>,
    embedding: &'static mut [f32],
}

impl Kind for Clip {
    const MARK: u32 = 0x6d74_636c;
}

/// Places of a clip's parts in lent memory.
struct Layout {
    plan: Plan,
    object: Room<Object<Clip>>,
    buffer: Room<f32>,
    embedding: Room<f32>,
}

impl Layout {
    fn new(space: &EmbeddingSpace<'_>) -> Self {
        let mut plan = Plan::default();
        let dim = space.dim();
        Self {
            object: plan.room(1),
            buffer: plan.room(ClipEmbedder::buffer_len(space.frontend(), dim)),
            embedding: plan.room(dim),
            plan,
        }
    }
}

/// Returns the bytes of memory that a clip needs on this machine.
pub fn memory_len(space: &EmbeddingSpace<'_>) -> usize {
    Layout::new(space).plan.len()
}

/// Tells how many bytes of memory mtslvr_clip_open needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_size(m: *mut Mtslvr, size: *mut usize) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            Out::new(size)?.put(memory_len(recogniser.sounds.space()));
            Ok(())
        })
    })
}

/// Makes a clip in `memory`. It may be used for as many clips as you like, one after the other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_open(
    m: *mut Mtslvr,
    memory: *mut u8,
    memory_len: usize,
    opened: *mut *mut MtslvrClip,
) -> Error {
    // SAFETY: the rules of all calls; the rooms are those of this plan, and each is lent once.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let opened = Out::new(opened)?;
            let space = recogniser.sounds.space();
            let layout = Layout::new(space);
            let memory = Memory::lent(memory, memory_len, &layout.plan)?;
            let clip = Clip {
                embedder: ClipEmbedder::new(*space.frontend(), memory.fill(layout.buffer, 0.0))?,
                embedding: memory.fill(layout.embedding, 0.0),
            };
            let place = memory.place(layout.object);
            object::open(place, clip);
            opened.put(place.cast());
            Ok(())
        })
    })
}

/// Does `work` with a recogniser and a clip.
///
/// # Safety
/// As the rules of all calls say.
unsafe fn with_both(
    m: *mut Mtslvr,
    clip: *mut MtslvrClip,
    work: impl FnOnce(&mut Recogniser, &mut Clip) -> Outcome,
) -> Error {
    // SAFETY: the caller promises that the pointers came from the functions that open them.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            object::with(clip.cast(), |clip| work(recogniser, clip))
        })
    })
}

/// Takes `count` samples of 16-bit PCM, one channel, at the model's rate: 16,000 a second unless
/// mtslvr_info says otherwise. How a clip is cut into calls makes no difference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_push(
    m: *mut Mtslvr,
    clip: *mut MtslvrClip,
    samples: *const i16,
    count: usize,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, clip, |recogniser, clip| {
            let samples = boundary::values(samples, count)?;
            Ok(clip.embedder.push_i16(&mut recogniser.backbone, samples)?)
        })
    }
}

/// Forgets the samples: the next clip begins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_reset(clip: *mut MtslvrClip) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        object::with(clip.cast(), |clip: &mut Clip| {
            clip.embedder.reset();
            Ok(())
        })
    })
}

/// Checks that the clip so far is long, loud and clean enough to be learnt from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_check(m: *mut Mtslvr, clip: *mut MtslvrClip) -> Error {
    // SAFETY: the rules of all calls.
    unsafe { with_both(m, clip, |recogniser, clip| clip.check(recogniser)) }
}

impl Clip {
    fn check(&self, recogniser: &Recogniser) -> Outcome {
        let rate = recogniser.sounds.space().frontend().sample_rate;
        Ok(Limits::default().check_levels(self.embedder.levels(), rate)?)
    }

    /// Ends the clip; the next one may follow, after an error too.
    fn end(&mut self, recogniser: &mut Recogniser) -> Result<&[f32], Error> {
        if recogniser.backbone.space().dim() != self.embedding.len() {
            self.embedder.reset();
            return Err(Error::OtherModel);
        }
        let backbone = &mut recogniser.backbone;
        self.embedder.finish(backbone, self.embedding)?;
        Ok(self.embedding)
    }
}

/// Ends the clip and writes its embedding, `len` values as mtslvr_info says. The next clip may follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_embed(
    m: *mut Mtslvr,
    clip: *mut MtslvrClip,
    embedding: *mut f32,
    len: usize,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, clip, |recogniser, clip| {
            let out = boundary::values_mut(embedding, len)?;
            if out.len() != clip.embedding.len() {
                return Err(Error::Length);
            }
            out.copy_from_slice(clip.end(recogniser)?);
            Ok(())
        })
    }
}

/// Ends the clip and adds it to the examples of the sound called `name`, which is made if it is new. It is
/// refused if it is too short, too quiet or overloaded, unlike the other examples, or like another sound.
/// mtslvr_fit is due afterwards. The class's id is written to `class_id` unless that is null. The next clip
/// may follow, also after a refusal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_enrol(
    m: *mut Mtslvr,
    clip: *mut MtslvrClip,
    name: *const c_char,
    class_id: *mut u16,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, clip, |recogniser, clip| {
            let (name, class_id) = (boundary::name(name)?, Out::optional(class_id)?);
            let checked = clip.check(recogniser);
            let embedding = clip.end(recogniser)?;
            checked?;
            recogniser.enrol_checked(name, embedding, class_id)
        })
    }
}

/// Ends the clip and tells what it is recognised as. The next clip may follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clip_classify(
    m: *mut Mtslvr,
    clip: *mut MtslvrClip,
    decision: *mut Decision,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, clip, |recogniser, clip| {
            let decision = Out::new(decision)?;
            let embedding = clip.end(recogniser)?;
            decision.put(recogniser.classify(embedding)?);
            Ok(())
        })
    }
}
