//! Says in words and numbers how a window was judged.

use mtslvr_listen::profile::ClassLabel;
use mtslvr_runtime::fewshot::{Class, ClassId, Role};
use mtslvr_runtime::listener::{ListenerConfig, Window};
use serde::Serialize;

/// A class as it is named to people.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: ClassId,
    pub(super) label: String,
    pub(super) role: Role,
}

/// The window that came nearest to being recognised.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Closest {
    pub(super) class: String,
    pub(super) start: f64,
    pub(super) score: f32,
    pub(super) threshold: f32,
    pub(super) missed_by: f32,
}

/// How a window was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It is the class.
    Recognised,
    /// Its score is below the threshold.
    BelowThreshold,
    /// It is most like the negatives.
    Negative,
    /// It is most like the background.
    Background,
    /// One of the negatives is more like it than every example of the class.
    NearANegative,
    /// Nothing new stands out.
    Quiet,
}

impl Outcome {
    /// Tells whether negatives or background decided.
    pub(super) fn is_rejection(self) -> bool {
        matches!(
            self,
            Self::Negative | Self::Background | Self::NearANegative
        )
    }
}

/// The judgement of a window with the numbers that decided it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Verdict<'n> {
    pub(super) verdict: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<&'n str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confidence: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missed_by: Option<f32>,
}

impl Known {
    pub(super) fn of(class: &Class) -> Self {
        Self {
            id: class.id(),
            label: ClassLabel::of(class.role(), class.name()).to_string(),
            role: class.role(),
        }
    }
}

/// Judges `window` as the listener does: against the threshold with the margin.
pub(super) fn verdict<'n>(
    window: &Window,
    classes: &'n [Known],
    config: &ListenerConfig,
) -> Verdict<'n> {
    let Some(decision) = window.decision else {
        return Verdict {
            verdict: Outcome::Quiet,
            class: None,
            score: None,
            threshold: None,
            confidence: None,
            missed_by: None,
        };
    };
    let class = classes.iter().find(|class| class.id == decision.best);
    let threshold = decision.threshold + config.margin;
    let missed_by = threshold - decision.similarity;
    let verdict = match class.map_or(Role::Sound, |class| class.role) {
        Role::Negatives => Outcome::Negative,
        Role::Background => Outcome::Background,
        _ if decision.similarity >= decision.threshold && decision.class.is_none() => {
            Outcome::NearANegative
        }
        _ if missed_by > 0.0 => Outcome::BelowThreshold,
        _ => Outcome::Recognised,
    };
    Verdict {
        verdict,
        class: Some(class.map_or("", |class| &class.label)),
        score: Some(decision.similarity),
        threshold: Some(threshold),
        confidence: Some(1.0 - decision.chance),
        missed_by: Some(missed_by).filter(|missed| *missed > 0.0),
    }
}

impl Verdict<'_> {
    /// Returns the verdict in words; `level` and `gate` in dB.
    pub(super) fn sentence(&self, level: f32, gate: f32) -> String {
        let (Some(class), Some(score), Some(threshold)) = (self.class, self.score, self.threshold)
        else {
            return if level < gate {
                format!("quiet: {level:.1} dB above the background, {gate:.1} dB are needed")
            } else {
                "nothing new in a sound that was judged".to_owned()
            };
        };
        let why = match self.verdict {
            Outcome::Recognised => "recognised".to_owned(),
            Outcome::BelowThreshold => {
                format!(
                    "unknown, missed by {:.2}",
                    self.missed_by.unwrap_or_default()
                )
            }
            Outcome::Negative | Outcome::Background => "unknown: it is most like these".to_owned(),
            Outcome::NearANegative => "unknown: a negative is nearer".to_owned(),
            Outcome::Quiet => String::new(),
        };
        let confidence = self.confidence.unwrap_or_default();
        format!(
            "{class}  score {score:.2}, threshold {threshold:.2}, confidence {confidence:.2}: {why}"
        )
    }
}
