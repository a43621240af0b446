//! Keeps the sounds that a user has taught in one file, which is the runtime's snapshot
//! (`runtime/SNAPSHOT.md`).
//!
//! [`Profile`] reads it and, under a lock, replaces it. [`Memory`] holds a learner of it. [`ClipLog`],
//! a second file beside it, remembers which recording each example was made of, so that everything can
//! be learnt again under another backbone. A [`Backup`] is a folder that holds the recordings, too.

mod backbone_note;
mod backup;
mod clips;
mod error;
mod explain;
mod file;
mod memory;
mod name;
mod place;
mod resemblance;
mod teach;

pub use backbone_note::BackboneNote;
pub use backup::{Backup, Copied};
pub use clips::{ClipLog, ClipState, SourceClip};
pub use error::ProfileError;
pub use explain::{Explained, decibels};
pub use file::{LockedProfile, Profile, Snapshot};
pub use memory::Memory;
pub use name::{ReservedName, check_name, composed, find_sound};
pub use place::{ClassLabel, default_path};
pub use resemblance::Resemblance;
pub use teach::{Lesson, NotLearnt, Recognised, Recording, recognised, teach};
