//! The data of a report, as they are in `results.json`.

use crate::enrolment::Confusion;
use crate::interval::rate_interval;
use crate::results::Evaluation;
use mtslvr_runtime::fewshot::Calibration;
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
    /// False alarms to expect; `None` where clips were not judged once each, or no stranger was heard.
    pub false_alarms: Option<FalseAlarms>,
    /// Clips by true class and answer.
    pub confusion: Confusion,
}

/// False alarms to expect of the share of strange clips that were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// False alarms an hour.
    pub per_hour: f64,
    /// Their 95 % interval over draws of the strange clips.
    pub ci95: [f64; 2],
    /// Strange sounds that are heard in that hour.
    pub sounds: f64,
}

impl FalseAlarms {
    /// Returns what to expect in the room that the default threshold is made for
    /// ([`Calibration::SOUNDS`]), where `accepted` of `strangers` clips were accepted, each judged once;
    /// `None` if there were no strangers.
    pub fn expected(accepted: usize, strangers: usize) -> Option<Self> {
        let sounds = Calibration::SOUNDS;
        let an_hour = |accepted: f64| {
            let share = (accepted / strangers as f64).min(1.0);
            f64::from(Calibration::false_alarms(share as f32, sounds))
        };
        (strangers > 0).then(|| Self {
            per_hour: an_hour(accepted as f64),
            ci95: rate_interval(accepted).map(an_hour),
            sounds: sounds.into(),
        })
    }
}

/// Embeddings projected on their first two principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMap {
    /// Classes; the index gives a point its colour.
    pub classes: Vec<String>,
    /// Name of the model whose embeddings they are.
    pub model: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_the_default_threshold_aims_at_is_one_alarm_an_hour() {
        let found = FalseAlarms::expected(1, 270).unwrap();
        assert!((found.per_hour - 1.0).abs() < 1e-4, "{found:?}");
        // The exact interval of one event is 0.03 to 5.57.
        assert!(
            found.ci95[0] < 0.1 && (5.4..5.7).contains(&found.ci95[1]),
            "{found:?}"
        );
        let none = FalseAlarms::expected(0, 40).unwrap();
        assert!(
            none.per_hour == 0.0 && none.ci95[0] == 0.0 && none.ci95[1] > 20.0,
            "{none:?}"
        );
        assert_eq!(FalseAlarms::expected(0, 0), None);
    }
}
