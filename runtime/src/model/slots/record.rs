//! The records that say which slot counts, and the pages that they are appended to.

use super::{Slot, SlotsError};
use crate::bytes::Field;
use crate::model::{Crc32, Sum};
use crate::space::BackboneId;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;

/// The first bytes of a record.
const MAGIC: [u8; 4] = *b"MTSU";

/// Bytes of a record: whole words of every flash.
pub(super) const LEN: usize = 64;

/// An entry of erased flash.
const BLANK: [u8; LEN] = [0xff; LEN];

mod field {
    use super::Field;

    pub const MAGIC: Field<[u8; 4], 0> = Field::NEW;
    /// Number of the record: the one with the highest counts.
    pub const SEQUENCE: Field<u32, 4> = Field::NEW;
    pub const STATE: Field<u8, 8> = Field::NEW;
    pub const SLOT: Field<u8, 9> = Field::NEW;
    pub const TRIES: Field<u8, 10> = Field::NEW;
    pub const MODEL_LEN: Field<u32, 12> = Field::NEW;
    pub const RECEIVED: Field<u32, 16> = Field::NEW;
    pub const MODEL_CRC32: Field<u32, 20> = Field::NEW;
    pub const BACKBONE: Field<[u8; 32], 24> = Field::NEW;
    /// CRC-32 of all bytes before it.
    pub const CHECKSUM: Field<u32, CHECKSUM_AT> = Field::NEW;
    pub const CHECKSUM_AT: usize = 60;
}

/// State of a slot, as a record says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// A model is arriving there; the other slot is in use.
    Receiving = 1,
    /// A whole model waits there; the other slot is in use.
    Waiting = 2,
    /// It is in use on trial; the other slot is what is gone back to.
    Trial = 3,
    /// It is in use.
    Confirmed = 4,
}

impl State {
    const ALL: [Self; 4] = [Self::Receiving, Self::Waiting, Self::Trial, Self::Confirmed];
}

/// A record's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub state: State,
    pub slot: Slot,
    /// Starts on trial so far.
    pub tries: u8,
    /// Bytes of the model in the slot.
    pub len: u32,
    /// How many of them have been written for sure.
    pub received: u32,
    /// CRC-32 of them all.
    pub crc32: u32,
    /// Backbone of the model, once it was checked.
    pub backbone: BackboneId,
}

impl Record {
    /// Says that `slot` is in use.
    pub fn confirmed(slot: Slot) -> Self {
        Self {
            state: State::Confirmed,
            slot,
            tries: 0,
            len: 0,
            received: 0,
            crc32: 0,
            backbone: BackboneId::new([0; BackboneId::LEN]),
        }
    }

    /// Returns the sum of the model's bytes.
    pub fn announced(&self) -> Sum {
        Sum {
            len: self.len,
            crc32: self.crc32,
        }
    }

    fn emit(&self, sequence: u32) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        field::MAGIC.set(&mut bytes, MAGIC);
        field::SEQUENCE.set(&mut bytes, sequence);
        field::STATE.set(&mut bytes, self.state as u8);
        field::SLOT.set(&mut bytes, self.slot as u8);
        field::TRIES.set(&mut bytes, self.tries);
        field::MODEL_LEN.set(&mut bytes, self.len);
        field::RECEIVED.set(&mut bytes, self.received);
        field::MODEL_CRC32.set(&mut bytes, self.crc32);
        field::BACKBONE.set(&mut bytes, *self.backbone.as_bytes());
        let checksum = checksum(&bytes);
        field::CHECKSUM.set(&mut bytes, checksum);
        bytes
    }

    /// Reads a record and its number; `None` of whatever is none, a record that a power cut left unfinished
    /// included.
    fn read(bytes: &[u8; LEN]) -> Option<(u32, Self)> {
        if field::MAGIC.get(bytes) != MAGIC || field::CHECKSUM.get(bytes) != checksum(bytes) {
            return None;
        }
        let state = field::STATE.get(bytes);
        let slot = field::SLOT.get(bytes);
        let record = Self {
            state: State::ALL.into_iter().find(|known| *known as u8 == state)?,
            slot: Slot::ALL.into_iter().find(|known| *known as u8 == slot)?,
            tries: field::TRIES.get(bytes),
            len: field::MODEL_LEN.get(bytes),
            received: field::RECEIVED.get(bytes),
            crc32: field::MODEL_CRC32.get(bytes),
            backbone: BackboneId::new(field::BACKBONE.get(bytes)),
        };
        Some((field::SEQUENCE.get(bytes), record))
    }
}

fn checksum(bytes: &[u8; LEN]) -> u32 {
    let covered = bytes.get(..field::CHECKSUM_AT).unwrap_or_default();
    Crc32::new().update(covered).finish()
}

/// The records in their pages, of which one is filled after another: the newest record always lies in a page
/// that is not being erased.
#[derive(Debug)]
pub(super) struct Journal {
    range: Range<u32>,
    newest: Option<Newest>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    sequence: u32,
    record: Record,
    /// Where it lies.
    at: u32,
}

impl Journal {
    /// Reads the records in `range`, two whole pages of `flash` or more.
    pub fn read<F: NorFlash>(
        flash: &mut F,
        range: Range<u32>,
    ) -> Result<Self, SlotsError<F::Error>> {
        let mut newest: Option<Newest> = None;
        for at in range.clone().step_by(LEN) {
            let found = Record::read(&entry(flash, at)?);
            if let Some((sequence, record)) = found
                && newest.is_none_or(|newest| sequence > newest.sequence)
            {
                newest = Some(Newest {
                    sequence,
                    record,
                    at,
                });
            }
        }
        Ok(Self { range, newest })
    }

    /// Returns the record that counts.
    pub fn newest(&self) -> Option<Record> {
        self.newest.map(|newest| newest.record)
    }

    /// Appends a record, which counts from the moment its last byte is there.
    pub fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        record: Record,
    ) -> Result<(), SlotsError<F::Error>> {
        let sequence = self
            .newest
            .map_or(0, |newest| newest.sequence.saturating_add(1));
        let at = self.blank_place(flash)?;
        let bytes = record.emit(sequence);
        flash.write(at, &bytes).map_err(SlotsError::Flash)?;
        self.newest = Some(Newest {
            sequence,
            record,
            at,
        });
        Ok(())
    }

    /// Finds an entry that is erased, behind the newest record in its page, or else the first of the next page,
    /// which is erased for it.
    fn blank_place<F: NorFlash>(&self, flash: &mut F) -> Result<u32, SlotsError<F::Error>> {
        let page_len = F::ERASE_SIZE as u32;
        let page = match self.newest {
            None => self.range.start,
            Some(newest) => {
                let page = newest.at - newest.at % page_len;
                let behind = newest.at + LEN as u32..page + page_len;
                for at in behind.step_by(LEN) {
                    // One that a power cut left unfinished is passed over.
                    if entry(flash, at)? == BLANK {
                        return Ok(at);
                    }
                }
                let next = page + page_len;
                if next < self.range.end {
                    next
                } else {
                    self.range.start
                }
            }
        };
        flash
            .erase(page, page + page_len)
            .map_err(SlotsError::Flash)?;
        Ok(page)
    }
}

fn entry<F: NorFlash>(flash: &mut F, at: u32) -> Result<[u8; LEN], SlotsError<F::Error>> {
    let mut bytes = [0; LEN];
    flash.read(at, &mut bytes).map_err(SlotsError::Flash)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_simulated_flash::SimulatedFlash;

    fn record(received: u32) -> Record {
        Record {
            state: State::Receiving,
            slot: Slot::B,
            tries: 2,
            len: 1 << 20,
            received,
            crc32: 0x1234_5678,
            backbone: BackboneId::new([7; 32]),
        }
    }

    #[test]
    fn records_come_back_and_damaged_ones_do_not() {
        let bytes = record(5).emit(9);
        assert_eq!(Record::read(&bytes), Some((9, record(5))));
        for at in 0..LEN {
            for bit in 0..8 {
                let mut damaged = bytes;
                damaged[at] ^= 1 << bit;
                let found = Record::read(&damaged);
                // Byte 11 is reserved, but the checksum covers it.
                assert_eq!(found, None, "bit {bit} of byte {at}");
            }
        }
        assert_eq!(Record::read(&BLANK), None);
        assert_eq!(Record::read(&[0; LEN]), None);
    }

    /// The newest record is found again after each of many, through every page.
    #[test]
    fn the_newest_counts_wherever_it_lies() {
        let mut flash = SimulatedFlash::<256, 4>::new(3);
        let range = 0..768;
        let mut journal = Journal::read(&mut flash, range.clone()).unwrap();
        assert_eq!(journal.newest(), None);
        for number in 0..40 {
            journal.append(&mut flash, record(number)).unwrap();
            assert_eq!(journal.newest(), Some(record(number)));
            journal = Journal::read(&mut flash, range.clone()).unwrap();
            assert_eq!(journal.newest(), Some(record(number)));
        }
        assert!(flash.pages_erased() >= 9);
    }
}
