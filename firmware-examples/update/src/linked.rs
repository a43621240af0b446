//! A new model over the board's UART.

use crate::Mapped;
use core::ops::Range;
use embedded_storage::nor_flash::ReadNorFlash;
use mtslvr_board::flash::HostFlash;
use mtslvr_board::say;
use mtslvr_board::uart::Uart;
use mtslvr_runtime::link::{
    Description, LinkedSlots, Refusal, Served, Session, SessionMemory, SlotsOwner, frame_buffer_len,
};
use mtslvr_runtime::model::Model;
use mtslvr_runtime::model::slots::ModelSlots;
use mtslvr_runtime::space::BackboneId;

/// Room for a session of models alone, with short blocks: QEMU's UART takes a byte at a time.
pub type LinkMemory = SessionMemory<{ frame_buffer_len(256) }, 0>;

/// Serves whoever asks over the UART, for ever.
pub fn serve(
    slots: ModelSlots<HostFlash>,
    mapped: &mut Mapped,
    backbone: BackboneId,
    memory: &mut LinkMemory,
) -> ! {
    let uart = Uart::start();
    let owner = Owner { mapped };
    let mut linked = Linked {
        slots: LinkedSlots { slots, owner },
        backbone,
    };
    say!("link");
    uart.serve(&mut Session::new(memory), &mut linked)
}

/// Opens models in a copy: the flash is a file.
struct Owner<'m> {
    mapped: &'m mut Mapped,
}

impl SlotsOwner<HostFlash> for Owner<'_> {
    fn open(&mut self, flash: &mut HostFlash, range: Range<u32>) -> Result<Model<'_>, Refusal> {
        let bytes = self.mapped.0.get_mut(..range.len());
        let bytes = bytes.ok_or(Refusal::Flash)?;
        let read = flash.read(range.start, bytes);
        read.map_err(|_| Refusal::Flash)?;
        let model = Model::open(bytes).map_err(|_| Refusal::Unreadable)?;
        say!("taken backbone={}", model.id());
        Ok(model)
    }
}

/// The device that the session serves: it has models and no sounds.
struct Linked<'m> {
    slots: LinkedSlots<HostFlash, Owner<'m>>,
    backbone: BackboneId,
}

impl<'m> Served for Linked<'m> {
    type Slot = LinkedSlots<HostFlash, Owner<'m>>;

    fn describe(&self) -> Description<'_> {
        Description::of(self.backbone, "")
    }

    fn export(&mut self, _: &mut [u8]) -> Result<usize, Refusal> {
        Err(Refusal::UnknownRequest)
    }

    fn import(&mut self, _: &[u8]) -> Result<(), Refusal> {
        Err(Refusal::UnknownRequest)
    }

    fn sounds_can_follow(&mut self) -> bool {
        // This device is taught nothing.
        true
    }

    fn slot(&mut self) -> &mut Self::Slot {
        &mut self.slots
    }
}
