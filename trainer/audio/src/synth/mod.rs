//! Makes endlessly varied sounds from numbers, so that everything runs without a data set.
//!
//! A [`Patch`] describes a sound by parameters in [0, 1]: one to three voices (harmonic, FM, modal
//! impact, noise burst, formant syllable, plucked string, chirp, grains) played once or in a pattern,
//! in a room, over a background that is never digital silence. Neighbouring patches sound alike;
//! [`Patch::perturb`] makes them.

mod chirp;
mod dataset;
mod event;
mod fm;
mod formant;
mod grains;
mod harmonic;
mod knobs;
mod modal;
mod noise_burst;
mod oscillator;
mod patch;
mod plucked;
mod room;
mod shaping;
mod voice;

pub use dataset::write_dataset;
pub use patch::Patch;
pub use voice::Family;
