//! Enrols sounds from examples and recognises others, on a Cortex-M4F that QEMU emulates: recordings,
//! flash and console are the host's, through semihosting. See `README.md`.
#![no_std]
#![no_main]

mod arguments;
mod device;
mod kept;
mod linked;
mod model;
mod session;
mod sounds;

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use device::Device;
use kept::{Kept, SCRATCH_LEN};
use linked::LinkMemory;
use model::{ARENA_LEN, CLIP_BUFFER_LEN, MODEL};
use mtslvr_board::instructions::Instructions;
use mtslvr_board::{entry, memory, say, semihosting};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::model::Aligned;
use sounds::SoundStorage;

#[entry]
fn main() -> ! {
    static mut COMMAND_LINE: [MaybeUninit<u8>; 8192] = [const { MaybeUninit::uninit() }; 8192];
    static mut ARENA: Aligned<[i8; ARENA_LEN]> = Aligned([0; ARENA_LEN]);
    static mut CLIP: [f32; CLIP_BUFFER_LEN] = [0.0; CLIP_BUFFER_LEN];
    static mut SOUNDS: SoundStorage = SoundStorage::new();
    static mut SCRATCH: [u8; SCRATCH_LEN] = [0; SCRATCH_LEN];
    static mut LINK: LinkMemory = LinkMemory::new();

    let buffers = Buffers {
        arena: &mut ARENA.0,
        clip: CLIP,
        sounds: SOUNDS,
        scratch: SCRATCH,
        link: LINK,
    };
    let passed = match semihosting::command_line(COMMAND_LINE) {
        Ok(line) => run(line, buffers),
        Err(error) => {
            say!("error: {}", error);
            false
        }
    };
    semihosting::exit(passed)
}

/// All memory that is not on the stack.
struct Buffers {
    arena: &'static mut [i8],
    clip: &'static mut [f32],
    sounds: &'static mut SoundStorage,
    scratch: &'static mut [u8],
    link: &'static mut LinkMemory,
}

/// Does what the command line asks for; false if any of it failed.
fn run(line: &str, buffers: Buffers) -> bool {
    let Some(instructions) = Instructions::start() else {
        say!("error: the instruction counter is taken");
        return false;
    };
    let model = match model::open() {
        Ok(model) => model,
        Err(error) => {
            say!("error: the model in flash: {}", error);
            return false;
        }
    };
    let opened = instructions.now();
    let arena_len = buffers.arena.len();
    let frontend_len = size_of_val::<[f32]>(buffers.clip);
    let head_len = size_of_val(buffers.sounds);
    let backbone = match PackedBackbone::new(model, buffers.arena) {
        Ok(backbone) => backbone,
        Err(error) => {
            say!("error: {}", error);
            return false;
        }
    };
    let clip = match ClipEmbedder::new(*model.frontend(), buffers.clip) {
        Ok(clip) => clip,
        Err(error) => {
            say!("error: {}", error);
            return false;
        }
    };
    say!(
        "model id={} embedding={} open_instructions={} name={}",
        model.id(),
        model.space().dim(),
        opened,
        model.name()
    );
    say!(
        "memory flash={} code={} model={} ram={} arena={} frontend={} head={}",
        memory::flash_len(),
        memory::code_len(),
        MODEL.0.len(),
        memory::ram_len(),
        arena_len,
        frontend_len,
        head_len
    );
    let head = session::head(line);
    let mut sounds = match Learner::new(buffers.sounds.lend(), head, model.space()) {
        Ok(sounds) => sounds,
        Err(error) => {
            say!("error: {}", error);
            return false;
        }
    };
    let mut device = Device {
        backbone,
        clip,
        instructions,
    };
    let mut kept = match Kept::open(line, buffers.scratch) {
        Ok(kept) => kept,
        Err(error) => {
            say!("error: {}", error);
            return false;
        }
    };
    let passed = session::run(&mut device, &mut sounds, &mut kept, line);
    if passed && linked::is_asked_for(line) {
        let Some(kept) = &mut kept else {
            say!("error: link needs flash=PATH, where a profile that comes is kept");
            return false;
        };
        linked::serve(&mut device, &mut sounds, kept, buffers.link);
    }
    say!("stack used={}", memory::stack_high_water());
    passed
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    say!("error: {}", info);
    semihosting::exit(false)
}
