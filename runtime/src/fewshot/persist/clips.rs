//! Recordings of the examples in NOR flash, from which another backbone is taught the same sounds.

use super::catalogue::{may_be_named, role_code, role_of};
use super::fingerprint;
use super::flash::StoreError;
use crate::bytes::Field;
use crate::fewshot::class::{Class, ClassName, Role};
use crate::fewshot::support::SupportSet;
use crate::model::Crc32;
use crate::space::BackboneId;
use crate::whole_words;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;

/// The first bytes of a header.
const MAGIC: [u8; 4] = *b"MTSC";

const VERSION: u16 = 1;

/// Bytes of a header and of a label: whole words of every flash.
const RECORD: usize = 64;

/// Labels that a recording has room for.
const LABELS: usize = 15;

/// Where in a place the samples begin.
const SAMPLES: usize = RECORD + LABELS * RECORD;

/// The checksum of a record: the CRC-32 of all bytes before it.
const CHECKSUM: Field<u32, CHECKSUM_AT> = Field::NEW;
const CHECKSUM_AT: usize = RECORD - size_of::<u32>();

mod header {
    use super::Field;

    pub const MAGIC: Field<[u8; 4], 0> = Field::NEW;
    pub const VERSION: Field<u16, 4> = Field::NEW;
    /// Bytes of the samples.
    pub const LEN: Field<u32, 8> = Field::NEW;
    /// CRC-32 of the samples.
    pub const CRC32: Field<u32, 12> = Field::NEW;
}

mod label {
    use super::Field;

    /// The first half of the backbone's id.
    pub const BACKBONE: Field<[u8; 16], 0> = Field::NEW;
    pub const FINGERPRINT: Field<u64, 16> = Field::NEW;
    pub const ROLE: Field<u8, 24> = Field::NEW;
    pub const NAME_LEN: Field<u8, 25> = Field::NEW;
    pub const NAME: Field<[u8; 32], 26> = Field::NEW;
}

fn seal(record: &mut [u8; RECORD]) {
    let computed = checksum(record);
    CHECKSUM.set(record, computed);
}

fn is_sealed(record: &[u8; RECORD]) -> bool {
    CHECKSUM.get(record) == checksum(record)
}

fn checksum(record: &[u8; RECORD]) -> u32 {
    let covered = record.get(..CHECKSUM_AT).unwrap_or_default();
    Crc32::new().update(covered).finish()
}

/// Says which example a recording is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipLabel {
    backbone: [u8; 16],
    fingerprint: u64,
    role: Role,
    name: ClassName,
}

impl ClipLabel {
    /// Labels the recording of an example: `direction` ([`crate::fewshot::direction`]) under `backbone`, of `class`.
    pub fn new(backbone: BackboneId, class: &Class, direction: &[i8]) -> Self {
        Self {
            backbone: half(backbone),
            fingerprint: fingerprint(direction),
            role: class.role,
            name: class.name.clone(),
        }
    }

    /// Returns what the class of the example is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the name of the example's class; empty for one that is no [`Role::Sound`].
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_of(&self, direction: &[i8]) -> bool {
        self.fingerprint == fingerprint(direction)
    }

    fn emit(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        label::BACKBONE.set(&mut bytes, self.backbone);
        label::FINGERPRINT.set(&mut bytes, self.fingerprint);
        label::ROLE.set(&mut bytes, role_code(self.role));
        label::NAME_LEN.set(&mut bytes, self.name.len() as u8);
        let mut name = [0; 32];
        for (to, from) in name.iter_mut().zip(self.name.bytes()) {
            *to = from;
        }
        label::NAME.set(&mut bytes, name);
        seal(&mut bytes);
        bytes
    }

    /// Reads a label; `None` of whatever is none, one that a power cut left unfinished included.
    fn read(bytes: &[u8; RECORD]) -> Option<Self> {
        let role = role_of(label::ROLE.get(bytes)).filter(|_| is_sealed(bytes))?;
        let name = label::NAME.get(bytes);
        let name = name.get(..label::NAME_LEN.get(bytes).into())?;
        let name = core::str::from_utf8(name).ok()?;
        let name = may_be_named(role, name).then(|| ClassName::try_from(name))?;
        Some(Self {
            backbone: label::BACKBONE.get(bytes),
            fingerprint: label::FINGERPRINT.get(bytes),
            role,
            name: name.ok()?,
        })
    }
}

fn half(backbone: BackboneId) -> [u8; 16] {
    let (half, _) = backbone.as_bytes().split_at(16);
    half.try_into().unwrap_or_default()
}

/// A recording in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Where its place begins.
    at: u32,
    len: u32,
    crc32: u32,
}

impl Clip {
    fn emit(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        header::MAGIC.set(&mut bytes, MAGIC);
        header::VERSION.set(&mut bytes, VERSION);
        header::LEN.set(&mut bytes, self.len);
        header::CRC32.set(&mut bytes, self.crc32);
        seal(&mut bytes);
        bytes
    }

    /// Reads the header of the place at `at`, for recordings of up to `longest` bytes; `None` of whatever is none.
    fn read(at: u32, longest: u32, bytes: &[u8; RECORD]) -> Option<Self> {
        let len = header::LEN.get(bytes);
        let is_header = header::MAGIC.get(bytes) == MAGIC
            && header::VERSION.get(bytes) == VERSION
            && len <= longest
            && is_sealed(bytes);
        let crc32 = header::CRC32.get(bytes);
        is_header.then_some(Self { at, len, crc32 })
    }

    fn samples(&self) -> Range<u32> {
        let start = self.at + SAMPLES as u32;
        start..start + self.len
    }

    /// Returns where its labels lie.
    fn labels(&self) -> impl Iterator<Item = u32> + use<> {
        let first = self.at + RECORD as u32;
        (0..LABELS as u32).map(move |number| first + number * RECORD as u32)
    }
}

/// Recordings of examples in a range of flash. Embeddings mean nothing to another backbone; the recordings do.
///
/// The range is a row of places of equal length, each for the samples of one example, in whatever encoding the caller
/// has chosen. A recording has labels, each of which says which example it is of under one backbone. An example that is
/// taught again under a new backbone gets a further label: a device that goes back to the old model finds the recording
/// there, too. The header of a place is written last and erased first, so that a recording is there from one moment on,
/// and gone from one moment on.
///
/// The store holds no flash itself: each call is lent the same one, of which nothing else may use the range.
///
/// ```
/// # use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, StorageVec};
/// # use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
/// # use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
/// use mtslvr_runtime::fewshot::persist::{ClipLabel, ClipStore};
/// use mtslvr_simulated_flash::SimulatedFlash;
///
/// // Places for two recordings of up to 1,000 bytes.
/// const LEN: usize = ClipStore::flash_len(2, 1_000, 4096);
/// let mut flash = SimulatedFlash::<4096, 4>::new(LEN / 4096);
/// let clips = ClipStore::new(&flash, 0..LEN as u32, 1_000)?;
/// # let parts = Parts::new([Part { name: "features", len: 2, share: 1.0 }])?;
/// # let frontend = FrontendConfig {
/// #     sample_rate: 16_000, window: 256, hop: 128, mels: 16, frames: 20,
/// #     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// #     form: FrontendForm::PLAIN,
/// # };
/// # let (backbone, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// # let space = EmbeddingSpace::new(backbone, frontend, parts, &[0.0; 2], reference).unwrap();
/// # let mut storage = StorageVec::new(4, 8, 2);
/// # let mut learner = Learner::new(storage.lend(), HeadKind::default(), space)?;
///
/// let doorbell = learner.enrol("doorbell", &[1.0, 0.5])?;
/// let support = learner.support();
/// let (class, example) = (support.class(doorbell)?, support.examples(doorbell).last().unwrap());
/// clips.add(&mut flash, &ClipLabel::new(backbone, class, example), &[7; 900])?;
/// assert!(clips.holds_sounds_of(&mut flash, support)?);
///
/// let clip = clips.clip(&mut flash, 0)?.unwrap();
/// assert_eq!(clips.newest_label(&mut flash, &clip)?.unwrap().name(), "doorbell");
/// let mut samples = [0; 1_000];
/// assert_eq!(clips.read(&mut flash, &clip, &mut samples)?, Some(&[7; 900][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClipStore {
    range: Range<u32>,
    place_len: u32,
    /// Bytes of the longest recording.
    longest: u32,
}

impl ClipStore {
    /// Returns the bytes of flash, in whole pages of `erase_size`, for so many recordings of up to `longest` bytes.
    pub const fn flash_len(clips: usize, longest: usize, erase_size: usize) -> usize {
        clips.saturating_mul(place_len(longest, erase_size))
    }

    /// Opens a store in the bytes `range` of `flash`, with as many places for recordings of up to `longest` bytes as
    /// there is room for. New flash must be erased. Nothing is read or written yet.
    ///
    /// # Errors
    /// [`StoreError::Range`], also if there is no room for one.
    pub fn new<F: NorFlash>(
        flash: &F,
        range: Range<u32>,
        longest: usize,
    ) -> Result<Self, StoreError<F::Error>> {
        let place_len = place_len(longest, F::ERASE_SIZE.max(1));
        let is_right = whole_words::holds_records(flash, &range, RECORD);
        if !is_right || range.len() < place_len {
            return Err(StoreError::Range);
        }
        // Neither is longer than the range.
        let (place_len, longest) = (place_len as u32, longest as u32);
        Ok(Self {
            range,
            place_len,
            longest,
        })
    }

    /// Returns the number of places.
    pub fn capacity(&self) -> usize {
        self.range.len() / self.place_len as usize
    }

    /// Returns where the places begin.
    fn places(&self) -> impl Iterator<Item = u32> + use<> {
        let (start, place_len) = (self.range.start, self.place_len);
        (0..self.capacity() as u32).map(move |number| start + number * place_len)
    }

    /// Returns the recording in the place `number`; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn clip<F: NorFlash>(
        &self,
        flash: &mut F,
        number: usize,
    ) -> Result<Option<Clip>, StoreError<F::Error>> {
        match self.places().nth(number) {
            Some(at) => self.clip_at(flash, at),
            None => Ok(None),
        }
    }

    fn clip_at<F: NorFlash>(
        &self,
        flash: &mut F,
        at: u32,
    ) -> Result<Option<Clip>, StoreError<F::Error>> {
        Ok(Clip::read(at, self.longest, &record(flash, at)?))
    }

    /// Reads the samples of a recording into `room`; `None` if they are not those that were written, or `room` is
    /// too short.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn read<'r, F: NorFlash>(
        &self,
        flash: &mut F,
        clip: &Clip,
        room: &'r mut [u8],
    ) -> Result<Option<&'r [u8]>, StoreError<F::Error>> {
        let Some(room) = room.get_mut(..clip.len as usize) else {
            return Ok(None);
        };
        let mut left = &mut *room;
        let read = whole_words::read(flash, clip.samples(), |bytes| {
            let (now, later) = core::mem::take(&mut left).split_at_mut(bytes.len());
            now.copy_from_slice(bytes);
            left = later;
        });
        read.map_err(StoreError::Flash)?;
        let found = Crc32::new().update(room).finish();
        Ok((found == clip.crc32).then_some(room))
    }

    /// Keeps the recording of an example in a free place.
    ///
    /// # Errors
    /// [`StoreError::Full`] if no place is free or `samples` has more bytes than the longest recording,
    /// [`StoreError::Flash`]. After either the recording is not there.
    pub fn add<F: NorFlash>(
        &self,
        flash: &mut F,
        label: &ClipLabel,
        samples: &[u8],
    ) -> Result<(), StoreError<F::Error>> {
        if samples.len() > self.longest as usize {
            return Err(StoreError::Full);
        }
        for at in self.places() {
            if self.clip_at(flash, at)?.is_none() {
                let clip = Clip {
                    at,
                    len: samples.len() as u32,
                    crc32: Crc32::new().update(samples).finish(),
                };
                let written = write_clip(flash, &clip, label, samples);
                return written.map_err(StoreError::Flash);
            }
        }
        Err(StoreError::Full)
    }

    /// Returns the label that a recording was given last.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn newest_label<F: NorFlash>(
        &self,
        flash: &mut F,
        clip: &Clip,
    ) -> Result<Option<ClipLabel>, StoreError<F::Error>> {
        newest_label(flash, clip, |_| true)
    }

    /// Returns the label that a recording was given last under `backbone`; `None` if it was not taught under that.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn label_under<F: NorFlash>(
        &self,
        flash: &mut F,
        clip: &Clip,
        backbone: BackboneId,
    ) -> Result<Option<ClipLabel>, StoreError<F::Error>> {
        let half = half(backbone);
        newest_label(flash, clip, |label| label.backbone == half)
    }

    /// Gives a recording a further label.
    ///
    /// # Errors
    /// [`StoreError::Full`] if it has as many labels as it has room for, [`StoreError::Flash`].
    pub fn add_label<F: NorFlash>(
        &self,
        flash: &mut F,
        clip: &Clip,
        label: &ClipLabel,
    ) -> Result<(), StoreError<F::Error>> {
        let at = blank_label(flash, clip)?.ok_or(StoreError::Full)?;
        let written = flash.write(at, &label.emit());
        written.map_err(StoreError::Flash)
    }

    /// Tells whether every example of every sound in `support` has a recording, from which it can be taught under
    /// one more backbone. Negatives and background do not count.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn holds_sounds_of<F: NorFlash>(
        &self,
        flash: &mut F,
        support: &SupportSet<'_>,
    ) -> Result<bool, StoreError<F::Error>> {
        let sounds = support.classes().iter();
        let sounds = sounds.filter(|class| class.role() == Role::Sound);
        for example in sounds.flat_map(|class| support.examples(class.id())) {
            if !self.holds(flash, support.space().backbone(), example)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds<F: NorFlash>(
        &self,
        flash: &mut F,
        backbone: BackboneId,
        example: &[i8],
    ) -> Result<bool, StoreError<F::Error>> {
        for at in self.places() {
            let Some(clip) = self.clip_at(flash, at)? else {
                continue;
            };
            let label = self.label_under(flash, &clip, backbone)?;
            if label.is_some_and(|label| label.is_of(example))
                && blank_label(flash, &clip)?.is_some()
            {
                let found = whole_words::crc32_of(flash, clip.samples());
                return Ok(found.map_err(StoreError::Flash)? == clip.crc32);
            }
        }
        Ok(false)
    }

    /// Follows a change of what was taught: removes the recordings of examples that are no longer in `support`, and
    /// gives those a label more whose class has another name now. Recordings that were not taught under the backbone
    /// of `support` stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn follow<F: NorFlash>(
        &self,
        flash: &mut F,
        support: &SupportSet<'_>,
    ) -> Result<(), StoreError<F::Error>> {
        let backbone = support.space().backbone();
        for at in self.places() {
            let Some(clip) = self.clip_at(flash, at)? else {
                continue;
            };
            let Some(label) = self.label_under(flash, &clip, backbone)? else {
                continue;
            };
            let mut classes = support.classes().iter();
            let class = classes.find(|class| {
                let mut examples = support.examples(class.id());
                examples.any(|example| label.is_of(example))
            });
            match class {
                None => self.remove(flash, &clip)?,
                Some(class) if (class.role, &class.name) == (label.role, &label.name) => {}
                Some(class) => {
                    let renamed = ClipLabel {
                        role: class.role,
                        name: class.name.clone(),
                        ..label
                    };
                    match self.add_label(flash, &clip, &renamed) {
                        // It keeps the old name.
                        Ok(()) | Err(StoreError::Full) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes a recording.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn remove<F: NorFlash>(
        &self,
        flash: &mut F,
        clip: &Clip,
    ) -> Result<(), StoreError<F::Error>> {
        let erased = flash.erase(clip.at, clip.at + F::ERASE_SIZE as u32);
        erased.map_err(StoreError::Flash)
    }

    /// Removes all recordings.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn clear<F: NorFlash>(&self, flash: &mut F) -> Result<(), StoreError<F::Error>> {
        for at in self.places() {
            if let Some(clip) = self.clip_at(flash, at)? {
                self.remove(flash, &clip)?;
            }
        }
        Ok(())
    }
}

/// Returns the bytes of a place for recordings of up to `longest` bytes.
const fn place_len(longest: usize, erase_size: usize) -> usize {
    let pages = longest.saturating_add(SAMPLES).div_ceil(erase_size);
    pages.saturating_mul(erase_size)
}

fn record<F: NorFlash>(flash: &mut F, at: u32) -> Result<[u8; RECORD], StoreError<F::Error>> {
    let mut bytes = [0; RECORD];
    flash.read(at, &mut bytes).map_err(StoreError::Flash)?;
    Ok(bytes)
}

/// Returns the last label of a recording that is `wanted`.
fn newest_label<F: NorFlash>(
    flash: &mut F,
    clip: &Clip,
    wanted: impl Fn(&ClipLabel) -> bool,
) -> Result<Option<ClipLabel>, StoreError<F::Error>> {
    let mut newest = None;
    for at in clip.labels() {
        let found = ClipLabel::read(&record(flash, at)?);
        newest = found.filter(&wanted).or(newest);
    }
    Ok(newest)
}

/// Finds room for a label. One that a power cut left unfinished is passed over.
fn blank_label<F: NorFlash>(
    flash: &mut F,
    clip: &Clip,
) -> Result<Option<u32>, StoreError<F::Error>> {
    for at in clip.labels() {
        if record(flash, at)? == [0xff; RECORD] {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Writes a recording into its place; it is there with the last byte.
fn write_clip<F: NorFlash>(
    flash: &mut F,
    clip: &Clip,
    label: &ClipLabel,
    samples: &[u8],
) -> Result<(), F::Error> {
    let len = place_len(samples.len(), F::ERASE_SIZE) as u32;
    flash.erase(clip.at, clip.at + len)?;
    whole_words::write(flash, clip.samples().start, samples)?;
    flash.write(clip.at + RECORD as u32, &label.emit())?;
    flash.write(clip.at, &clip.emit())
}

#[cfg(test)]
mod tests;
