//! What a user has taught, as one file: the runtime's snapshot (`runtime/SNAPSHOT.md`), nothing else.
//!
//! [`Profile`] reads it and, under a lock, replaces it; [`Memory`] is room for a learner that holds
//! it; [`ClipLog`], a second file beside it, remembers which recording each example came from, so
//! that everything can be learnt again under another backbone.

mod clips;
mod error;
mod explain;
mod file;
mod memory;
mod place;
mod teach;

pub use clips::{ClipLog, ClipState, SourceClip};
pub use error::ProfileError;
pub use explain::{Explained, decibels};
pub use file::{LockedProfile, Profile, Snapshot};
pub use memory::Memory;
pub use place::{ClassLabel, default_path};
pub use teach::{Lesson, NotLearnt, Recording, teach};
