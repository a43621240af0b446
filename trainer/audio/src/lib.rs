//! Reads recordings, and makes synthetic sounds, as mono samples: `f32` with full scale at 1.
//!
//! [`load`] reads one file of any supported format, and a [`Reader`] gives it piece by piece in constant
//! memory; a [`Budget`] limits both. [`LabelledSet`] and [`UnlabelledSet`] find the
//! clips of a data set and load them on all cores; [`synth`] makes sounds where there is no data.
//! [`Recordings`] holds the training audio in memory, 16 bits a sample (115 MB an hour at 16 kHz), so
//! that a training step needs neither disk nor decoder. A [`DecodeCache`] keeps recordings on disk in
//! the same form for the next run.

pub mod atomic_file;
mod bounded;
mod budget;
mod cache;
mod codec;
mod compressed;
mod container;
mod decode;
mod embed;
mod error;
mod flac;
#[cfg(all(test, feature = "containers"))]
mod formats_tests;
mod guard;
mod interleaved;
mod labelled;
mod loading;
mod manifest;
mod mix;
mod noise;
mod ogg_pages;
#[cfg(feature = "containers")]
mod opus;
mod reader;
mod record_file;
mod recordings;
mod region;
mod resample;
mod samples;
mod shown;
pub mod synth;
mod synthetic;
mod unlabelled;
mod unlabelled_clip;
mod wav;

pub use bounded::{must_be_regular_or_new, open_regular, read_bounded, read_regular};
pub use budget::Budget;
pub use cache::{DecodeCache, cached_samples, file_hash};
pub use container::describe_start;
pub use decode::load;
pub use embed::{EmbedError, embed};
pub use error::AudioError;
pub use guard::guarded;
pub use labelled::{LabelledClip, LabelledSet};
pub use loading::Skipped;
pub use noise::Noise;
pub use reader::{MAX_MAGNITUDE, Reader};
pub use record_file::{RecordFile, RecordFileError};
pub use recordings::{Group, Member, Recordings};
pub use resample::{StreamResampler, resample};
pub use samples::Samples;
pub use shown::{Cell, ShowPath, Shown, ShownPath, counted, write_shown};
pub use synthetic::{calibration_clips, calibration_mix};
pub use unlabelled::{Licences, UnlabelledSet, recordings_below};
pub use unlabelled_clip::{Manifest, UnlabelledClip};
pub use wav::{round_to_16_bits, write_wav};
