//! How good a backbone is at learning new sounds from a few examples, measured on episodes and
//! beside controls that learn nothing.

mod episodes;
mod interval;
mod linear_probe;
mod results;

pub use episodes::{Candidate, Episode, EpisodeError, EpisodeSampler, EpisodeShape};
pub use interval::Accuracy;
pub use linear_probe::LinearProbe;
pub use results::{Evaluation, SetResult};
