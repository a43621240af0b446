//! Learning from examples and deciding about a query.

use crate::input::Random;
use crate::model::{EMBEDDING_DIM, FRONTEND};
use crate::{Bench, reported};
use mtslvr_board::say;
use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, Storage};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};

/// Classes that are enrolled.
const CLASSES: usize = 8;
/// Examples of each class.
const SHOTS: usize = 8;
const EXAMPLES: usize = CLASSES * SHOTS;

/// Room for the sounds that are enrolled.
pub type SoundStorage = Storage<CLASSES, EXAMPLES, EMBEDDING_DIM>;

/// The base mean that embeddings are centred with: they are made up, so that it is zero.
static BASE_MEAN: [f32; EMBEDDING_DIM] = [0.0; EMBEDDING_DIM];
const NAMES: [&str; CLASSES] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const HEADS: [(HeadKind, &str); 3] = [
    (HeadKind::NearestMean, "nearest mean"),
    (HeadKind::Ridge { lambda: 1.0 }, "ridge"),
    (HeadKind::Logistic { c: 1.0 }, "logistic"),
];

/// Values that the fits work in.
pub const SCRATCH_LEN: usize = {
    let mut longest = 0;
    let mut i = 0;
    while i < HEADS.len() {
        let len = Learner::scratch_len_for(HEADS[i].0, CLASSES, EXAMPLES);
        longest = crate::max(longest, len);
        i += 1;
    }
    longest
};

/// A space of embeddings in two parts that count the same.
fn space() -> Option<EmbeddingSpace<'static>> {
    let part = |name| Part {
        name,
        len: EMBEDDING_DIM / 2,
        share: 0.5,
    };
    let parts = reported("the parts", Parts::new([part("first"), part("second")]))?;
    let (id, reference) = (
        BackboneId::new([0; BackboneId::LEN]),
        Reference::assumed(0.0),
    );
    EmbeddingSpace::new(id, FRONTEND, parts, &BASE_MEAN, reference)
}

/// An embedding of a class: its own direction, and a little noise.
fn embedding(class: usize, example: usize) -> [f32; EMBEDDING_DIM] {
    let mut centre = Random::new(class as u32 + 1);
    let mut noise = Random::new(example as u32 + 1_000);
    core::array::from_fn(|_| f32::from(centre.next()) + 0.3 * f32::from(noise.next()))
}

impl Bench {
    /// Enrols, fits and decides with every head.
    pub fn head(&self, storage: &mut SoundStorage, scratch: &mut [f32]) -> Option<()> {
        for (kind, name) in HEADS {
            let space = space()?;
            let mut sounds = reported(name, Learner::new(storage.lend(), kind, space))?;
            let start = self.instructions.now();
            for example in 0..EXAMPLES {
                let class = example % CLASSES;
                let embedding = embedding(class, example);
                reported(name, sounds.enrol(NAMES[class], &embedding))?;
            }
            let enrolled = self.instructions.now();
            reported(name, sounds.fit(scratch))?;
            let fitted = self.instructions.now();
            let mut scores = [0.0; CLASSES];
            let query = embedding(3, EXAMPLES);
            let before = self.instructions.now();
            let decision = reported(name, sounds.classify(&query, &mut scores))?;
            let decided = self.instructions.now();
            let expected = sounds.support().find(NAMES[3]);
            if decision.class != expected {
                let found = decision.class;
                say!(
                    "error: {}: class {:?}, expected {:?}",
                    name,
                    found,
                    expected
                );
                return None;
            }
            say!(
                "head classes={} examples={} enrol_instructions={} fit_instructions={} decide_instructions={} name={}",
                CLASSES,
                EXAMPLES,
                (enrolled - start) / EXAMPLES as u64,
                fitted - enrolled,
                decided - before,
                name
            );
        }
        Some(())
    }
}
