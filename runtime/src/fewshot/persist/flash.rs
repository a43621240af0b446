//! A support set in NOR flash that survives the power being cut at any moment.
//!
//! Every example is a record of its own, the direction as it is. One more record, the index, lists
//! the classes and, for each example, its record and a fingerprint of it; it holds the version of
//! its layout, the CRC-32 of the backbone and one of itself. Saving writes the examples that are new
//! to records that the index in flash does not refer to, and then the new index: from that moment,
//! and not before, the new state is the one that counts. The crate `sequential-storage` appends
//! records, finds the newest whole one of each, spreads wear over the pages, and repairs what a cut
//! left.

use super::catalogue::{self, Catalogue, Payload};
use super::{RestoreError, fingerprint};
use crate::fewshot::Learner;
use crate::fewshot::direction::is_direction;
use crate::fewshot::support::SupportSet;
use blocking::{Blocking, block_on};
use core::ops::Range;
use embedded_storage::nor_flash::{NorFlash, NorFlashError};
use sequential_storage::Error as MapError;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

mod blocking;
#[cfg(feature = "std")]
mod simulated;

#[cfg(feature = "std")]
pub use simulated::{FlashFault, SimulatedFlash};

/// Key of the index; an example's record has a key above.
const INDEX: u16 = 0;
const KEY_LEN: usize = 2;
/// Keys are below. In RAM, the bit tells a record that was found.
const WHOLE: u16 = 0x8000;
/// Of an example in the index: the key of its record, then its fingerprint.
const REFERENCE_LEN: usize = 10;
const REFERENCES: Payload = Payload::References(REFERENCE_LEN);
/// Largest word that flash is written in.
const MAX_WORD: usize = 32;
/// What `sequential-storage` puts in front of a record.
const ITEM_HEADER: usize = 8;

/// A part of a flash memory in which a support set is kept.
pub struct FlashStore<F: NorFlash> {
    map: Map<F>,
}

type Map<F> = MapStorage<u16, Blocking<F>, Cache<Uncached, Uncached, Uncached, u16>>;

/// Why a store could not be opened, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The flash failed.
    Flash(E),
    /// The range does not begin and end at pages, has fewer than two of them, or the flash's pages
    /// or words have a size that is not supported.
    Range,
    /// There is no room in flash; what was saved before is still there. See [`flash_len`].
    Full,
    /// The flash holds what this software never writes, beyond repair: erase it.
    Damaged,
    /// The scratch memory is too short: see [`store_scratch_len`].
    ScratchTooShort {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// A record does not fit in a page.
    RecordTooLong,
    /// What was saved cannot be used.
    Restore(RestoreError),
}

/// Bytes of the longest index for `classes` classes and `examples` examples.
const fn index_len(classes: usize, examples: usize, dim: usize) -> usize {
    let names = classes * crate::fewshot::CLASS_NAME_BYTES;
    catalogue::encoded_len(REFERENCES, classes, names, examples, dim)
}

/// Bytes of scratch memory that a store needs for as many classes and examples, of `dim` values
/// each, or fewer.
pub const fn store_scratch_len(classes: usize, examples: usize, dim: usize) -> usize {
    let index = index_len(classes, examples, dim);
    2 * index + record_buffer_len(index, dim)
}

/// Room for a record with its key, in whole words.
const fn record_buffer_len(index: usize, dim: usize) -> usize {
    let longest = if index > dim { index } else { dim };
    (longest + KEY_LEN).next_multiple_of(MAX_WORD)
}

/// Bytes of flash, in whole pages of `erase_size`, that always suffice for as many classes and
/// examples, of `dim` values each, or fewer: for all examples, for as many again that replace them
/// all at once, and for what is gathered and erased. `None` if a page is too small for a record.
pub const fn flash_len(
    classes: usize,
    examples: usize,
    dim: usize,
    erase_size: usize,
) -> Option<usize> {
    let example = item_len(dim);
    let index = item_len(index_len(classes, examples, dim));
    // A page begins and ends with a word of its own.
    let Some(room) = erase_size.checked_sub(2 * MAX_WORD) else {
        return None;
    };
    if example > room || index > room {
        return None;
    }
    let pages = (2 * examples).div_ceil(room / example);
    // A page for the index that counts, one being filled, one kept free.
    Some((pages + 3) * erase_size)
}

const fn item_len(record: usize) -> usize {
    (record + KEY_LEN).next_multiple_of(MAX_WORD) + ITEM_HEADER.next_multiple_of(MAX_WORD)
}

impl<F: NorFlash> FlashStore<F> {
    /// A store in the bytes `range` of `flash`, of which nothing else may be used there. New flash
    /// must be erased.
    pub fn new(flash: F, range: Range<u32>) -> Result<Self, StoreError<F::Error>> {
        if range.start > range.end || range.end as usize > flash.capacity() {
            return Err(StoreError::Range);
        }
        let config = MapConfig::try_new(range).map_err(|_| StoreError::Range)?;
        let map = MapStorage::new(Blocking(flash), config, Cache::new_uncached());
        Ok(Self { map })
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.map.destroy().0.0
    }

    /// Makes `learner` know what was saved last, or nothing if nothing was; says which. It must have
    /// been enrolled under the learner's backbone. [`Learner::fit`] is due afterwards. After an error
    /// the learner knows nothing.
    pub fn load(
        &mut self,
        learner: &mut Learner<'_>,
        scratch: &mut [u8],
    ) -> Result<bool, StoreError<F::Error>> {
        let support = learner.support_mut();
        support.clear();
        let loaded = self.load_into(support, scratch);
        if loaded.is_err() {
            support.clear();
        }
        loaded
    }

    fn load_into(
        &mut self,
        support: &mut SupportSet,
        scratch: &mut [u8],
    ) -> Result<bool, StoreError<F::Error>> {
        let Scratch { old, record, .. } = Scratch::of(support, scratch)?;
        let Some(index) = self.fetch_index(old, record)? else {
            return Ok(false);
        };
        let catalogue = Catalogue::decode(REFERENCES, index).map_err(StoreError::Restore)?;
        catalogue.check_fits(support).map_err(StoreError::Restore)?;
        let parts = *support.space().parts();
        let rows = catalogue.restore(support);
        rows.fill(0);
        let references = || References(catalogue.payload).iter();
        let mut records = block_on(self.map.fetch_all_items(record)).map_err(map_error)?;
        while let Some((key, found)) = block_on(records.next::<&[u8]>(record)).map_err(map_error)? {
            for (row, reference) in rows.chunks_exact_mut(catalogue.dim).zip(references()) {
                let direction: &[i8] = bytemuck::cast_slice(found);
                if reference.key == key && reference.fingerprint == fingerprint(direction) {
                    row.copy_from_slice(direction);
                }
            }
        }
        for (example, (row, reference)) in rows
            .chunks_exact(catalogue.dim)
            .zip(references())
            .enumerate()
        {
            let whole = is_direction(row, &parts);
            if !whole || reference.fingerprint != fingerprint(row) {
                return Err(StoreError::Restore(RestoreError::ExampleLost { example }));
            }
        }
        Ok(true)
    }

    /// Saves what `learner` was taught in place of what was saved before. If the power is cut
    /// meanwhile, one of the two is there afterwards, whole; after an error, what was saved before is.
    /// Saving what is there already writes nothing.
    pub fn save(
        &mut self,
        learner: &Learner<'_>,
        scratch: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        let support = learner.support();
        let Scratch { old, new, record } = Scratch::of(support, scratch)?;
        let old: &mut [u8] = self.fetch_index(old, record)?.unwrap_or_default();
        // Of an index that cannot be used nothing needs to be kept.
        let len = Catalogue::decode(REFERENCES, old).map_or(0, |c| c.payload.len());
        let end = old.len().saturating_sub(catalogue::CHECKSUM_LEN);
        let references = end - len..end;
        self.mark_whole(&mut old[references.clone()], record)?;
        let saved = References(&old[references.clone()]);
        let len = catalogue::len_of(REFERENCES, support);
        let new = &mut new[..len];
        let payload = catalogue::encode(REFERENCES, support, new);

        let examples = (0..=u8::MAX).take(support.class_count());
        let examples = examples.flat_map(|class| support.examples(class));
        for (number, example) in examples.enumerate() {
            let (before, rest) = payload.split_at_mut(number * REFERENCE_LEN);
            let placed = References(before);
            let fingerprint = fingerprint(example);
            let same = |reference: &Reference| reference.fingerprint == fingerprint;
            let known = saved.whole().chain(placed.iter()).find(same);
            let key = match known {
                Some(reference) => reference.key,
                None => {
                    let taken = |key| saved.whole().any(|r| r.key == key) || placed.holds(key);
                    let key = (INDEX + 1..WHOLE).find(|key| !taken(*key));
                    let key = key.ok_or(StoreError::Full)?;
                    self.store(key, bytemuck::cast_slice(example), record)?;
                    key
                }
            };
            let (key_bytes, fingerprint_bytes) = rest[..REFERENCE_LEN].split_at_mut(KEY_LEN);
            key_bytes.copy_from_slice(&key.to_le_bytes());
            fingerprint_bytes.copy_from_slice(&fingerprint.to_le_bytes());
        }
        catalogue::seal(new);
        for reference in old[references.clone()].as_chunks_mut::<REFERENCE_LEN>().0 {
            reference[1] &= !WHOLE.to_be_bytes()[0];
        }
        if *new == *old {
            return Ok(());
        }
        self.store(INDEX, new, record)?;

        // What is no longer referred to need not be gathered for ever.
        let payload = Catalogue::decode(REFERENCES, new).map_or(&[][..], |c| c.payload);
        for reference in References(&old[references]).iter() {
            if reference.key != INDEX && !References(payload).holds(reference.key) {
                match self.store(reference.key, &[], record) {
                    // Room is all that is lost.
                    Err(StoreError::Full) => break,
                    result => result?,
                }
            }
        }
        Ok(())
    }

    /// Sets the bit [`WHOLE`] in the key of each of `references` whose record is there as it was
    /// written.
    fn mark_whole(
        &mut self,
        references: &mut [u8],
        record: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        let mut records = block_on(self.map.fetch_all_items(record)).map_err(map_error)?;
        while let Some((key, found)) = block_on(records.next::<&[u8]>(record)).map_err(map_error)? {
            let found = fingerprint(bytemuck::cast_slice(found));
            let entries = references.as_chunks_mut::<REFERENCE_LEN>().0;
            for reference in entries {
                let stated = Reference::of(reference);
                if stated.key & !WHOLE == key {
                    // The last record of a key is the one that counts.
                    let whole = stated.fingerprint == found;
                    let key = if whole { key | WHOLE } else { key };
                    reference[..KEY_LEN].copy_from_slice(&key.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    /// Erases all that was saved. A power cut meanwhile can leave flash that [`Self::load`] finds
    /// empty or damaged.
    pub fn erase(&mut self) -> Result<(), StoreError<F::Error>> {
        block_on(self.map.erase_all()).map_err(map_error)
    }

    /// The index in flash, in `room`; `None` if nothing was saved.
    fn fetch_index<'r>(
        &mut self,
        room: &'r mut [u8],
        record: &mut [u8],
    ) -> Result<Option<&'r mut [u8]>, StoreError<F::Error>> {
        let fetched = block_on(self.map.fetch_item::<&[u8]>(record, &INDEX));
        let Some(index) = fetched.map_err(map_error)? else {
            return Ok(None);
        };
        let (needed, found) = (index.len(), room.len());
        let room = room
            .get_mut(..needed)
            .ok_or(StoreError::ScratchTooShort { needed, found })?;
        room.copy_from_slice(index);
        Ok(Some(room))
    }

    fn store(
        &mut self,
        key: u16,
        bytes: &[u8],
        record: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        block_on(self.map.store_item(record, &key, &bytes)).map_err(map_error)
    }
}

impl<F: NorFlash> core::fmt::Debug for FlashStore<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FlashStore")
            .field("range", &self.map.flash_range())
            .finish_non_exhaustive()
    }
}

/// The parts of the scratch memory.
struct Scratch<'s> {
    /// For the index that is in flash.
    old: &'s mut [u8],
    /// For the one that will be.
    new: &'s mut [u8],
    /// For `sequential-storage`, a record at a time.
    record: &'s mut [u8],
}

impl<'s> Scratch<'s> {
    fn of<E>(support: &SupportSet, scratch: &'s mut [u8]) -> Result<Self, StoreError<E>> {
        let (classes, examples) = (support.class_capacity(), support.example_capacity());
        let needed = store_scratch_len(classes, examples, support.dim());
        let found = scratch.len();
        if found < needed {
            return Err(StoreError::ScratchTooShort { needed, found });
        }
        let index = index_len(classes, examples, support.dim());
        let (old, rest) = scratch.split_at_mut(index);
        let (new, record) = rest.split_at_mut(index);
        Ok(Self { old, new, record })
    }
}

/// The index's entries for examples.
#[derive(Clone, Copy)]
struct References<'a>(&'a [u8]);

struct Reference {
    key: u16,
    fingerprint: u64,
}

impl Reference {
    fn of([k0, k1, fingerprint @ ..]: &[u8; REFERENCE_LEN]) -> Self {
        Self {
            key: u16::from_le_bytes([*k0, *k1]),
            fingerprint: u64::from_le_bytes(*fingerprint),
        }
    }
}

impl<'a> References<'a> {
    fn iter(self) -> impl Iterator<Item = Reference> + use<'a> {
        self.0.as_chunks().0.iter().map(Reference::of)
    }

    /// Those that have [`WHOLE`] set, without it.
    fn whole(self) -> impl Iterator<Item = Reference> + use<'a> {
        let whole = self.iter().filter(|reference| reference.key & WHOLE != 0);
        whole.map(|reference| Reference {
            key: reference.key & !WHOLE,
            ..reference
        })
    }

    fn holds(self, key: u16) -> bool {
        self.iter().any(|reference| reference.key == key)
    }
}

fn map_error<E>(error: MapError<E>) -> StoreError<E> {
    match error {
        MapError::Storage { value, .. } => StoreError::Flash(value),
        MapError::FullStorage => StoreError::Full,
        MapError::ItemTooBig => StoreError::RecordTooLong,
        MapError::BufferTooSmall(needed) => StoreError::ScratchTooShort { needed, found: 0 },
        _ => StoreError::Damaged,
    }
}

impl<E: NorFlashError> core::fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
            Self::Range => f.write_str(
                "the range for taught sounds must begin and end at pages of the flash and have two \
                 of them or more",
            ),
            Self::Full => f.write_str("the flash has no room for more: see flash_len"),
            Self::Damaged => f.write_str("the flash is damaged beyond repair: erase the store"),
            Self::ScratchTooShort { needed, found } => write!(
                f,
                "the scratch memory has {found} bytes and {needed} are needed: see store_scratch_len"
            ),
            Self::RecordTooLong => f.write_str("the flash's pages are too small: see flash_len"),
            Self::Restore(error) => error.fmt(f),
        }
    }
}

impl<E: NorFlashError> core::error::Error for StoreError<E> {}
