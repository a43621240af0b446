//! Lists for the page: the backbone, and the sounds that were taught.

use mtslvr_runtime::fewshot::persist::fingerprint;
use mtslvr_runtime::fewshot::{Class, Learner, Role};
use serde::Serialize;

/// The backbone in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backbone {
    /// Its id in hexadecimal.
    pub id: String,
    /// Samples a second that it takes, Hz.
    pub sample_rate: u32,
    /// Bands of a frame.
    pub mels: u16,
    /// Samples from one frame to the next.
    pub hop: u16,
    /// Values of one dB in a frame.
    pub decibel: f32,
    /// Values of an embedding.
    pub dim: usize,
    /// The instruction set whose kernels run.
    pub kernels: &'static str,
}

/// Everything that was taught.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listing {
    /// Threshold of sounds without one of their own; none where it is computed.
    pub threshold: Option<f32>,
    /// The classes, in the order in which they were taught.
    pub classes: Vec<ListedClass>,
}

/// A class of sounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedClass {
    /// Its id, which it keeps as long as it exists.
    pub id: u16,
    /// Its name; empty for sounds to ignore and for the background.
    pub name: String,
    /// `sound`, `negatives` or `background`.
    pub role: &'static str,
    /// Whether it takes part.
    pub enabled: bool,
    /// The threshold that was set for it.
    pub own: Option<f32>,
    /// The threshold that counts.
    pub threshold: f32,
    /// Fingerprints of its examples, in hexadecimal: JSON has no 64-bit integers.
    pub examples: Vec<String>,
}

impl Listing {
    /// Lists what `learner` knows.
    pub(crate) fn of(learner: &Learner) -> Self {
        let support = learner.support();
        Self {
            threshold: support.default_threshold(),
            classes: support
                .classes()
                .iter()
                .map(|class| ListedClass::of(learner, class))
                .collect(),
        }
    }
}

impl ListedClass {
    fn of(learner: &Learner, class: &Class) -> Self {
        let examples = learner.support().examples(class.id());
        Self {
            id: class.id().get(),
            name: class.name().to_owned(),
            role: match class.role() {
                Role::Negatives => "negatives",
                Role::Background => "background",
                _ => "sound",
            },
            enabled: class.is_enabled(),
            own: class.threshold(),
            threshold: learner.threshold(class.id()),
            examples: examples
                .map(|example| format!("{:016x}", fingerprint(example)))
                .collect(),
        }
    }
}
