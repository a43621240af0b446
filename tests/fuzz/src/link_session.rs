//! Any bytes on the line give answers or nothing, and a profile changes only whole.

use crate::taught::{CLASSES, DIM, EXAMPLES, room, state, taught, use_it};
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::fewshot::persist::{import, longest_snapshot};
use mtslvr_runtime::link::frame::FrameReader;
use mtslvr_runtime::link::{
    Answer, Description, LINK_VERSION, NoSlot, Object, Refusal, Request, Served, Session,
    SessionMemory, Sum, describe, frame_buffer_len, give_profile,
};

const BLOCK: usize = 64;
const PROFILE: usize = longest_snapshot(CLASSES, EXAMPLES, DIM);

struct Device<'d, 'l> {
    learner: &'d mut Learner<'l>,
    slot: NoSlot,
}

impl Served for Device<'_, '_> {
    type Slot = NoSlot;

    fn describe(&self) -> Description<'_> {
        describe(self.learner, "fuzzed")
    }

    fn export(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        give_profile(self.learner, out)
    }

    fn import(&mut self, snapshot: &[u8]) -> Result<(), Refusal> {
        let before = state(self.learner);
        let imported = import(self.learner, snapshot);
        assert!(imported.is_ok() || state(self.learner) == before);
        Ok(imported?)
    }

    fn sounds_can_follow(&mut self) -> bool {
        self.learner.support().class_count() == 0
    }

    fn slot(&mut self) -> &mut NoSlot {
        &mut self.slot
    }
}

/// Hands `bytes` to a session as they are; then each piece between zeros as a frame whose checksum is put right, so
/// that the fuzzer gets past that. A host reads the answers, and the bytes as answers.
pub fn link_session(bytes: &[u8]) {
    let mut memory = room();
    let mut learner = taught(&mut memory);
    let mut session_memory = SessionMemory::<{ frame_buffer_len(BLOCK) }, PROFILE>::new();
    let mut session = Session::new(&mut session_memory);
    let mut device = Device {
        learner: &mut learner,
        slot: NoSlot,
    };
    let mut host = FrameReader::new([0; frame_buffer_len(BLOCK)]);
    let mut buffer = [0; 1024];
    let repaired = bytes.split(|&byte| byte == 0xfe).filter_map(|piece| {
        let (&[kind, sequence], message) = piece.split_first_chunk()?;
        let mut frame = mtslvr_runtime::link::frame::FrameWriter::new(&mut buffer, kind, sequence);
        frame.put(message);
        Some(frame.finish()?.to_vec())
    });
    let line = [bytes.to_vec(), repaired.flatten().collect()].concat();
    for &byte in &line {
        if let Some(frame) = host.push(byte) {
            let _ = Answer::parse(&frame);
        }
    }
    for &byte in &line {
        let Some(answer) = session.push(byte, &mut device) else {
            continue;
        };
        let mut reader = FrameReader::new([0; frame_buffer_len(BLOCK)]);
        let whole = answer
            .iter()
            .filter(|&&byte| {
                let frame = reader.push(byte);
                frame.is_some_and(|frame| Answer::parse(&frame).is_some())
            })
            .count();
        assert_eq!(whole, 1, "an answer that a host reads");
    }
    use_it(learner);
}

/// A session from greeting to finish: as frames, between zeros, and as pieces between `fe`.
pub fn link_seed() -> Vec<u8> {
    let mut memory = room();
    let profile = state(&taught(&mut memory));
    let sum = Sum::of(&profile).expect("a short profile");
    let mut requests = vec![
        Request::Greet {
            version: LINK_VERSION,
        },
        Request::Offer,
        Request::Read { offset: 0, len: 64 },
        Request::Read {
            offset: 64,
            len: 64,
        },
        Request::Begin {
            object: Object::Profile,
            sum,
        },
    ];
    for (block, offset) in profile.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
        requests.push(Request::Write {
            offset,
            bytes: block,
        });
    }
    requests.push(Request::Finish);
    let mut seed = Vec::new();
    for (request, sequence) in requests.iter().zip(0..) {
        let mut buffer = [0; frame_buffer_len(BLOCK)];
        let line = request.emit(sequence, &mut buffer);
        seed.extend(line.expect("a frame that fits"));
    }
    // And some without stuffing and checksum.
    seed.extend([
        0xfe, 1, 1, 1, 0, 0xfe, 2, 2, 0xfe, 3, 3, 0, 0, 0, 0, 64, 0, 0xfe, 6, 4,
    ]);
    seed
}

/// Checks that the seed does what it is for: the device that it meets knows what it says.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::taught::learner;

    #[test]
    fn the_seed_pushes_a_profile() {
        let (mut memory, mut other) = (room(), room());
        let mut blank = learner(&mut memory);
        let mut session_memory = SessionMemory::<{ frame_buffer_len(BLOCK) }, PROFILE>::new();
        let mut session = Session::new(&mut session_memory);
        let mut device = Device {
            learner: &mut blank,
            slot: NoSlot,
        };
        for byte in link_seed() {
            session.push(byte, &mut device);
        }
        assert!(state(&blank) == state(&taught(&mut other)));
    }
}
