//! A device's side that only the device knows: its sounds, its flash, its models.

use super::description::Description;
use super::refusal::Refusal;
use crate::model::Sum;
use crate::space::BackboneId;

/// A device whose profile and model a [`Session`](super::Session) transfers.
pub trait Served {
    /// The slot for another model: [`NoSlot`] if the device takes none.
    type Slot: ModelSlot;

    /// Describes the device. The session fills in what it knows itself: `version`, `block`, `profile_room` and
    /// `model_room`.
    fn describe(&self) -> Description<'_>;

    /// Writes the profile into `out` as a snapshot
    /// ([`export`](crate::fewshot::persist::export)) and returns its length.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] if `out` is too short.
    fn export(&mut self, out: &mut [u8]) -> Result<usize, Refusal>;

    /// Checks `snapshot`, keeps it in flash and uses it from now on, in place of what was taught before. If the
    /// power is cut meanwhile, the old profile or the new one is there afterwards.
    ///
    /// # Errors
    /// [`Refusal`]: the device then knows what it knew before.
    fn import(&mut self, snapshot: &[u8]) -> Result<(), Refusal>;

    /// Tells whether what was taught can be taught again under another backbone, from recordings of the examples, or
    /// nothing was taught: another model then loses nothing.
    fn sounds_can_follow(&mut self) -> bool;

    /// Lends the slot for another model.
    fn slot(&mut self) -> &mut Self::Slot;
}

/// Tells a slot whether the taught sounds are there still under a new model.
#[derive(Clone, Copy, Debug)]
pub struct Taught {
    /// Backbone that they were taught under.
    pub backbone: BackboneId,
    /// They can be taught again under another one: [`Served::sounds_can_follow`].
    pub can_follow: bool,
}

impl Taught {
    /// Describes the sounds of a device.
    pub fn of(served: &mut impl Served) -> Self {
        Self {
            can_follow: served.sounds_can_follow(),
            backbone: served.describe().backbone,
        }
    }

    /// Tells whether they are there still under a model of `backbone`.
    pub fn are_kept_under(&self, backbone: BackboneId) -> bool {
        self.can_follow || self.backbone == backbone
    }
}

/// A place in flash for a model other than the one in use.
pub trait ModelSlot {
    /// Returns the bytes of the longest model that it takes; zero if it takes none.
    fn room(&self) -> u32;

    /// Prepares for the model `sum` and returns how many of its first bytes are there already: none, or those that
    /// were written under the same `sum` before the link or the power was cut. It is a multiple of
    /// [`BLOCK_STEP`](super::BLOCK_STEP), or all of them.
    ///
    /// # Errors
    /// [`Refusal`] if the flash fails.
    fn begin(&mut self, sum: Sum) -> Result<u32, Refusal>;

    /// Writes the next bytes, which follow those that are there: as many as a multiple of
    /// [`BLOCK_STEP`](super::BLOCK_STEP), but for the last.
    ///
    /// # Errors
    /// [`Refusal`] if the flash fails; the bytes then do not count as there.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refusal>;

    /// Checks the model, all of which is there, and has the device start with it from now on; or has it wait, if
    /// what was `taught` would be lost. There is one moment at which it counts: a power cut leaves the old model in use
    /// or the new one.
    ///
    /// # Errors
    /// [`Refusal`] if the device cannot use the model, or the flash fails; the old one stays in use.
    fn finish(&mut self, taught: Taught) -> Result<(), Refusal>;

    /// Tells whether a whole model waits for the taught sounds to be given up; none does in a slot that does not say so.
    fn is_waiting(&self) -> bool {
        false
    }

    /// Has the device start with the model that waits from now on. There is one moment at which it counts, as in
    /// [`Self::finish`].
    ///
    /// # Errors
    /// [`Refusal`] if none waits, or the flash fails: the model then waits on.
    fn activate(&mut self) -> Result<(), Refusal> {
        Err(Refusal::NoSlot)
    }

    /// Confirms the model in use, if it is on trial: there is no going back to the old one. A slot that has no trials
    /// does nothing.
    ///
    /// # Errors
    /// [`Refusal`] if the flash fails: the model is then on trial still.
    fn confirm(&mut self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// The slot of a device that takes no models.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSlot;

impl ModelSlot for NoSlot {
    fn room(&self) -> u32 {
        0
    }

    fn begin(&mut self, _: Sum) -> Result<u32, Refusal> {
        Err(Refusal::NoSlot)
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Refusal> {
        Err(Refusal::NoSlot)
    }

    fn finish(&mut self, _: Taught) -> Result<(), Refusal> {
        Err(Refusal::NoSlot)
    }
}
