//! How good a backbone is at learning new sounds from a few examples, measured on episodes and
//! beside controls that learned nothing.

mod benchmark;
mod bias;
mod bias_report;
mod comparison;
mod controls;
mod directions;
mod embedded;
mod enrolment;
mod episodes;
mod features;
mod head;
mod interval;
mod invariance;
mod linear_probe;
mod mfcc;
mod open_set;
mod open_set_report;
mod results;
mod trunk_backbone;

pub use benchmark::TaskSet;
pub use bias::{BiasResult, BiasSettings, CHOICES, SHARES, bias, compared_parts};
pub use bias_report::BiasReport;
pub use comparison::{Comparison, merged_notes, with_interval};
pub use controls::{Controls, LoadedSet, Settings, evaluate_set, reference_audio};
pub use directions::Directions;
pub use embedded::EmbeddedSet;
pub use enrolment::{Answer, Enrolment, confusion};
pub use episodes::{Candidate, Episode, EpisodeError, EpisodeSampler, EpisodeShape};
pub use features::{ClipFeatures, FeatureChoice, embed_clips};
pub use head::{HEAD_NAMES, Head, Prepared, UnknownHead};
pub use interval::Accuracy;
pub use invariance::{OperatorEffect, operator_effects};
pub use linear_probe::LinearProbe;
pub use mfcc::Standardiser as MfccStandardiser;
pub use open_set::{OpenSetResult, OpenSetSettings, Separation, ThresholdResult, open_set};
pub use open_set_report::OpenSetReport;
#[cfg(test)]
pub(crate) use results::example;
pub use results::{Evaluation, SetResult};
pub use trunk_backbone::TrunkBackbone;
