//! Sounds that were taught, for targets that save and restore them.

use mtslvr_runtime::fewshot::persist::{export, snapshot_len};
use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, Role, StorageVec};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};

// Those of `runtime/tests/golden/snapshot-v1.mtss`.
pub const DIM: usize = 8;
pub const CLASSES: usize = 5;
pub const EXAMPLES: usize = 6;

fn space() -> EmbeddingSpace<'static> {
    let part = |name| Part {
        name,
        len: DIM / 2,
        share: 0.5,
    };
    let parts = Parts::new([part("invariant"), part("equivariant")]);
    let parts = parts.expect("two names, and shares that add up to 1");
    let frontend = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: 40,
        frames: 61,
        f_min: 60.0,
        f_max: 7800.0,
        floor: 1e-6,
        mean: -6.5,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };
    let (id, reference) = (BackboneId::new([0xc0; 32]), Reference::assumed(0.5));
    let space = EmbeddingSpace::new(id, frontend, parts, &[0.0; DIM], reference);
    space.expect("a mean for each value")
}

pub fn room() -> StorageVec {
    StorageVec::new(CLASSES, EXAMPLES, DIM)
}

pub fn learner(room: &mut StorageVec) -> Learner<'_> {
    let learner = Learner::new(room.lend(), HeadKind::default(), space());
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

/// State of a learner: what it knows, and nothing else.
pub fn state(learner: &Learner) -> Vec<u8> {
    let mut bytes = vec![0; snapshot_len(learner.support())];
    export(learner, &mut bytes).expect("the length was asked for");
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
    if let Some(first) = learner.support().classes().first() {
        let first = first.id();
        let removed = learner.support_mut().remove(first);
        removed.expect("it is there");
    }
}
