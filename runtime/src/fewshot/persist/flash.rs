//! A support set in NOR flash that survives the power being cut at any moment.
//!
//! Every example is a record of its own, the direction as it is. One more record, the index, lists
//! the classes and, for each example, the key of its record and a fingerprint of it; it names the
//! backbone and holds a checksum. Saving writes new examples to records that the index in flash does
//! not refer to, and then the new index: from that moment, and not before, the new state is the one
//! that counts. The crate `sequential-storage` appends records, finds the newest whole one of each key,
//! spreads wear over the pages, and repairs what a cut left.
//!
//! [`FlashStore`] is for asynchronous flash drivers, [`BlockingFlashStore`] for blocking ones. The bytes
//! in flash are the same.

use super::catalogue::{self, Catalogue, Form};
use super::layout::field::reference;
use super::{RestoreError, fingerprint};
use crate::fewshot::Learner;
use crate::fewshot::direction::is_direction;
use crate::fewshot::support::SupportSet;
use crate::whole_words::MAX_WORD;
use core::ops::Range;
use embedded_storage_async::nor_flash::{NorFlash, NorFlashError};
use references::{Reference, References, WholeRecords};
use sequential_storage::Error as MapError;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use words::WholeWords;

mod blocking;
mod references;
mod words;

pub use blocking::{Blocking, BlockingFlashStore};

/// Key of the index; an example's record has a key above.
const INDEX: u16 = 0;
/// Bytes of a key.
const KEY_LEN: usize = 2;
/// Bytes that `sequential-storage` puts in front of a record.
const ITEM_HEADER: usize = 8;

/// A part of a flash memory in which a support set is kept, behind an asynchronous driver.
///
/// A future that is dropped before it is ready leaves the flash as a power cut at that moment would.
/// See [`BlockingFlashStore`] for an example; here each call ends in `.await`.
pub struct FlashStore<F: NorFlash> {
    map: Map<F>,
}

type Map<F> = MapStorage<u16, WholeWords<F>, Cache<Uncached, Uncached, Uncached, u16>>;

/// Explains why a store could not be opened, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The flash failed.
    #[error("the flash failed: {0:?}")]
    Flash(E),
    /// The range does not begin and end at pages, has fewer than two of them, or the flash's pages
    /// or words have a size that is not supported.
    #[error(
        "the range for taught sounds must begin and end at pages of the flash and have two of them \
         or more"
    )]
    Range,
    /// There is no room in flash; the state saved before is still there. See [`flash_len`].
    #[error("the flash has no room for more: see flash_len")]
    Full,
    /// The flash holds bytes that this software never writes, beyond repair: erase it.
    #[error("the flash is damaged beyond repair: erase the store")]
    Damaged,
    /// The scratch memory is too short: see [`store_scratch_len`].
    #[error("the scratch memory has {found} bytes and {needed} are needed: see store_scratch_len")]
    ScratchTooShort {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// A record does not fit in a page.
    #[error("the flash's pages are too small: see flash_len")]
    RecordTooLong,
    /// The saved state cannot be used.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Tells what a store held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Loaded {
    /// A state that was saved: the learner knows it now.
    Saved,
    /// Nothing: no state was saved since the flash was erased.
    Nothing,
}

/// Returns the bytes of scratch memory that a store needs for up to as many classes and examples, of
/// `dim` values each.
pub const fn store_scratch_len(classes: usize, examples: usize, dim: usize) -> usize {
    let index = catalogue::longest_index(classes, examples);
    index
        .saturating_mul(2)
        .saturating_add(WholeRecords::len(examples))
        .saturating_add(record_buffer_len(index, dim))
}

/// Returns the room for a record with its key, in whole words.
const fn record_buffer_len(index: usize, dim: usize) -> usize {
    let longest = if index > dim { index } else { dim };
    whole_words(longest.saturating_add(KEY_LEN))
}

const fn whole_words(bytes: usize) -> usize {
    bytes.div_ceil(MAX_WORD).saturating_mul(MAX_WORD)
}

/// Returns the bytes of flash, in whole pages of `erase_size`, that always suffice for up to as many
/// classes and examples, of `dim` values each: for all examples, for as many again that replace them
/// all at once, and for the pages that are gathered and erased meanwhile. `None` if a page is too small
/// for a record.
pub const fn flash_len(
    classes: usize,
    examples: usize,
    dim: usize,
    erase_size: usize,
) -> Option<usize> {
    let example = item_len(dim);
    let index = item_len(catalogue::longest_index(classes, examples));
    // A page begins and ends with a word of its own.
    let Some(room) = erase_size.checked_sub(2 * MAX_WORD) else {
        return None;
    };
    if example > room || index > room {
        return None;
    }
    let pages = examples.saturating_mul(2).div_ceil(room / example);
    // A page for the index that counts, one being filled, one kept free.
    erase_size.checked_mul(pages.saturating_add(3))
}

const fn item_len(record: usize) -> usize {
    whole_words(record.saturating_add(KEY_LEN)).saturating_add(whole_words(ITEM_HEADER))
}

impl<F: NorFlash> FlashStore<F> {
    /// Opens a store in the bytes `range` of `flash`, of which nothing else may use any. New flash must
    /// be erased. Nothing is read or written yet.
    ///
    /// # Errors
    /// [`StoreError::Range`].
    pub fn new(flash: F, range: Range<u32>) -> Result<Self, StoreError<F::Error>> {
        if range.start > range.end || range.end as usize > flash.capacity() {
            return Err(StoreError::Range);
        }
        let config = MapConfig::try_new(range).map_err(|_| StoreError::Range)?;
        let map = MapStorage::new(WholeWords(flash), config, Cache::new_uncached());
        Ok(Self { map })
    }

    /// Returns the flash, whose other ranges hold other things.
    pub fn flash(&mut self) -> &mut F {
        &mut self.map.flash().0
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.map.destroy().0.0
    }

    /// Makes `learner` know the state that was saved last. [`Learner::fit`] is due afterwards.
    ///
    /// # Errors
    /// [`StoreError`], also if the state was saved under another backbone than the learner's. The
    /// learner then knows nothing.
    pub async fn load(
        &mut self,
        learner: &mut Learner<'_>,
        scratch: &mut [u8],
    ) -> Result<Loaded, StoreError<F::Error>> {
        let support = learner.support_mut();
        support.clear();
        let loaded = self.load_into(support, scratch).await;
        if loaded.is_err() {
            support.clear();
        }
        loaded
    }

    async fn load_into(
        &mut self,
        support: &mut SupportSet<'_>,
        scratch: &mut [u8],
    ) -> Result<Loaded, StoreError<F::Error>> {
        let Scratch { old, record, .. } = Scratch::of(support, scratch)?;
        let Some(index) = self.fetch_index(old, record).await? else {
            return Ok(Loaded::Nothing);
        };
        let catalogue = Catalogue::decode(Form::Index, index)?;
        catalogue.check_fits(support)?;
        let references = References::of(catalogue.payload);
        let (dim, parts) = (support.dim(), *support.space().parts());
        let rows = catalogue.restore(support);

        // Records come in the order in which they lie in flash: each goes to the rows that want it.
        rows.fill(0);
        let mut records = self.map.fetch_all_items(record).await.map_err(map_error)?;
        while let Some((key, found)) = records.next::<&[u8]>(record).await.map_err(map_error)? {
            // The length of a record is whatever the flash holds.
            if found.len() != dim {
                continue;
            }
            let direction: &[i8] = bytemuck::cast_slice(found);
            let fingerprint = fingerprint(direction);
            for (row, reference) in rows.chunks_exact_mut(dim).zip(references.iter()) {
                if reference == (Reference { key, fingerprint }) {
                    row.copy_from_slice(direction);
                }
            }
        }
        // A row that stayed zero is no direction.
        let rows = rows.chunks_exact(dim).zip(references.iter());
        for (example, (row, reference)) in rows.enumerate() {
            if !is_direction(row, &parts) || reference.fingerprint != fingerprint(row) {
                return Err(RestoreError::ExampleLost { example }.into());
            }
        }
        Ok(Loaded::Saved)
    }

    /// Saves what `learner` was taught in place of the state that was saved before. If the power is cut
    /// meanwhile, one of the two is there afterwards, whole. Saving the state that is there already
    /// writes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the state that was saved before is then still there. Only [`StoreError::Damaged`]
    /// promises nothing.
    pub async fn save(
        &mut self,
        learner: &Learner<'_>,
        scratch: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        let support = learner.support();
        let Scratch {
            old,
            new,
            whole,
            record,
        } = Scratch::of(support, scratch)?;

        // The index in flash says which records must stay as they are until the new index counts. One
        // that cannot be used has no record worth keeping.
        let old = self.fetch_index(old, record).await?.unwrap_or_default();
        let saved = Catalogue::decode(Form::Index, old).map_or(&[][..], |index| index.payload);
        let saved = References::of(saved);
        let mut whole = WholeRecords::none(whole);
        self.find_whole(saved, &mut whole, record).await?;

        // Examples first, so that the new index refers to records that are there. An example that is in
        // flash already, or twice in the set, needs no record of its own.
        let len = catalogue::len_of(Form::Index, support);
        let new = &mut new[..len];
        let room = catalogue::lay_out(Form::Index, support, new);
        let (room, _) = room.as_chunks_mut::<{ reference::LEN }>();
        let examples = support.all_examples().chunks_exact(support.dim());
        for (number, example) in examples.enumerate() {
            let placed = References(&room[..number]);
            let fingerprint = fingerprint(example);
            let key = match placed.key_of(fingerprint).or_else(|| {
                let mut kept = whole.of(saved);
                kept.find(|kept| kept.fingerprint == fingerprint)
                    .map(|kept| kept.key)
            }) {
                Some(key) => key,
                None => {
                    let taken =
                        |key| placed.holds(key) || whole.of(saved).any(|kept| kept.key == key);
                    let key = (INDEX + 1..=u16::MAX).find(|key| !taken(*key));
                    let key = key.ok_or(StoreError::Full)?;
                    self.store(key, bytemuck::cast_slice(example), record)
                        .await?;
                    key
                }
            };
            room[number] = Reference { key, fingerprint }.emit();
        }

        // From here on the new state counts, or it has been there all along.
        catalogue::seal(new);
        let placed = Catalogue::decode(Form::Index, new).map_or(&[][..], |index| index.payload);
        let placed = References::of(placed);
        if *new != *old {
            self.store(INDEX, new, record).await?;
            self.let_go(saved, placed, record).await?;
        }
        self.verify(new, placed, &mut whole, record).await
    }

    /// Writes an empty record in the place of each that the index no longer refers to: the old one is then
    /// not carried along when its page is gathered.
    async fn let_go(
        &mut self,
        saved: References<'_>,
        placed: References<'_>,
        record: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        let unused = saved.iter().map(|reference| reference.key);
        for key in unused.filter(|&key| key != INDEX && !placed.holds(key)) {
            match self.store(key, &[], record).await {
                // Room is all that is lost.
                Err(StoreError::Full) => break,
                result => result?,
            }
        }
        Ok(())
    }

    /// Reads back what was saved. Where marks of pages are damaged, an older record can count as the newest
    /// of its key, whatever is written after it, or can come to count when the damage is repaired.
    async fn verify(
        &mut self,
        index: &[u8],
        placed: References<'_>,
        whole: &mut WholeRecords<'_>,
        record: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        whole.forget();
        self.find_whole(placed, whole, record).await?;
        let fetched = self.map.fetch_item::<&[u8]>(record, &INDEX).await;
        let is_there = fetched.map_err(map_error)? == Some(index);
        if is_there && whole.of(placed).count() == placed.iter().count() {
            Ok(())
        } else {
            Err(StoreError::Damaged)
        }
    }

    /// Finds those of the records that `references` name that are there as they were written.
    async fn find_whole(
        &mut self,
        references: References<'_>,
        whole: &mut WholeRecords<'_>,
        record: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        let mut records = self.map.fetch_all_items(record).await.map_err(map_error)?;
        while let Some((key, found)) = records.next::<&[u8]>(record).await.map_err(map_error)? {
            let fingerprint = fingerprint(bytemuck::cast_slice(found));
            for (number, reference) in references.iter().enumerate() {
                if reference.key == key {
                    // The last record of a key is the one that counts.
                    whole.set(number, reference.fingerprint == fingerprint);
                }
            }
        }
        Ok(())
    }

    /// Erases everything that was saved. A power cut meanwhile can leave flash that [`Self::load`] finds
    /// empty or damaged.
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub async fn erase(&mut self) -> Result<(), StoreError<F::Error>> {
        self.map.erase_all().await.map_err(map_error)
    }

    /// Copies the index in flash to `room`; `None` if nothing was saved.
    async fn fetch_index<'r>(
        &mut self,
        room: &'r mut [u8],
        record: &mut [u8],
    ) -> Result<Option<&'r [u8]>, StoreError<F::Error>> {
        let fetched = self.map.fetch_item::<&[u8]>(record, &INDEX).await;
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

    async fn store(
        &mut self,
        key: u16,
        bytes: &[u8],
        record: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        let stored = self.map.store_item(record, &key, &bytes).await;
        stored.map_err(map_error)
    }
}

impl<F: NorFlash> core::fmt::Debug for FlashStore<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FlashStore")
            .field("range", &self.map.flash_range())
            .finish_non_exhaustive()
    }
}

/// The regions of the scratch memory.
struct Scratch<'s> {
    /// For the index that is in flash.
    old: &'s mut [u8],
    /// For the one that will be.
    new: &'s mut [u8],
    /// A bit for each example of the index in flash.
    whole: &'s mut [u8],
    /// For `sequential-storage`, a record at a time.
    record: &'s mut [u8],
}

impl<'s> Scratch<'s> {
    fn of<E>(support: &SupportSet<'_>, scratch: &'s mut [u8]) -> Result<Self, StoreError<E>> {
        let (classes, examples) = (support.class_capacity(), support.example_capacity());
        let needed = store_scratch_len(classes, examples, support.dim());
        let found = scratch.len();
        if found < needed {
            return Err(StoreError::ScratchTooShort { needed, found });
        }
        let index = catalogue::longest_index(classes, examples);
        let (old, rest) = scratch.split_at_mut(index);
        let (new, rest) = rest.split_at_mut(index);
        let (whole, record) = rest.split_at_mut(WholeRecords::len(examples));
        Ok(Self {
            old,
            new,
            whole,
            record,
        })
    }
}

fn map_error<E: NorFlashError>(error: MapError<E>) -> StoreError<E> {
    match error {
        MapError::Storage { value, .. } => StoreError::Flash(value),
        MapError::FullStorage => StoreError::Full,
        MapError::ItemTooBig => StoreError::RecordTooLong,
        MapError::BufferTooSmall(needed) => StoreError::ScratchTooShort { needed, found: 0 },
        _ => StoreError::Damaged,
    }
}

#[cfg(test)]
mod tests;
