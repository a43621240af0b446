//! The least firmware that does all that the runtime is for: it listens, learns a sound and
//! recognises it. It has no console and no error messages, so that its code is the runtime's, and
//! little else: `cargo xtask bench-firmware` reads its size.
#![no_std]
#![no_main]

#[expect(dead_code, reason = "the bytes that the other binary compares with")]
mod model;

use core::hint::black_box;
use core::panic::PanicInfo;
use model::{ARENA_LEN, CLIP_BUFFER_LEN, EMBEDDING_DIM, MODEL};
use mtslvr_board::entry;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::{ClassId, HeadKind, Learner, Storage, StorageMut};
use mtslvr_runtime::model::{Aligned, Model};

const CLASSES: usize = 8;
const EXAMPLES: usize = 64;
/// The head that a device has unless it is told otherwise.
const HEAD: HeadKind = HeadKind::Ridge { lambda: 0.3 };

#[entry]
fn main() -> ! {
    static mut ARENA: Aligned<[i8; ARENA_LEN]> = Aligned([0; ARENA_LEN]);
    static mut CLIP: [f32; CLIP_BUFFER_LEN] = [0.0; CLIP_BUFFER_LEN];
    static mut SOUNDS: Storage<CLASSES, EXAMPLES, EMBEDDING_DIM> = Storage::new();

    let decision = run(&mut ARENA.0, CLIP, SOUNDS.lend());
    black_box(decision);
    loop {}
}

/// A sound is enrolled and then asked about; the class that it is recognised as.
fn run(
    arena: &'static mut [i8],
    clip: &'static mut [f32],
    sounds: StorageMut<'static>,
) -> Option<ClassId> {
    let model = Model::open(&MODEL.0).ok()?;
    let mut backbone = PackedBackbone::new(model, arena).ok()?;
    let mut clip = ClipEmbedder::new(*model.frontend(), clip).ok()?;
    let mut sounds = Learner::new(sounds, HEAD, model.space()).ok()?;
    let mut embedding = [0.0; EMBEDDING_DIM];
    listen(&mut clip, &mut backbone, &mut embedding)?;
    sounds.enrol("sound", &embedding).ok()?;
    sounds.fit(backbone.scratch()).ok()?;
    listen(&mut clip, &mut backbone, &mut embedding)?;
    let mut scores = [0.0; CLASSES];
    sounds.classify(&embedding, &mut scores).ok()?.class
}

/// Embeds what a microphone would give.
fn listen(
    clip: &mut ClipEmbedder,
    backbone: &mut PackedBackbone,
    embedding: &mut [f32],
) -> Option<u32> {
    let samples = black_box([0; 160]);
    clip.push_i16(backbone, &samples).ok()?;
    clip.finish(backbone, embedding).ok()
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {}
}
