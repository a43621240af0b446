//! Listening while nothing is heard.

use crate::head::SoundStorage;
use crate::input::Random;
use crate::model::{EMBEDDING_DIM, FRONTEND};
use crate::{Bench, reported};
use mtslvr_board::say;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::fewshot::{HeadKind, Learner};
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::model::Model;

/// Seconds until the background is known.
const SETTLING: u32 = 4;
/// Seconds that are measured.
const SECONDS: u32 = 10;

/// Values that the listener works in.
pub const LISTENER_LEN: usize = Listener::buffer_len(&FRONTEND, EMBEDDING_DIM, 1);

impl Bench {
    /// Listens to the noise of a room, in which no sound is.
    pub fn idle(
        &self,
        model: Model<'static>,
        arena: &mut [i8],
        buffer: &mut [f32],
        storage: &mut SoundStorage,
    ) -> Option<()> {
        let mut backbone = reported("the arena", PackedBackbone::new(model, arena))?;
        let space = model.space();
        let sounds = Learner::new(storage.lend(), HeadKind::NearestMean, space);
        let mut sounds = reported("the sounds", sounds)?;
        let config = ListenerConfig::DEFAULT;
        let mut listener = reported("the listener", Listener::new(config, &space, 1, buffer))?;
        let mut noise = Random::new(1);
        let (mut instructions, mut embedded, mut before) = (0, 0, 0);
        for second in 0..SETTLING + SECONDS {
            let measured = second >= SETTLING;
            if second == SETTLING {
                before = listener.computed_frames();
            }
            for _ in 0..FRONTEND.sample_rate / 160 {
                // 10 ms, as a microphone's DMA would give them.
                let mut chunk = [0; 160];
                chunk.fill_with(|| noise.next() / 256);
                let start = self.instructions.now();
                let pushed = listener.push_i16(&mut sounds, &mut backbone, &chunk, |window| {
                    embedded += u32::from(measured && window.embedding.is_some());
                });
                reported("listening", pushed)?;
                if measured {
                    instructions += self.instructions.now() - start;
                }
            }
        }
        say!(
            "idle seconds={} instructions={} frames={} embeddings={}",
            SECONDS,
            instructions,
            listener.computed_frames() - before,
            embedded
        );
        Some(())
    }
}
