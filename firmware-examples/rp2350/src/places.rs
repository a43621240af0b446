//! Where in flash the models lie, and what the device writes: `memory.x` leaves it free.

use crate::model::{EMBEDDING_DIM, FRONTEND};
use core::ops::Range;
use embassy_rp::flash::ERASE_SIZE;
use mtslvr_device::{clips_len, store_len};
use mtslvr_runtime::link::{Refusal, SlotsOwner};
use mtslvr_runtime::model::Model;
use mtslvr_runtime::model::slots::{Slot, SlotRanges};

/// Bytes of flash.
pub const FLASH_LEN: usize = 4096 * 1024;
/// Address at which the flash is mapped to memory.
const MAPPED_AT: usize = 0x1000_0000;

const SLOT_A: Range<u32> = range(1536, 512);
const SLOT_B: Range<u32> = range(2048, 512);
/// Recordings of the examples.
pub const CLIPS: Range<u32> = range(2560, 1280);
const RECORDS: Range<u32> = range(3840, 8);
/// Sounds that the model in slot B was taught.
const SOUNDS_B: Range<u32> = range(3904, 96);
/// Sounds that the model in slot A was taught.
const SOUNDS_A: Range<u32> = range(4000, 96);

/// Samples of the longest recording: a patch.
pub const LONGEST_CLIP: usize = FRONTEND.patch_samples();

const _: () = {
    let sounds = store_len(EMBEDDING_DIM, ERASE_SIZE);
    assert!(sounds <= (SOUNDS_A.end - SOUNDS_A.start) as usize);
    assert!(SOUNDS_A.end as usize == FLASH_LEN);
    let clips = clips_len(LONGEST_CLIP, ERASE_SIZE);
    assert!(clips <= (CLIPS.end - CLIPS.start) as usize);
};

const fn range(start_kb: u32, kb: u32) -> Range<u32> {
    start_kb * 1024..(start_kb + kb) * 1024
}

/// Where the slots lie.
pub fn slots() -> SlotRanges {
    SlotRanges {
        a: SLOT_A,
        b: SLOT_B,
        records: RECORDS,
    }
}

/// Where the sounds of the model in a slot lie.
pub fn sounds(slot: Slot) -> Range<u32> {
    match slot {
        Slot::A => SOUNDS_A,
        Slot::B => SOUNDS_B,
    }
}

/// Opens models where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Mapped;

impl Mapped {
    /// Opens the model in `range` of the flash.
    pub fn open(range: Range<u32>) -> Option<Model<'static>> {
        assert!(range.start <= range.end && range.end as usize <= FLASH_LEN);
        let at = core::ptr::with_exposed_provenance::<u8>(MAPPED_AT + range.start as usize);
        // SAFETY: all of the flash is mapped to memory and can be read. A slot's bytes change only while another model
        // arrives, which goes to the slot whose model is not in use.
        #[allow(unsafe_code)]
        let bytes = unsafe { core::slice::from_raw_parts(at, range.len()) };
        Model::open(bytes).ok()
    }
}

impl<F> SlotsOwner<F> for Mapped {
    fn open(&mut self, _: &mut F, range: Range<u32>) -> Result<Model<'_>, Refusal> {
        Self::open(range).ok_or(Refusal::Unreadable)
    }
}
