//! Explains in words why a recording was not learnt.

use super::place::ClassLabel;
use super::teach::{Lesson, NotLearnt};
use mtslvr_runtime::fewshot::{Refusal, SupportSet};
use serde::Serialize;

/// A reason with what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// One word for programs.
    pub reason: &'static str,
    /// The value measured, in `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<f32>,
    /// The limit that `found` is beyond, in `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f32>,
    /// Unit of `found` and `limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// A sentence or two for people: the fault, how much was found and is needed, and what to do.
    pub text: String,
}

/// Converts a magnitude, full scale being 1, to decibels of full scale.
pub fn decibels(magnitude: f32) -> f32 {
    20.0 * magnitude.log10()
}

impl Explained {
    /// Explains why nothing was learnt in `lesson`, the classes being those of `support`.
    pub fn new(why: &NotLearnt, lesson: &Lesson, support: &SupportSet) -> Self {
        let label = lesson.label;
        match why {
            NotLearnt::Known => Self::unmeasured(
                "known",
                format!("this very recording is an example of {label} already."),
            ),
            NotLearnt::KnownAs(class) => {
                let other = support.class(*class);
                let other = other.map(|c| ClassLabel::of(c.role(), c.name()).to_string());
                let other = other.unwrap_or_default();
                Self::unmeasured(
                    "known-as-another",
                    format!(
                        "this very recording is an example of {other} already, and nothing could tell \
                         {other} and {label} apart by it. Delete it there first (`mtslvr classes list \
                         --clips`), or rename {other}."
                    ),
                )
            }
            NotLearnt::NoSound => Self::unmeasured(
                "no-sound",
                "nothing in it stands out from its background. Start recording a moment before the \
                 sound begins; --whole takes a clip of a steady sound as it is."
                    .to_owned(),
            ),
            NotLearnt::Refused(
                refusal @ (Refusal::UnlikeItsClass { .. } | Refusal::LikeAnotherClass { .. }),
            ) => Self::of_similarity(refusal, lesson, support),
            NotLearnt::Refused(refusal) => Self::of_recording(refusal),
        }
    }

    /// Explains what is wrong with the recording itself.
    fn of_recording(refusal: &Refusal) -> Self {
        match *refusal {
            Refusal::TooQuiet { peak, .. } if peak < f32::MIN_POSITIVE => Self::unmeasured(
                "silent",
                "it is silent: every sample is 0. Check that the microphone is on, and record \
                     it again."
                    .to_owned(),
            ),
            Refusal::TooQuiet { peak, least } => {
                let (found, limit) = (decibels(peak), decibels(least));
                let text = format!(
                    "too quiet: its loudest sample is at {found:.0} dB of full scale, and at least \
                     {limit:.0} dB is needed. Record it again, nearer to the microphone."
                );
                Self::measured("too-quiet", found, limit, "dB", text)
            }
            Refusal::Clipped { share, most } => {
                let (found, limit) = (100.0 * share, 100.0 * most);
                let text = format!(
                    "clipped: {found:.1} % of its samples stick to full scale, and at most \
                     {limit:.1} % may. Record it again, farther from the microphone or with less \
                     gain."
                );
                Self::measured("clipped", found, limit, "%", text)
            }
            Refusal::TooShort { seconds, least } => {
                let text = format!(
                    "too short: it lasts {seconds:.3} s, and at least {least:.3} s is needed. \
                     Record the whole sound."
                );
                Self::measured("too-short", seconds, least, "s", text)
            }
            ref other => Self::unmeasured("no-direction", format!("{other}. Record it again.")),
        }
    }

    /// Explains which class the recording is too unlike, or too like.
    fn of_similarity(refusal: &Refusal, lesson: &Lesson, support: &SupportSet) -> Self {
        let label = lesson.label;
        match *refusal {
            Refusal::UnlikeItsClass { similarity, least } => {
                let text = format!(
                    "unlike the other examples of {label}: their similarity is \
                     {similarity:.2}, and at least {least:.2} is expected. Record it again, or enrol \
                     it under a name of its own."
                );
                Self::measured("unlike-its-class", similarity, least, "similarity", text)
            }
            Refusal::LikeAnotherClass {
                class,
                similarity,
                most,
            } => {
                let other = support
                    .class(class)
                    .map(|c| ClassLabel::of(c.role(), c.name()));
                let other = other.map_or_else(|_| format!("class {class}"), |o| o.to_string());
                let text = format!(
                    "too like {other}: their similarity is {similarity:.2}, and at most {most:.2} \
                     is expected of another sound. Record it again, or enrol it as {other}."
                );
                Self::measured("like-another-class", similarity, most, "similarity", text)
            }
            ref other => Self::of_recording(other),
        }
    }

    fn measured(
        reason: &'static str,
        found: f32,
        limit: f32,
        unit: &'static str,
        text: String,
    ) -> Self {
        Self {
            reason,
            found: Some(found),
            limit: Some(limit),
            unit: Some(unit),
            text,
        }
    }

    fn unmeasured(reason: &'static str, text: String) -> Self {
        Self {
            reason,
            found: None,
            limit: None,
            unit: None,
            text,
        }
    }

    /// Tells whether `--force` would learn it nevertheless.
    pub fn can_be_forced(&self) -> bool {
        !matches!(
            self.reason,
            "known" | "known-as-another" | "no-sound" | "silent" | "no-direction"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;
    use mtslvr_runtime::fewshot::Limits;
    use mtslvr_runtime::fewshot::persist::SnapshotHeader;
    use mtslvr_runtime::space::{BackboneId, Part, Parts};

    #[test]
    fn every_reason_says_what_was_measured_and_what_to_do() {
        let part = |name| Part {
            name,
            len: 1,
            share: 0.5,
        };
        let mut memory = Memory::for_snapshot(&SnapshotHeader {
            backbone: BackboneId::new([1; 32]),
            parts: Parts::new([part("invariant"), part("equivariant")]).unwrap(),
            classes: 0,
            examples: 0,
        });
        let mut learner = memory.learner();
        let bell = learner.enrol("bell", &[1.0, 1.0]).unwrap();
        let lesson = Lesson {
            label: ClassLabel::Sound("kettle"),
            limits: Limits::default(),
            force: false,
        };
        let text = |refusal| {
            let why = NotLearnt::Refused(refusal);
            Explained::new(&why, &lesson, learner.support()).text
        };
        for (refusal, words) in [
            (
                Refusal::TooQuiet {
                    peak: 0.001,
                    least: 0.002,
                },
                ["-60 dB", "-54 dB", "nearer"],
            ),
            (
                Refusal::Clipped {
                    share: 0.125,
                    most: 0.01,
                },
                ["12.5 %", "1.0 %", "less gain"],
            ),
            (
                Refusal::TooShort {
                    seconds: 0.01,
                    least: 0.03,
                },
                ["0.010 s", "0.030 s", "whole"],
            ),
            (
                Refusal::UnlikeItsClass {
                    similarity: -0.5,
                    least: -0.25,
                },
                ["-0.50", "-0.25", "kettle"],
            ),
            (
                Refusal::LikeAnotherClass {
                    class: bell,
                    similarity: 0.99,
                    most: 0.98,
                },
                ["0.99", "0.98", "enrol it as bell"],
            ),
        ] {
            let text = text(refusal);
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
        let silent = text(Refusal::TooQuiet {
            peak: 0.0,
            least: 0.002,
        });
        assert!(
            silent.contains("silent") && !silent.contains("inf"),
            "{silent}"
        );
    }
}
