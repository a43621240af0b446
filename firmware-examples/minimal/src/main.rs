//! The least device: it listens, learns the last sound when the button is pressed, says what it
//! recognises, and keeps what it was taught in flash. See `README.md`.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use mtslvr_board::flash::{HostFlash, PAGE};
use mtslvr_board::inputs::Inputs;
use mtslvr_board::{entry, say, semihosting};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, flash_len, store_scratch_len};
use mtslvr_runtime::fewshot::{HeadKind, Learner, Storage};
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::model::{Aligned, Model};

// MODEL, and the sizes that it asks for.
include!(concat!(env!("OUT_DIR"), "/model.rs"));

const CLASSES: usize = 4;
const EXAMPLES: usize = 16;
const LISTENER_LEN: usize = Listener::buffer_len(&FRONTEND, EMBEDDING_DIM, CLASSES);
const SCRATCH_LEN: usize = store_scratch_len(CLASSES, EXAMPLES, EMBEDDING_DIM);
const FLASH_LEN: usize = flash_len(CLASSES, EXAMPLES, EMBEDDING_DIM, PAGE).unwrap();

#[entry]
fn main() -> ! {
    static mut LINE: [MaybeUninit<u8>; 512] = [const { MaybeUninit::uninit() }; 512];
    static mut ARENA: Aligned<[i8; ARENA_LEN]> = Aligned([0; ARENA_LEN]);
    static mut SOUNDS: Storage<CLASSES, EXAMPLES, EMBEDDING_DIM> = Storage::new();
    static mut BUFFER: [f32; LISTENER_LEN] = [0.0; LISTENER_LEN];
    static mut SCRATCH: [u8; SCRATCH_LEN] = [0; SCRATCH_LEN];

    // The board: a microphone, a button, flash. On yours these are drivers.
    let mut inputs = Inputs::open(LINE).expect("a command line");
    let flash = HostFlash::open(inputs.flash, FLASH_LEN, None).expect("flash");

    let model = Model::open(&MODEL.0).expect("a whole model");
    let mut backbone = PackedBackbone::new(model, &mut ARENA.0[..]).expect("room to run");
    let mut sounds =
        Learner::new(SOUNDS.lend(), HeadKind::default(), model.space()).expect("room to learn");
    let mut store = BlockingFlashStore::new(flash, 0..FLASH_LEN as u32).expect("whole pages");
    store.load(&mut sounds, SCRATCH).expect("what was taught");
    if sounds.support().class_count() > 0 {
        sounds.fit(backbone.scratch()).expect("room to fit");
    }
    let mut listener = Listener::new(ListenerConfig::DEFAULT, sounds.space(), CLASSES, BUFFER)
        .expect("room to listen");

    let mut chunk = [0; 256];
    let (mut last, mut heard) = ([0.0; EMBEDDING_DIM], false);
    loop {
        let samples = inputs.microphone.read(&mut chunk).expect("sound");
        if samples.is_empty() {
            semihosting::exit(true);
        }
        let mut event = None;
        let pushed = listener.push_i16(&mut sounds, &mut backbone, samples, |window| {
            if let Some(embedding) = window.embedding {
                last.copy_from_slice(embedding);
                heard = true;
            }
            event = event.or(window.event);
        });
        pushed.expect("one sound after the other");
        if let Some(event) = event {
            let name = sounds.support().name(event.class).unwrap_or_default();
            say!(
                "heard {} confidence={} at={}",
                name,
                event.confidence,
                event.start
            );
        }
        if inputs.button.pressed_during(samples.len()) && heard {
            sounds.enrol("sound", &last).expect("room for an example");
            sounds.fit(backbone.scratch()).expect("room to fit");
            store.save(&sounds, SCRATCH).expect("room in flash");
            say!("learnt examples={}", sounds.support().example_count());
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    say!("error: {}", info);
    semihosting::exit(false)
}
