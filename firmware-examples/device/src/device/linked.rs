//! The device as a session of the link sees it: a program on a host takes profiles there and back.

use super::Device;
use embedded_storage::nor_flash::NorFlash;
use mtslvr_runtime::link::{
    Description, ModelSlot, Refusal, Served, describe, give_profile, replace_profile,
};

impl<F: NorFlash<Error: Copy>, S: ModelSlot> Served for Device<'_, F, S> {
    type Slot = S;

    fn describe(&self) -> Description<'_> {
        describe(&self.sounds, self.backbone.model().name())
    }

    fn export(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        give_profile(&self.sounds, out)
    }

    fn import(&mut self, snapshot: &[u8]) -> Result<(), Refusal> {
        if self.locked.is_some() {
            return Err(Refusal::Locked);
        }
        // The arena is free between embeddings.
        let fit = self.backbone.scratch();
        replace_profile(
            snapshot,
            &mut self.sounds,
            fit,
            &mut self.store,
            self.scratch,
        )?;
        // The sounds that these are about may be gone.
        (self.recent, self.lesson) = (None, None);
        self.room.leave();
        Ok(())
    }

    fn slot(&mut self) -> &mut S {
        &mut self.slot
    }
}
