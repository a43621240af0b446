//! Measures how well a backbone learns new sounds from a few examples: on episodes, beside controls
//! that learned nothing, and on composed [`stream`]s. Writes [`report`]s of the results.

mod benchmark;
mod bias;
mod bias_report;
mod comparison;
mod controls;
mod directions;
pub mod embed;
mod embedded;
mod enrolment;
mod episodes;
mod features;
mod head;
mod interval;
mod linear_probe;
mod mfcc;
mod open_set;
mod open_set_report;
pub mod report;
mod results;
pub mod stream;
pub mod timing;

pub use benchmark::TaskSet;
pub use bias::{BiasResult, BiasSettings, CHOICES, SHARES, bias, compared_parts};
pub use bias_report::BiasReport;
pub use comparison::{Comparison, merged_notes, with_interval};
pub use controls::{
    ClipEmbedder, Controls, LoadedSet, RandomWeights, Settings, evaluate_set, missing_note,
    reference_audio,
};
pub use directions::Directions;
pub use embedded::EmbeddedSet;
pub use enrolment::{Answer, Confusion, Enrolment, confusion};
pub use episodes::{Candidate, Episode, EpisodeError, EpisodeSampler, EpisodeShape};
pub use features::{ClipFeatures, FeatureChoice, embed_clips};
pub use head::{HEAD_NAMES, Head, Prepared, UnknownHead};
pub use interval::Accuracy;
pub use linear_probe::LinearProbe;
pub use mfcc::Standardiser as MfccStandardiser;
pub use open_set::{OpenSetResult, OpenSetSettings, Separation, ThresholdResult, open_set};
pub use open_set_report::OpenSetReport;
#[cfg(test)]
pub(crate) use results::example;
pub use results::{Evaluation, SetResult};
