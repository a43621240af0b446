//! Two slots for models in NOR flash: a new model arrives beside the one in use, is tried, and then takes its
//! place. The power may go at any moment.
//!
//! The life of an update:
//!
//! ```text
//!                   finish, sounds follow        start
//! receive, write ──────────────────────► trial ──────────► in use, on trial ── confirm ──► in use
//!   ▲    │                                 ▲                  │
//!   └────┘ power cut: goes on              │ activate         └─ started 3 times and never confirmed,
//!          where it was                    │                     or damaged: the old one is in use again
//!          ───────────────────────────► waiting
//!                   finish, sounds stay
//! ```
//!
//! [`ModelSlots::start`] runs at each start of the device and finds a model that opens: the one that the newest
//! record names, else the one in the other slot. Whoever has it in use calls [`ModelSlots::confirm`] once it has
//! shown that it works.
//!
//! Taught sounds belong to a backbone: embeddings of another one mean something else. Each slot therefore has a
//! store of taught sounds of its own ([`persist`](crate::fewshot::persist)), in a range that the caller chooses, and
//! going back to a model goes back to what it was taught. Where the sounds can be carried over to the new model,
//! because it has the same backbone or because the recordings of the examples are kept, that is done after it has
//! started, and before it is confirmed. Where they cannot, the new model waits ([`Sounds::Stay`]) until the user gives
//! them up.
//!
//! Flash is erased a page at a time as a model arrives. The bytes are opened where they lie: the caller maps a slot's
//! range to memory and calls [`Model::open`], or `Model::open_signed` to take models of one key only.

use super::wire::Header;
use super::{Model, Sum};
use crate::space::BackboneId;
use crate::whole_words;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;
use record::{Journal, Record, State};

mod error;
mod record;

pub use error::SlotsError;

/// Starts on trial after which a model that was never confirmed is given up. A power cut during a trial is no
/// fault of the model's.
pub const TRIES: u8 = 3;

/// Records of how much has arrived, of one model.
const PROGRESS_RECORDS: u32 = 16;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Slot {
    /// The first one, which a new device has its model in.
    A = 0,
    /// The second one.
    B = 1,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// Returns the other slot.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Where in flash the slots lie. All are whole pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRanges {
    /// Slot A. A slot begins at a multiple of 16 bytes of memory.
    pub a: Range<u32>,
    /// Slot B.
    pub b: Range<u32>,
    /// The records that say which slot counts: two pages or more.
    pub records: Range<u32>,
}

impl SlotRanges {
    /// Returns the range of a slot.
    pub fn of(&self, slot: Slot) -> &Range<u32> {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }
}

/// Tells what becomes of the taught sounds when a model is taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sounds {
    /// There are none, or they can be carried over once the model has started.
    Follow,
    /// They would be lost: the model waits until [`ModelSlots::activate`].
    Stay,
}

/// Tells where an update stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Update {
    /// There is none.
    None,
    /// A model is arriving.
    Receiving {
        /// The model's bytes, as they were announced.
        announced: Sum,
        /// Bytes that are there for sure.
        received: u32,
    },
    /// A whole model waits for the taught sounds to be given up.
    Waiting {
        /// Its backbone.
        backbone: BackboneId,
    },
    /// The model in the newer slot is on trial.
    Trial {
        /// Starts that are left to it.
        left: u8,
    },
}

/// Tells how a start found its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Start {
    /// It is the one that was in use.
    Usual,
    /// It is a new one, on trial.
    Trial {
        /// Starts that are left to it if it is not confirmed.
        left: u8,
    },
    /// The new one was started [`TRIES`] times and never confirmed: it is the old one again.
    NeverConfirmed,
    /// The one that counts does not open: it is the one in the other slot.
    Damaged,
}

/// A model that was found at the start, as `open` returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started<M> {
    /// The model.
    pub model: M,
    /// Its slot.
    pub slot: Slot,
    /// How it was found.
    pub how: Start,
}

/// Two slots in a flash memory.
///
/// ```
/// # use mtslvr_simulated_flash::SimulatedFlash;
/// use mtslvr_runtime::model::slots::{ModelSlots, Slot, SlotRanges, Sounds, Start};
/// use mtslvr_runtime::model::{AlignedBytes, Model, Sum};
///
/// # let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.slvr"));
/// # let mut content = vec![0xff; 12 * 4096];
/// # content[..file.len()].copy_from_slice(file);
/// # let flash = SimulatedFlash::<4096, 4>::with_content(content);
/// // Twice 16 KiB of flash for models, 8 KiB for records. A programmer wrote a model to the first slot.
/// let ranges = SlotRanges { a: 0..0x4000, b: 0x4000..0x8000, records: 0x8000..0xa000 };
/// let mut slots = ModelSlots::new(flash, ranges)?;
///
/// // Over the air: the length, the CRC-32, and then the bytes in pieces.
/// let announced = Sum::of(file).expect("less than 4 GiB");
/// let there = slots.receive(announced)? as usize;
/// for piece in file[there..].chunks(512) {
///     slots.write(piece)?;
/// }
/// // Flash that is mapped to memory is opened where it lies.
/// let arrived = slots.arrived()?;
/// let mapped = AlignedBytes::new(&slots.flash().content()[arrived.start as usize..arrived.end as usize]);
/// slots.finish(&Model::open(&mapped)?, Sounds::Follow)?;
///
/// // At the next start:
/// let content = AlignedBytes::new(slots.flash().content());
/// let started = slots.start(|_, range| Model::open(&content[range.start as usize..range.end as usize]).ok())?;
/// assert_eq!((started.slot, started.how), (Slot::B, Start::Trial { left: 2 }));
/// slots.confirm()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ModelSlots<F> {
    flash: F,
    ranges: SlotRanges,
    journal: Journal,
    /// Bytes of the arriving model that were written since [`Self::receive`].
    written: Option<u32>,
}

impl<F: NorFlash> ModelSlots<F> {
    /// Reads the records in `flash`, of which the `ranges` hold nothing else. On a new device slot A holds a model,
    /// and all else is erased.
    ///
    /// # Errors
    /// [`SlotsError::Ranges`], [`SlotsError::Flash`].
    pub fn new(mut flash: F, ranges: SlotRanges) -> Result<Self, SlotsError<F::Error>> {
        let all = [&ranges.a, &ranges.b, &ranges.records];
        let whole = |range: &Range<u32>| whole_words::holds_records(&flash, range, record::LEN);
        let apart = |a: &Range<u32>, b: &Range<u32>| a.end <= b.start || b.end <= a.start;
        if !all.into_iter().all(whole)
            || ranges.records.len() < 2 * F::ERASE_SIZE
            || !apart(&ranges.a, &ranges.b)
            || !apart(&ranges.a, &ranges.records)
            || !apart(&ranges.b, &ranges.records)
        {
            return Err(SlotsError::Ranges);
        }
        let journal = Journal::read(&mut flash, ranges.records.clone())?;
        Ok(Self {
            flash,
            ranges,
            journal,
            written: None,
        })
    }

    /// Returns the flash, whose other ranges hold other things.
    pub fn flash(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Returns the ranges.
    pub fn ranges(&self) -> &SlotRanges {
        &self.ranges
    }

    /// Returns the slot whose model is in use, on trial or for good.
    pub fn current(&self) -> Slot {
        match self.journal.newest() {
            None => Slot::A,
            Some(record) => match record.state {
                State::Trial | State::Confirmed => record.slot,
                State::Receiving | State::Waiting => record.slot.other(),
            },
        }
    }

    /// Tells where an update stands.
    pub fn update(&self) -> Update {
        let Some(record) = self.journal.newest() else {
            return Update::None;
        };
        match record.state {
            State::Confirmed => Update::None,
            State::Receiving => Update::Receiving {
                announced: record.announced(),
                received: self.written.unwrap_or(record.received),
            },
            State::Waiting => Update::Waiting {
                backbone: record.backbone,
            },
            State::Trial => Update::Trial {
                left: TRIES.saturating_sub(record.tries),
            },
        }
    }

    /// Finds the model to use: `open` opens the one in a range of flash, and says whether it can be used. A model on
    /// trial has one try less from then on.
    ///
    /// # Errors
    /// [`SlotsError::NoModel`] if none opens, [`SlotsError::Flash`].
    pub fn start<M>(
        &mut self,
        mut open: impl FnMut(Slot, Range<u32>) -> Option<M>,
    ) -> Result<Started<M>, SlotsError<F::Error>> {
        let recorded = self.current();
        let trial = self.journal.newest();
        let trial = trial.filter(|record| record.state == State::Trial);
        let given_up = trial.is_some_and(|record| record.tries >= TRIES);
        let first = if given_up { recorded.other() } else { recorded };
        for slot in [first, first.other()] {
            let Some(range) = self.model_range(slot)? else {
                continue;
            };
            let Some(model) = open(slot, range) else {
                continue;
            };
            let how = match trial {
                Some(record) if slot == recorded && !given_up => {
                    let tries = record.tries + 1;
                    self.append(Record { tries, ..record })?;
                    Start::Trial {
                        left: TRIES - tries,
                    }
                }
                _ if slot == recorded && !given_up => Start::Usual,
                _ => {
                    self.append(Record::confirmed(slot))?;
                    if given_up && slot != recorded {
                        Start::NeverConfirmed
                    } else {
                        Start::Damaged
                    }
                }
            };
            return Ok(Started { model, slot, how });
        }
        Err(SlotsError::NoModel)
    }

    /// Confirms the model that is on trial: there is no going back to the old one. Does nothing if none is.
    ///
    /// # Errors
    /// [`SlotsError::Flash`].
    pub fn confirm(&mut self) -> Result<(), SlotsError<F::Error>> {
        match self.journal.newest() {
            Some(record) if record.state == State::Trial => {
                self.append(Record::confirmed(record.slot))
            }
            _ => Ok(()),
        }
    }

    /// Begins to receive a model into the slot that is not in use, or goes on. Returns the number of bytes that are
    /// there: [`Self::write`] takes those that follow.
    ///
    /// # Errors
    /// [`SlotsError::OnTrial`], [`SlotsError::TooLong`], [`SlotsError::Flash`].
    pub fn receive(&mut self, announced: Sum) -> Result<u32, SlotsError<F::Error>> {
        let Sum { len, crc32 } = announced;
        let newest = self.journal.newest();
        if newest.is_some_and(|record| record.state == State::Trial) {
            return Err(SlotsError::OnTrial);
        }
        let slot = self.current().other();
        let room = self.ranges.of(slot).len() as u32;
        if len > room {
            return Err(SlotsError::TooLong { len, room });
        }
        let begun = newest
            .filter(|record| record.state == State::Receiving && record.announced() == announced);
        let received = match begun {
            Some(record) => record.received,
            None => {
                self.append(Record {
                    state: State::Receiving,
                    len,
                    crc32,
                    ..Record::confirmed(slot)
                })?;
                0
            }
        };
        self.written = Some(received);
        Ok(received)
    }

    /// Writes the bytes of the arriving model that follow those that are there. Every piece but the last is a
    /// multiple of the flash's words.
    ///
    /// # Errors
    /// [`SlotsError::NotReceiving`], [`SlotsError::Piece`], [`SlotsError::Flash`]; after the last,
    /// [`Self::receive`] tells where to go on.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), SlotsError<F::Error>> {
        let record = self.receiving()?;
        let mut written = self.written.take().ok_or(SlotsError::NotReceiving)?;
        let left = record.len.saturating_sub(written);
        let is_last = piece.len() == left as usize;
        if piece.len() > left as usize || !is_last && !piece.len().is_multiple_of(F::WRITE_SIZE) {
            self.written = Some(written);
            let len = piece.len();
            return Err(SlotsError::Piece { len, left });
        }
        let page = F::ERASE_SIZE as u32;
        // How much has arrived is noted at some of the page boundaries, so that few pages of records fill.
        let step = record.len.div_ceil(PROGRESS_RECORDS);
        let step = step.next_multiple_of(page).max(page);
        let start = self.ranges.of(record.slot).start;
        let mut rest = piece;
        while !rest.is_empty() {
            let at = start + written;
            if written.is_multiple_of(page) {
                if written > 0 && written.is_multiple_of(step) && written > record.received {
                    self.append(Record {
                        received: written,
                        ..record
                    })?;
                }
                self.flash.erase(at, at + page).map_err(SlotsError::Flash)?;
            }
            let to_page_end = (page - written % page) as usize;
            let (now, later) = rest.split_at(rest.len().min(to_page_end));
            whole_words::write(&mut self.flash, at, now).map_err(SlotsError::Flash)?;
            written += now.len() as u32;
            rest = later;
        }
        self.written = Some(written);
        Ok(())
    }

    /// Returns the range of the model that has arrived, after reading it back: open it there.
    ///
    /// # Errors
    /// [`SlotsError::NotReceiving`], [`SlotsError::Incomplete`], [`SlotsError::Checksum`] (then it must be sent
    /// again from the beginning), [`SlotsError::Flash`].
    pub fn arrived(&mut self) -> Result<Range<u32>, SlotsError<F::Error>> {
        let record = self.receiving()?;
        let (received, len) = (self.written.unwrap_or(record.received), record.len);
        if received < len {
            return Err(SlotsError::Incomplete { received, len });
        }
        let start = self.ranges.of(record.slot).start;
        let range = start..start + len;
        let (found, expected) = (
            whole_words::crc32_of(&mut self.flash, range.clone()).map_err(SlotsError::Flash)?,
            record.crc32,
        );
        if found != expected {
            // Whatever is wrong with these bytes, none of them is taken for received.
            self.written = Some(0);
            self.append(Record {
                received: 0,
                ..record
            })?;
            return Err(SlotsError::Checksum { expected, found });
        }
        Ok(range)
    }

    /// Takes the model that has arrived, and that was opened where it lies: it is tried at the next start, or waits.
    ///
    /// # Errors
    /// As [`Self::arrived`], and [`SlotsError::OtherModel`] if `model` is another one.
    pub fn finish(
        &mut self,
        model: &Model<'_>,
        sounds: Sounds,
    ) -> Result<(), SlotsError<F::Error>> {
        self.arrived()?;
        let record = self.receiving()?;
        if Sum::of(model.as_bytes()) != Some(record.announced()) {
            return Err(SlotsError::OtherModel);
        }
        self.written = None;
        self.append(Record {
            state: match sounds {
                Sounds::Follow => State::Trial,
                Sounds::Stay => State::Waiting,
            },
            received: record.len,
            backbone: model.id(),
            ..record
        })
    }

    /// Lets the waiting model be tried at the next start: the sounds that the model in use was taught have been given
    /// up, or can now be carried over.
    ///
    /// # Errors
    /// [`SlotsError::NothingWaiting`], [`SlotsError::Flash`].
    pub fn activate(&mut self) -> Result<(), SlotsError<F::Error>> {
        match self.journal.newest() {
            Some(record) if record.state == State::Waiting => self.append(Record {
                state: State::Trial,
                ..record
            }),
            _ => Err(SlotsError::NothingWaiting),
        }
    }

    /// Gives up the model that is arriving or waits. Does nothing if none is.
    ///
    /// # Errors
    /// [`SlotsError::Flash`].
    pub fn discard(&mut self) -> Result<(), SlotsError<F::Error>> {
        self.written = None;
        match self.update() {
            Update::Receiving { .. } | Update::Waiting { .. } => {
                self.append(Record::confirmed(self.current()))
            }
            Update::None | Update::Trial { .. } => Ok(()),
        }
    }

    fn receiving(&self) -> Result<Record, SlotsError<F::Error>> {
        let newest = self.journal.newest();
        newest
            .filter(|record| record.state == State::Receiving)
            .ok_or(SlotsError::NotReceiving)
    }

    fn append(&mut self, record: Record) -> Result<(), SlotsError<F::Error>> {
        self.journal.append(&mut self.flash, record)
    }

    /// Returns the range of the bytes that a slot's model says it has; `None` if there is no model.
    fn model_range(&mut self, slot: Slot) -> Result<Option<Range<u32>>, SlotsError<F::Error>> {
        let range = self.ranges.of(slot);
        let (start, room) = (range.start, range.len() as u32);
        let mut header = [0; Header::LEN];
        if range.len() < header.len() {
            return Ok(None);
        }
        self.flash
            .read(start, &mut header)
            .map_err(SlotsError::Flash)?;
        let len = Header::read(&header).file_len;
        Ok((header.starts_with(&Header::MAGIC) && len <= room).then(|| start..start + len))
    }
}
