//! The project's own reading, writing and making of sound, as it is used here.

#[cfg(test)]
pub use mtslvr_audio::LabelledSet;
pub use mtslvr_audio::atomic_file::{write_atomically, write_bytes};
pub use mtslvr_audio::{AudioError, load, synth, write_wav};
