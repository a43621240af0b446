//! The data of a report, as they are in `results.json`.

use crate::enrolment::Confusion;
use crate::results::Evaluation;
use serde::{Deserialize, Serialize};

/// Everything that a report shows. Parts that a run does not have stay out of the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// One or two sentences: what was done, with what result.
    pub summary: String,
    /// The few figures a reader should leave with.
    pub headline: Vec<Figure>,
    /// Circumstances of the run, in the order in which they are listed.
    pub facts: Vec<Fact>,
    /// The model that the page is about, and others to compare it with.
    pub models: Vec<ModelFindings>,
    /// The first model's embeddings of the clips, in two dimensions.
    pub map: Option<EmbeddingMap>,
    /// What the model hears.
    pub spectrograms: Vec<Spectrogram>,
    /// Training curves.
    pub curves: Vec<Curve>,
    /// Whether the engines agree on the exported model.
    pub engines: Vec<EngineAgreement>,
    /// What to keep in mind when reading, one sentence each.
    pub notes: Vec<String>,
}

/// What was found of one model. Parts that are not known stay out of the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFindings {
    /// What the page calls it.
    pub label: String,
    /// How the sounds enrolled in the run were recognised.
    pub recognition: Option<Recognition>,
    /// Few-shot accuracy beside the controls.
    pub evaluation: Option<Evaluation>,
    /// What its packed form costs.
    pub costs: Vec<Fact>,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// With its unit.
    pub value: String,
}

impl Fact {
    /// `name`, with its value as text.
    pub fn new(name: &str, value: impl ToString) -> Self {
        Self {
            name: name.into(),
            value: value.to_string(),
        }
    }
}

/// A figure that stands out, with a line that puts it in proportion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// With its unit.
    pub value: String,
    /// What it is.
    pub name: String,
    /// What to compare it with.
    pub context: String,
}

/// How clips were answered after enrolment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recognition {
    /// The head that answered.
    pub head: String,
    /// Similarity below which the answer is *unknown*.
    pub threshold: f32,
    /// Clips of enrolled classes that were answered with their class.
    pub recognised: usize,
    /// Clips of enrolled classes.
    pub known: usize,
    /// Clips of classes never enrolled that were answered *unknown*.
    pub rejected: usize,
    /// Clips of classes never enrolled.
    pub strangers: usize,
    /// Clips by what they are and what was answered.
    pub confusion: Confusion,
}

/// Embeddings projected on their first two principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMap {
    /// Classes; the index gives a point its colour.
    pub classes: Vec<String>,
    /// One a clip.
    pub points: Vec<MapPoint>,
    /// Share of the variance along x and y, `0..=1`.
    pub explained: [f64; 2],
}

/// One clip on the map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// First principal component.
    pub x: f64,
    /// Second principal component.
    pub y: f64,
    /// Index of the class; `None` for a sound never enrolled.
    pub class: Option<usize>,
    /// Whether the clip is an enrolled example.
    pub enrolled: bool,
}

/// A picture of a clip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spectrogram {
    /// What is heard.
    pub title: String,
    /// A PNG as a data URI, see [`spectrogram_data_uri`].
    pub image: String,
}

/// A measured value over the course of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What was measured.
    pub name: String,
    /// What it is plotted against.
    pub over: String,
    /// `[x, y]`, in the order measured.
    pub points: Vec<[f64; 2]>,
}

/// How far one engine's embeddings are from the reference's on the same inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineAgreement {
    /// The engine.
    pub engine: String,
    /// Largest difference of any value from the reference engine's; `None` where the engine could
    /// not run.
    pub largest_difference: Option<f64>,
    /// The same, divided by the largest magnitude of the reference's values.
    pub relative_difference: Option<f64>,
    /// Mean cosine between this engine's embeddings and the reference's.
    pub cosine: Option<f64>,
    /// What the reader should know, such as why an engine is missing.
    pub note: String,
}
