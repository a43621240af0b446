//! Profiles over the board's UART.

use crate::arguments::{Argument, arguments};
use crate::device::Device;
use crate::kept::{Count, Kept};
use crate::model::EMBEDDING_DIM;
use crate::sounds::{CLASSES, EXAMPLES};
use mtslvr_board::say;
use mtslvr_board::uart::Uart;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::fewshot::persist::longest_snapshot;
use mtslvr_runtime::link::{
    Description, NoSlot, Refusal, Served, Session, SessionMemory, describe, frame_buffer_len,
    give_profile, replace_profile,
};

/// Most bytes of a block. QEMU's UART takes a byte at a time, each of which wakes two threads: on a computer that is
/// busy with else, a longer block would outlast the host's patience.
const BLOCK: usize = 256;

/// Room for a session.
pub type LinkMemory = SessionMemory<
    { frame_buffer_len(BLOCK) },
    { longest_snapshot(CLASSES, EXAMPLES, EMBEDDING_DIM) },
>;

/// Whether the command line asks for the link.
pub fn is_asked_for(line: &str) -> bool {
    arguments(line).any(|argument| argument == Ok(Argument::Link))
}

/// Serves whoever asks over the UART, for ever.
pub fn serve(
    device: &mut Device,
    sounds: &mut Learner,
    kept: &mut Kept,
    memory: &mut LinkMemory,
) -> ! {
    let uart = Uart::start();
    let mut linked = Linked {
        device,
        sounds,
        kept,
        slot: NoSlot,
    };
    say!("link {}", Count(linked.sounds));
    uart.serve(&mut Session::new(memory), &mut linked)
}

/// The device that the session serves.
struct Linked<'d, 'm, 'l, 'k> {
    device: &'d mut Device<'m>,
    sounds: &'d mut Learner<'l>,
    kept: &'d mut Kept<'k>,
    slot: NoSlot,
}

impl Served for Linked<'_, '_, '_, '_> {
    type Slot = NoSlot;

    fn describe(&self) -> Description<'_> {
        describe(self.sounds, self.device.backbone.model().name())
    }

    fn export(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        give_profile(self.sounds, out)
    }

    fn import(&mut self, snapshot: &[u8]) -> Result<(), Refusal> {
        let fit = self.device.backbone.scratch();
        let Kept { store, scratch } = &mut *self.kept;
        replace_profile(snapshot, self.sounds, fit, store, scratch)?;
        say!("pushed {}", Count(self.sounds));
        Ok(())
    }

    fn sounds_can_follow(&mut self) -> bool {
        // Their recordings are not kept.
        self.sounds.support().class_count() == 0
    }

    fn slot(&mut self) -> &mut NoSlot {
        &mut self.slot
    }
}
