//! Keeps the recordings of the examples, and teaches a new model from them.

use super::{Device, fit};
use crate::memory::EXAMPLES;
use audio_codec_algorithms::{decode_ulaw, encode_ulaw};
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, Clip, ClipLabel, ClipStore, StoreError,
};
use mtslvr_runtime::fewshot::{ClassId, Learner, Role};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::link::ModelSlot;

/// Samples decoded at once.
const CHUNK: usize = 256;

/// Places in flash of what a device is taught.
#[derive(Debug)]
pub struct Places<'m> {
    /// The sounds. A model in another slot has a place of its own.
    pub sounds: Range<u32>,
    /// The recordings of the examples, which all models share; without them a new model of another backbone has to
    /// wait until the sounds are given up.
    pub clips: Option<ClipPlaces<'m>>,
    /// The model is on trial: sounds of another backbone were taught to a model that it has replaced.
    pub on_trial: bool,
}

impl From<Range<u32>> for Places<'_> {
    fn from(sounds: Range<u32>) -> Self {
        Self {
            sounds,
            clips: None,
            on_trial: false,
        }
    }
}

/// A place for recordings in flash, and memory for those that are being made.
#[derive(Debug)]
pub struct ClipPlaces<'m> {
    range: Range<u32>,
    longest: usize,
    heard: Heard<'m>,
}

/// Room for the last sound, and for the one that a press is about.
pub(super) type Heard<'m> = [&'m mut [u8]; 2];

impl<'m> ClipPlaces<'m> {
    /// Keeps recordings of up to `LEN` samples, a byte each, in `range` of the flash: see [`clips_len`](crate::clips_len).
    #[cfg(feature = "clips")]
    pub fn new<const LEN: usize>(range: Range<u32>, memory: &'m mut ClipMemory<LEN>) -> Self {
        Self {
            range,
            longest: LEN,
            heard: memory.0.each_mut().map(|clip| &mut clip[..]),
        }
    }

    /// Opens the store, and lends the memory.
    pub(super) fn open<F: NorFlash>(
        self,
        flash: &F,
    ) -> Result<(Kept, Heard<'m>), StoreError<F::Error>> {
        let store = ClipStore::new(flash, self.range, self.longest)?;
        Ok((Kept(Some(store)), self.heard))
    }
}

/// The store, if there is one. Without the feature `clips` the compiler sees that there is none.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<ClipStore>);

impl Kept {
    #[inline(always)]
    pub fn store(&self) -> Option<&ClipStore> {
        self.0.as_ref().filter(|_| cfg!(feature = "clips"))
    }
}

/// Memory for recordings of `LEN` samples: the last sound, and the one that a press is about.
#[derive(Debug)]
pub struct ClipMemory<const LEN: usize>([[u8; LEN]; 2]);

impl<const LEN: usize> ClipMemory<LEN> {
    /// Makes empty memory.
    pub const fn new() -> Self {
        Self([[0; LEN]; 2])
    }
}

impl<const LEN: usize> Default for ClipMemory<LEN> {
    fn default() -> Self {
        Self::new()
    }
}

/// Samples of a sound in 8 bits each (G.711, mu-law), if they are all there.
#[derive(Debug, Default)]
pub(super) struct Samples<'m> {
    bytes: &'m mut [u8],
    len: usize,
    spoilt: bool,
}

impl<'m> Samples<'m> {
    pub fn new(bytes: &'m mut [u8]) -> Self {
        let (len, spoilt) = (0, false);
        Self { bytes, len, spoilt }
    }

    pub fn clear(&mut self) {
        (self.len, self.spoilt) = (0, false);
    }

    /// Says that samples are missing.
    pub fn spoil(&mut self) {
        self.spoilt = true;
    }

    pub fn push(&mut self, samples: &[i16]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        self.spoilt |= samples.len() > room.len();
        for (to, from) in room.iter_mut().zip(samples) {
            *to = encode_ulaw(*from);
        }
        self.len += samples.len().min(room.len());
    }

    pub fn copy_from(&mut self, other: &Samples) {
        let len = other.len.min(self.bytes.len());
        self.bytes[..len].copy_from_slice(&other.bytes[..len]);
        (self.len, self.spoilt) = (len, other.spoilt);
    }

    fn get(&self) -> Option<&[u8]> {
        let all = &self.bytes[..self.len];
        (!self.spoilt && !all.is_empty()).then_some(all)
    }
}

impl<F: NorFlash<Error: Copy>, S: ModelSlot> Device<'_, F, S> {
    /// Keeps `samples` as the recording of the last example of `class`. Without a recording the example is as good, but
    /// a new model has to wait.
    pub(super) fn keep_clip(&mut self, class: ClassId, which: Which) {
        let support = self.sounds.support();
        let samples = match which {
            Which::Asked => &self.asked.samples,
            Which::Last => &self.last.samples,
        };
        if let (Some(clips), Some(samples)) = (self.clips.store(), samples.get())
            && let Ok(kept) = support.class(class)
            && let Some(example) = support.examples(class).last()
        {
            let label = ClipLabel::new(support.space().backbone(), kept, example);
            // There may be no room. A flash that fails also fails to keep the example, which is told.
            let _ = clips.add(self.store.flash(), &label, samples);
        }
    }

    /// Removes the recordings of examples that are no longer there.
    pub(super) fn clips_follow(&mut self) {
        if let Some(clips) = self.clips.store().filter(|_| self.locked.is_none()) {
            // What is left over goes at the next change.
            let _ = clips.follow(self.store.flash(), self.sounds.support());
        }
    }

    /// Tells whether a model of another backbone can be taught all sounds again.
    pub(super) fn can_follow(&mut self) -> bool {
        let support = self.sounds.support();
        let holds = |clips: &ClipStore, flash: &mut F| clips.holds_sounds_of(flash, support);
        match self.clips.store() {
            _ if self.locked.is_some() => false,
            _ if support.class_count() == 0 => true,
            Some(clips) => holds(clips, self.store.flash()).unwrap_or(false),
            None => false,
        }
    }
}

/// A sound whose samples are at hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// The one that the button is held for.
    Asked,
    /// The last one.
    Last,
}

/// Memory to embed a recording in.
pub(super) struct Workplace<'a> {
    pub listener: &'a mut [f32],
    pub embedding: &'a mut [f32],
    pub samples: &'a mut [u8],
    pub scratch: &'a mut [u8],
}

/// Teaches `sounds` from each recording that it does not know yet, and keeps it. Returns the number of examples.
///
/// The power may go meanwhile: an example that is kept and whose recording has no label yet is known again.
pub(super) fn teach_from_clips<F: NorFlash<Error: Copy>>(
    clips: &ClipStore,
    store: &mut BlockingFlashStore<F>,
    sounds: &mut Learner<'_>,
    backbone: &mut PackedBackbone<'_>,
    work: Workplace<'_>,
) -> Result<usize, StoreError<F::Error>> {
    let id = sounds.space().backbone();
    let mut taught: Vec<(Clip, ClipLabel), EXAMPLES> = Vec::new();
    for number in 0..clips.capacity() {
        let Some(clip) = clips.clip(store.flash(), number)? else {
            continue;
        };
        let known = clips.label_under(store.flash(), &clip, id)?.is_some();
        let Some(label) = clips.newest_label(store.flash(), &clip)?.filter(|_| !known) else {
            continue;
        };
        let Some(samples) = clips.read(store.flash(), &clip, work.samples)? else {
            continue;
        };
        let config = *sounds.space().frontend();
        if !embed(samples, config, backbone, work.listener, work.embedding) {
            continue;
        }
        if let Some(label) = teach(sounds, &label, work.embedding) {
            // There are as many places at most as examples.
            let _ = taught.push((clip, label));
        }
    }
    if taught.is_empty() {
        return Ok(0);
    }
    // A set that cannot be fitted is told of when the device starts.
    let _ = fit(sounds, backbone);
    store.save(sounds, work.scratch)?;
    for (clip, label) in &taught {
        match clips.add_label(store.flash(), clip, label) {
            // It is taught again at each start, which changes nothing.
            Ok(()) | Err(StoreError::Full) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taught.len())
}

/// Embeds a recording as the device does what it hears. False where it has no direction or does not fit the model.
fn embed(
    samples: &[u8],
    config: FrontendConfig,
    backbone: &mut PackedBackbone<'_>,
    buffer: &mut [f32],
    embedding: &mut [f32],
) -> bool {
    let Ok(mut clip) = ClipEmbedder::new(config, buffer) else {
        return false;
    };
    let mut decoded = [0; CHUNK];
    for piece in samples.chunks(CHUNK) {
        for (to, from) in decoded.iter_mut().zip(piece) {
            *to = decode_ulaw(*from);
        }
        if clip.push_i16(backbone, &decoded[..piece.len()]).is_err() {
            return false;
        }
    }
    clip.finish(backbone, embedding).is_ok()
}

/// Adds an example to the class of `label`, if it is not there yet, and returns its label under the new backbone.
fn teach(sounds: &mut Learner<'_>, label: &ClipLabel, embedding: &[f32]) -> Option<ClipLabel> {
    let enrolled = match label.role() {
        Role::Sound => sounds.enrol(label.name(), embedding),
        role => sounds.enrol_role(role, embedding),
    };
    let class = enrolled.ok()?;
    let support = sounds.support();
    let taught = support.examples(class).last()?;
    let label = ClipLabel::new(
        support.space().backbone(),
        support.class(class).ok()?,
        taught,
    );
    let last = support.examples(class).len() - 1;
    let mut examples = support.examples(class);
    if examples.position(|example| example == taught) != Some(last) {
        drop(examples);
        // It was kept when the power went.
        sounds.support_mut().remove_example(class, last).ok()?;
    }
    Some(label)
}
