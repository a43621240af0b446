//! The device as a session of the link sees it: a program on a host takes profiles there and back.

use super::Device;
use crate::notice::Notice;
use embedded_storage::nor_flash::NorFlash;
use mtslvr_runtime::link::{
    Description, ModelSlot, Refusal, Served, Session, describe, frame_buffer_len, give_profile,
    replace_profile,
};

/// Most bytes of a block on the line.
const BLOCK: usize = 512;
/// Bytes of a frame on the line at most, in each direction.
pub const FRAME_LEN: usize = frame_buffer_len(BLOCK);

impl<F: NorFlash<Error: Copy>, S: ModelSlot> Device<'_, F, S> {
    /// Takes bytes from the line to a host, as they come, and gives `line` the bytes of each answer. Tells what the
    /// device knows if that is new.
    pub fn exchange(
        &mut self,
        session: &mut Session<'_>,
        bytes: &[u8],
        line: impl FnMut(&[u8]),
        mut tell: impl FnMut(Notice<F::Error>),
    ) {
        session.exchange(bytes, self, line);
        if core::mem::take(&mut self.was_given) {
            tell(self.ready());
            self.try_waiting_model(&mut tell);
        }
    }
}

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
        self.clips_follow();
        self.was_given = true;
        Ok(())
    }

    fn sounds_can_follow(&mut self) -> bool {
        self.can_follow()
    }

    fn slot(&mut self) -> &mut S {
        &mut self.slot
    }
}
