//! Updates the model in flash, in one run for each start of a device. See `README.md`.
#![no_std]
#![no_main]

mod linked;

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use embedded_storage::nor_flash::ReadNorFlash;
use linked::LinkMemory;
use mtslvr_board::flash::{FlashError, HostFlash, PAGE};
use mtslvr_board::semihosting::Disk;
use mtslvr_board::{entry, say, semihosting};
use mtslvr_device::Notice;
use mtslvr_runtime::model::slots::{ModelSlots, SlotRanges, Sounds, Start};
use mtslvr_runtime::model::{Aligned, Crc32, Model, Sum};
use mtslvr_runtime::space::BackboneId;

/// Bytes of a slot: `edge-s` and some more.
const SLOT: usize = 128 * PAGE;
const RECORDS: usize = 2 * SLOT;
const FLASH: usize = RECORDS + 2 * PAGE;
/// Bytes that arrive at once.
const PIECE: usize = 1024;

/// The memory that a slot's bytes are copied to, where flash is a file. On a board flash is mapped to memory, and a
/// model is opened where it lies.
type Mapped = Aligned<[u8; SLOT]>;

#[entry]
fn main() -> ! {
    static mut LINE: [MaybeUninit<u8>; 2048] = [const { MaybeUninit::uninit() }; 2048];
    static mut MAPPED: Mapped = Aligned([0; SLOT]);
    static mut LINK: LinkMemory = LinkMemory::new();

    let line = semihosting::command_line(LINE).expect("a command line");
    let argument = |name: &str| {
        let mut arguments = line.split_whitespace();
        arguments.find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    };
    let power = argument("cut").map(|bytes| bytes.parse().expect("a number of bytes"));
    let file = argument("flash").expect("flash=FILE");
    let flash = HostFlash::open(file, FLASH, power).expect("flash");
    let ranges = SlotRanges {
        a: 0..SLOT as u32,
        b: SLOT as u32..RECORDS as u32,
        records: RECORDS as u32..FLASH as u32,
    };
    let mut slots = ModelSlots::new(flash, ranges).expect("whole pages");

    let (how, backbone) = start(&mut slots, file, MAPPED);
    if let Some(notice) = Notice::<FlashError>::of_model(how, slots.update()) {
        say!("light long={}: {}", notice.flashes().long, notice);
    }
    if argument("confirm").is_some() {
        slots.confirm().expect("flash");
        say!("confirmed");
    }
    if let Some(path) = argument("update") {
        let sounds = match argument("sounds") {
            Some("stay") => Sounds::Stay,
            _ => Sounds::Follow,
        };
        receive(&mut slots, path, sounds, MAPPED);
    }
    if argument("give_up_sounds").is_some() {
        slots.activate().expect("a model that waits");
        say!("activated");
    }
    if argument("link").is_some() {
        linked::serve(slots, MAPPED, backbone, LINK);
    }
    semihosting::exit(true)
}

/// Starts the model that counts, and tells how it was found, and its backbone.
fn start(
    slots: &mut ModelSlots<HostFlash>,
    path: &str,
    mapped: &mut Mapped,
) -> (Start, BackboneId) {
    // Another view of the same flash: what is being opened is not what is being written.
    let mut view = HostFlash::open(path, FLASH, None).expect("flash");
    let started = slots.start(|_, range| {
        let bytes = mapped.0.get_mut(..range.len())?;
        view.read(range.start, bytes).ok()?;
        Model::open(bytes).ok().map(|model| model.id())
    });
    match started {
        Ok(started) => {
            say!(
                "started slot={:?} how={:?} backbone={}",
                started.slot,
                started.how,
                started.model
            );
            (started.how, started.model)
        }
        Err(error) => {
            say!("error: {}", error);
            semihosting::exit(false)
        }
    }
}

/// Receives a model in pieces, as over the air, and takes it.
fn receive(slots: &mut ModelSlots<HostFlash>, path: &str, sounds: Sounds, mapped: &mut Mapped) {
    let mut file = Disk::open(path).expect("the new model");
    let len = file.len().expect("its length");
    let mut piece = [0; PIECE];
    let mut crc = Crc32::new();
    for at in (0..len).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(len - at)];
        file.read(at, piece).expect("its bytes");
        crc = crc.update(piece);
    }
    let announced = Sum {
        len: len as u32,
        crc32: crc.finish(),
    };
    let there = slots.receive(announced).expect("room for the model") as usize;
    say!("receiving from={} of={}", there, len);
    for at in (there..len).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(len - at)];
        file.read(at, piece).expect("its bytes");
        slots.write(piece).expect("flash");
    }
    let range = slots.arrived().expect("the bytes that were announced");
    let bytes = &mut mapped.0[..range.len()];
    slots.flash().read(range.start, bytes).expect("flash");
    match Model::open(bytes) {
        Ok(model) => {
            slots.finish(&model, sounds).expect("flash");
            say!("taken backbone={}", model.id());
        }
        Err(error) => {
            slots.discard().expect("flash");
            say!("refused: {}", error);
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    say!("error: {}", info);
    semihosting::exit(false)
}
