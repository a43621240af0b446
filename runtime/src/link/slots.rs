//! The two slots of a device as the link fills them.

use super::refusal::Refusal;
use super::served::{ModelSlot, Taught};
use crate::model::slots::{ModelSlots, SlotsError, Sounds, Update};
use crate::model::{Model, Sum};
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;

/// Opens models for the slots.
pub trait SlotsOwner<F> {
    /// Opens the model in `range` of `flash`, where it is mapped to memory or in a copy, with [`Model::open`] or
    /// `Model::open_signed`.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`], [`Refusal::Untrusted`], [`Refusal::Flash`].
    fn open(&mut self, flash: &mut F, range: Range<u32>) -> Result<Model<'_>, Refusal>;
}

/// [`ModelSlots`] as a [`ModelSlot`] of a session: a model that comes over the link goes to the slot that is not in
/// use, and is tried at the next start, or waits.
#[derive(Debug)]
pub struct LinkedSlots<F, O> {
    /// The slots.
    pub slots: ModelSlots<F>,
    /// The rest of what is needed of them.
    pub owner: O,
}

impl<F: NorFlash, O: SlotsOwner<F>> ModelSlot for LinkedSlots<F, O> {
    fn room(&self) -> u32 {
        let slot = self.slots.current().other();
        let room = self.slots.ranges().of(slot).len();
        u32::try_from(room).unwrap_or(u32::MAX)
    }

    fn begin(&mut self, sum: Sum) -> Result<u32, Refusal> {
        self.slots.receive(sum).map_err(refusal)
    }

    fn write(&mut self, _: u32, bytes: &[u8]) -> Result<(), Refusal> {
        self.slots.write(bytes).map_err(refusal)
    }

    fn finish(&mut self, taught: Taught) -> Result<(), Refusal> {
        let range = self.slots.arrived().map_err(refusal)?;
        match self.owner.open(self.slots.flash(), range) {
            Ok(model) => {
                let sounds = match taught.are_kept_under(model.id()) {
                    true => Sounds::Follow,
                    false => Sounds::Stay,
                };
                self.slots.finish(&model, sounds).map_err(refusal)
            }
            Err(refused) => {
                // It is of no use, and its slot is free for another one.
                self.slots.discard().map_err(refusal)?;
                Err(refused)
            }
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.slots.update(), Update::Waiting { .. })
    }

    fn activate(&mut self) -> Result<(), Refusal> {
        self.slots.activate().map_err(refusal)
    }

    fn confirm(&mut self) -> Result<(), Refusal> {
        self.slots.confirm().map_err(refusal)
    }
}

fn refusal<E>(error: SlotsError<E>) -> Refusal {
    match error {
        SlotsError::OnTrial => Refusal::OnTrial,
        SlotsError::TooLong { len, room } => Refusal::TooLong { found: len, room },
        SlotsError::NotReceiving | SlotsError::NothingWaiting => Refusal::NotBegun,
        SlotsError::Piece { .. } => Refusal::UnknownRequest,
        SlotsError::Incomplete { received, len } => Refusal::Incomplete {
            found: received,
            expected: len,
        },
        SlotsError::Checksum { expected, found } => Refusal::Checksum {
            computed: found,
            stated: expected,
        },
        SlotsError::OtherModel => Refusal::Unreadable,
        _ => Refusal::Flash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slots_refuse_is_told_with_its_numbers() {
        for (error, told) in [
            (SlotsError::OnTrial, Refusal::OnTrial),
            (
                SlotsError::TooLong { len: 9, room: 8 },
                Refusal::TooLong { found: 9, room: 8 },
            ),
            (SlotsError::NotReceiving, Refusal::NotBegun),
            (SlotsError::NothingWaiting, Refusal::NotBegun),
            (
                SlotsError::Piece { len: 3, left: 2 },
                Refusal::UnknownRequest,
            ),
            (
                SlotsError::Incomplete {
                    received: 4,
                    len: 8,
                },
                Refusal::Incomplete {
                    found: 4,
                    expected: 8,
                },
            ),
            (
                SlotsError::Checksum {
                    expected: 1,
                    found: 2,
                },
                Refusal::Checksum {
                    computed: 2,
                    stated: 1,
                },
            ),
            (SlotsError::OtherModel, Refusal::Unreadable),
            (SlotsError::NoModel, Refusal::Flash),
            (SlotsError::Flash(()), Refusal::Flash),
        ] {
            assert_eq!(refusal(error), told);
        }
    }
}
