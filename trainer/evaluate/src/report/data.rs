//! The data of a report, as they are in `results.json`.

use crate::enrolment::Confusion;
use crate::results::Evaluation;
use serde::{Deserialize, Serialize};

/// Everything that a report shows. Parts that a run does not have stay out of the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// One or two sentences on the run and its result.
    pub summary: String,
    /// The few most important figures.
    pub headline: Vec<Figure>,
    /// Circumstances of the run, in the order in which they are listed.
    pub facts: Vec<Fact>,
    /// The model that the page is about, and others to compare it with.
    pub models: Vec<ModelFindings>,
    /// The first model's embeddings of the clips, in two dimensions.
    pub map: Option<EmbeddingMap>,
    /// Pictures of what the model hears.
    pub spectrograms: Vec<Spectrogram>,
    /// Training curves.
    pub curves: Vec<Curve>,
    /// Whether the engines agree on the exported model.
    pub engines: Vec<EngineAgreement>,
    /// Remarks that a reader must know, one sentence each.
    pub notes: Vec<String>,
}

/// Findings on one model. Unknown parts stay out of the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFindings {
    /// Name of the model on the page.
    pub label: String,
    /// Recognition of the sounds that were enrolled in the run.
    pub recognition: Option<Recognition>,
    /// Few-shot accuracy beside the controls.
    pub evaluation: Option<Evaluation>,
    /// Costs of its packed form.
    pub costs: Vec<Fact>,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Its value, with the unit.
    pub value: String,
}

impl Fact {
    /// Makes a fact of a name and the text of its value.
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
    /// Its value, with the unit.
    pub value: String,
    /// Its name.
    pub name: String,
    /// Figure or limit to compare it with.
    pub context: String,
}

/// Answers to clips after enrolment.
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
    /// Clips by true class and answer.
    pub confusion: Confusion,
}

/// Embeddings projected on their first two principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMap {
    /// Classes; the index gives a point its colour.
    pub classes: Vec<String>,
    /// One point for each clip.
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
    /// Name of the sound.
    pub title: String,
    /// A PNG as a data URI, see [`spectrogram_data_uri`](super::spectrogram_data_uri).
    pub image: String,
}

/// A measured value over the course of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name of the value.
    pub name: String,
    /// Name of the horizontal axis.
    pub over: String,
    /// `[x, y]`, in the order measured.
    pub points: Vec<[f64; 2]>,
}

/// Distance of one engine's embeddings from the reference's on the same inputs.
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
    /// Remark for the reader, such as why an engine is missing.
    pub note: String,
}
