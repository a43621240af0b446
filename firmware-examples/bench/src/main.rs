//! Counts the instructions of everything that the runtime does on a device, and checks that it gives
//! the bytes that the host gives. `cargo xtask bench-firmware` builds it, runs it in QEMU and reads
//! what it prints: one line a fact, `key=value` fields, `name=` last because it may hold spaces.
#![no_std]
#![no_main]

mod head;
mod idle;
mod input;
mod layers;
mod model;
mod paths;
mod shapes;

use core::panic::PanicInfo;
use head::{SCRATCH_LEN, SoundStorage};
use idle::LISTENER_LEN;
use input::Sound;
use model::{ARENA_LEN, EMBEDDING_CRC32, EMBEDDING_DIM, MODEL, PATCH_CRC32};
use model::{FRONTEND_BUFFER_LEN, KEY, PATCH_LEN, SIGNATURE};
use mtslvr_board::instructions::Instructions;
use mtslvr_board::{BOARD, entry, memory, say, semihosting};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::frontend::Frontend;
use mtslvr_runtime::model::{Aligned, Crc32, MAX_OPS, Model};
use mtslvr_runtime::trust::{SignedContents, TrustedKey};
use shapes::{SHAPE_ARENA_LEN, SHAPE_PATCH_LEN};

#[entry]
fn main() -> ! {
    static mut ARENA: Aligned<[i8; max(ARENA_LEN, SHAPE_ARENA_LEN)]> =
        Aligned([0; max(ARENA_LEN, SHAPE_ARENA_LEN)]);
    static mut FRONTEND: [f32; FRONTEND_BUFFER_LEN] = [0.0; FRONTEND_BUFFER_LEN];
    static mut LISTENER: [f32; LISTENER_LEN] = [0.0; LISTENER_LEN];
    static mut PATCH: [f32; max(PATCH_LEN, SHAPE_PATCH_LEN)] =
        [0.0; max(PATCH_LEN, SHAPE_PATCH_LEN)];
    static mut SOUNDS: SoundStorage = SoundStorage::new();
    static mut SCRATCH: [f32; SCRATCH_LEN] = [0.0; SCRATCH_LEN];

    let Some(instructions) = Instructions::start() else {
        say!("error: the instruction counter is taken");
        semihosting::exit(false);
    };
    let bench = Bench { instructions };
    say!("board name={}", BOARD);
    let passed = bench.model(&mut ARENA.0, FRONTEND, PATCH).is_some()
        & bench.listening(&mut ARENA.0, LISTENER, SOUNDS).is_some()
        & bench.shapes(&mut ARENA.0, PATCH).is_some()
        & bench.paths(&mut ARENA.0).is_some()
        & bench.head(SOUNDS, SCRATCH).is_some();
    say!("stack used={}", memory::stack_high_water());
    semihosting::exit(passed)
}

/// What measures. Its methods print what they find; `None` says that something failed, which has
/// been printed as well.
struct Bench {
    instructions: Instructions,
}

impl Bench {
    /// Opening the model, the frontend, and inference of a patch: as a whole and by operator.
    fn model(&self, arena: &mut [i8], frontend: &mut [f32], patch: &mut [f32]) -> Option<()> {
        let start = self.instructions.now();
        let model = reported("the model in flash", Model::open(&MODEL.0))?;
        let opened = self.instructions.now() - start;
        let start = self.instructions.now();
        let model = reported(
            "the model in flash",
            Model::open_known(&MODEL.0, model.checksum()),
        )?;
        say!(
            "open bytes={} instructions={} known={}",
            MODEL.0.len(),
            opened,
            self.instructions.now() - start
        );
        self.signed(&model)?;
        let patch = &mut patch[..model.frontend().patch_len()];
        self.frontend(&model, frontend, patch)?;
        let mut passed = agrees("the features", crc32(patch), PATCH_CRC32);

        let mut backbone = reported("the arena", PackedBackbone::new(model, arena))?;
        let mut embedding = [0.0; EMBEDDING_DIM];
        let start = self.instructions.now();
        reported("the embedding", backbone.embed(patch, &mut embedding))?;
        let instructions = self.instructions.now() - start;
        say!(
            "inference macs={} instructions={} crc32={:08x} name={}",
            model.ops().map(|op| op.macs()).sum::<u64>(),
            instructions,
            crc32(&embedding),
            model.name(),
        );
        passed &= agrees("the embedding", crc32(&embedding), EMBEDDING_CRC32);

        let mut counts = [0; MAX_OPS];
        let embedded = layers::by_operator(self, &mut backbone, patch, &mut embedding, &mut counts);
        reported("the operators", embedded)?;
        for (op, instructions) in model.ops().zip(counts) {
            say!(
                "layer macs={} instructions={} name={}",
                op.macs(),
                instructions,
                layers::Name(&op)
            );
        }
        passed.then_some(())
    }

    /// Listening with the model.
    fn listening(
        &self,
        arena: &mut [i8],
        buffer: &mut [f32],
        storage: &mut SoundStorage,
    ) -> Option<()> {
        let model = reported("the model in flash", Model::open(&MODEL.0))?;
        self.idle(model, arena, buffer, storage)
    }

    /// Verifies the model's hash and a signature of it: the work of `Model::open_signed` beside opening.
    fn signed(&self, model: &Model<'_>) -> Option<()> {
        let start = self.instructions.now();
        let hash_is_right = model.verify_hash();
        let hash = self.instructions.now() - start;
        let contents = SignedContents {
            hash: *model.id().as_bytes(),
            version_counter: None,
            signature: Some(SIGNATURE),
        };
        let key = TrustedKey::new(KEY);
        let start = self.instructions.now();
        reported("the signature", contents.check(&key, 0))?;
        say!(
            "signed hash_instructions={} signature_instructions={}",
            hash,
            self.instructions.now() - start
        );
        if !hash_is_right {
            say!("error: the hash that the model states is not that of its contents");
        }
        hash_is_right.then_some(())
    }

    /// Makes the features of the sound's first patch.
    fn frontend(&self, model: &Model<'_>, buffer: &mut [f32], patch: &mut [f32]) -> Option<()> {
        let config = *model.frontend();
        let start = self.instructions.now();
        let mut frontend = reported("the frontend", Frontend::new(config, buffer))?;
        let made = self.instructions.now() - start;
        let mut sound = Sound::new();
        let mut rows = patch.chunks_exact_mut(config.mels.into());
        let (mut frames, mut instructions) = (0, 0);
        let mut left = config.patch_samples();
        while left > 0 {
            // 10 ms, as a microphone's DMA would give them.
            let mut chunk = [0; 160];
            let chunk = &mut chunk[..left.min(160)];
            chunk.fill_with(|| sound.next());
            left -= chunk.len();
            let start = self.instructions.now();
            frontend.push_i16(chunk, |frame| {
                if let Some(row) = rows.next() {
                    row.copy_from_slice(frame);
                }
                frames += 1;
            });
            instructions += self.instructions.now() - start;
        }
        say!(
            "frontend set_up_instructions={} frames={} instructions={}",
            made,
            frames,
            instructions
        );
        Some(())
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// The value, or `None` after printing the error.
fn reported<T, E: core::fmt::Display>(what: &str, result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            say!("error: {}: {}", what, error);
            None
        }
    }
}

/// Whether the device's bytes are the host's; prints an error if they are not.
fn agrees(what: &str, device: u32, host: u32) -> bool {
    if device != host {
        say!(
            "error: {}: CRC-32 {:08x} on the device, {:08x} on the host",
            what,
            device,
            host
        );
    }
    device == host
}

fn crc32(values: &[f32]) -> u32 {
    let bytes = values.iter().map(|value| value.to_le_bytes());
    bytes
        .fold(Crc32::new(), |crc, bytes| crc.update(&bytes))
        .finish()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    say!("error: {}", info);
    semihosting::exit(false)
}
