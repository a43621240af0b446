//! Links only if embedding, classifying and listening hold no panic. See `README.md`.
#![no_std]
#![no_main]
// The state that the calls work on is made elsewhere, and what a panic would call does not exist.
#![allow(unsafe_code)]

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use mtslvr_board::entry;
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::frontend::Frontend;
use mtslvr_runtime::listener::Listener;
use mtslvr_runtime::verifier::Verifier;

/// A device that has opened its model and fitted its head.
///
/// The compiler knows no byte of it, nor of the arguments: what links is free of panics whatever the model, the
/// taught sounds and the samples are.
struct Device {
    backbone: PackedBackbone<'static>,
    sounds: Learner<'static>,
    listener: Listener<'static>,
    verifier: Verifier<'static>,
    frontend: Frontend<'static>,
    clip: ClipEmbedder<'static>,
}

/// Arguments and results of the calls.
struct Arguments {
    patch: &'static [f32],
    samples: &'static [i16],
    floats: &'static [f32],
    embedding: &'static mut [f32],
    scores: &'static mut [f32],
}

#[entry]
fn main() -> ! {
    static mut DEVICE: MaybeUninit<Device> = MaybeUninit::uninit();
    static mut ARGUMENTS: MaybeUninit<Arguments> = MaybeUninit::uninit();
    // SAFETY: this firmware is linked and never run. One that runs makes both first, which links panics.
    let (device, arguments) = unsafe {
        (
            (*black_box(&raw mut *DEVICE)).assume_init_mut(),
            (*black_box(&raw mut *ARGUMENTS)).assume_init_mut(),
        )
    };
    loop {
        embed(device, arguments);
        classify(device, arguments);
        listen(device, arguments);
    }
}

/// Makes features of samples, and embeddings of patches and of clips.
fn embed(device: &mut Device, arguments: &mut Arguments) {
    device.frontend.push_i16(arguments.samples, |frame| {
        black_box(frame);
    });
    device.frontend.push(arguments.floats, |frame| {
        black_box(frame);
    });
    device.frontend.flush(|frame| {
        black_box(frame);
    });
    let backbone = &mut device.backbone;
    let embedding = &mut *arguments.embedding;
    black_box(backbone.embed(arguments.patch, embedding)).ok();
    black_box(device.clip.push_i16(backbone, arguments.samples)).ok();
    black_box(device.clip.finish(backbone, embedding)).ok();
}

/// Classifies an embedding.
fn classify(device: &mut Device, arguments: &mut Arguments) {
    let decision = device
        .sounds
        .classify(arguments.embedding, arguments.scores);
    black_box(decision).ok();
}

/// Listens to samples, and to the end of a stream; a verifier has its say.
fn listen(device: &mut Device, arguments: &mut Arguments) {
    let Device {
        backbone,
        sounds,
        listener,
        verifier,
        ..
    } = device;
    let heard = listener.push_i16(sounds, backbone, arguments.samples, |window| {
        black_box(window);
    });
    black_box(heard).ok();
    let heard = listener.push_verified(sounds, verifier, backbone, arguments.floats, |window| {
        black_box(window);
    });
    black_box(heard).ok();
    let heard = listener.finish(sounds, backbone, |window| {
        black_box(window);
    });
    black_box(heard).ok();
}

unsafe extern "C" {
    /// Does not exist: whatever would call it does not link.
    #[link_name = "a_panic_is_linked"]
    fn a_panic_is_linked() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // SAFETY: never called, or the firmware does not link.
    unsafe { a_panic_is_linked() }
}
