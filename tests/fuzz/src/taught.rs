//! Sounds that were taught, for targets that save and restore them.

use mtslvr_runtime::fewshot::persist::{export, snapshot_len};
use mtslvr_runtime::fewshot::{EmbeddingSpace, HeadKind, Learner, Reference, Role, StorageVec};

// Those of `runtime/tests/golden/snapshot-v1.mtss`.
pub const DIM: usize = 8;
pub const BACKBONE: u32 = 0x00c0_ffee;
pub const CLASSES: usize = 5;
pub const EXAMPLES: usize = 6;

const SPACE: EmbeddingSpace<'static> = EmbeddingSpace {
    backbone: BACKBONE,
    base_mean: &[0.0; DIM],
    invariant_dim: 4,
    reference: Reference::assumed(0.5),
};

pub fn room() -> StorageVec {
    StorageVec::new(CLASSES, EXAMPLES, DIM)
}

pub fn learner(room: &mut StorageVec) -> Learner<'_> {
    let learner = Learner::new(room.lend(), HeadKind::default(), SPACE);
    learner.expect("the dimensions agree")
}

/// Knows a few sounds.
pub fn taught(room: &mut StorageVec) -> Learner<'_> {
    let mut learner = learner(room);
    for (seed, name) in (0..).zip(["doorbell", "kettle", "doorbell", "dog"]) {
        let enrolled = learner.enrol(name, &embedding(seed));
        enrolled.expect("there is room");
    }
    let enrolled = learner.enrol_role(Role::Negatives, &embedding(9));
    enrolled.expect("there is room");
    learner
}

pub fn embedding(seed: u32) -> [f32; DIM] {
    std::array::from_fn(|i| ((i as f32 + 1.0) * (seed as f32 + 0.7)).sin())
}

/// What a learner knows, and nothing else.
pub fn state(learner: &Learner) -> Vec<u8> {
    let mut bytes = vec![0; snapshot_len(learner.support())];
    export(learner.support(), BACKBONE, &mut bytes).expect("the length was asked for");
    bytes
}

/// A learner that knows anything can go on to learn and be asked.
pub fn use_it(mut learner: Learner) {
    let mut scratch = vec![0.0; learner.scratch_len()];
    if learner.fit(&mut scratch).is_ok() {
        let mut scores = [0.0; CLASSES];
        let decision = learner.classify(&embedding(3), &mut scores);
        assert!(decision.is_ok(), "{decision:?}");
    }
    let _ = learner.enrol("one more", &embedding(4));
    let _ = learner.support_mut().remove(0);
}
