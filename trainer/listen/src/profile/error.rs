//! Errors of profiles.

use super::name::ReservedName;
use mtslvr_audio::ShowPath;
use mtslvr_runtime::fewshot::persist::RestoreError;
use mtslvr_runtime::fewshot::{EnrolError, SupportError};
use mtslvr_runtime::space::BackboneId;
use std::path::PathBuf;

/// Explains why a profile cannot be read, changed or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The operating system refused.
    #[error("{path}: cannot be {action}: {error}", path = path.shown())]
    Io {
        /// The file.
        path: PathBuf,
        /// Action that failed, as a participle.
        action: &'static str,
        /// Message of the operating system.
        error: std::io::Error,
    },
    /// The user has no data folder for the profile.
    #[error(
        "no place for the profile: neither XDG_DATA_HOME nor HOME names a folder; give --profile FILE"
    )]
    NoPlace,
    /// Another process keeps the lock.
    #[error(
        "{path}: another process has held this lock for {seconds} s; expected it to be free within \
         moments; end that process, or give another --profile FILE",
        path = path.shown()
    )]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// Time spent waiting, seconds.
        seconds: u64,
    },
    /// The file is not a usable snapshot.
    #[error(
        "{path}: {error}; restore it with `mtslvr classes import BACKUP`, or move it away and enrol \
         again",
        path = path.shown()
    )]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// Fault that was found.
        error: RestoreError,
    },
    /// The profile was enrolled under another backbone than the one in use.
    #[error(
        "{path}: enrolled under the backbone {enrolled_under}, but {model} is {in_use}: \
         examples of one mean nothing under the other; {remedy}",
        path = path.shown()
    )]
    OtherBackbone {
        /// The profile.
        path: PathBuf,
        /// The backbone that it was enrolled under.
        enrolled_under: Box<BackboneId>,
        /// The backbone in use, for people.
        model: String,
        /// Its id.
        in_use: Box<BackboneId>,
        /// Remedy.
        remedy: String,
    },
    /// The list of clips beside the profile cannot be read.
    #[error(
        "{path}: not a list of enrolled clips: {reason}; move it away: the profile works without it, \
         and its examples cannot be embedded again under another backbone",
        path = path.shown()
    )]
    Clips {
        /// The list.
        path: PathBuf,
        /// Fault that was found.
        reason: String,
    },
    /// The name of a sound means something else.
    #[error(transparent)]
    Name(#[from] ReservedName),
    /// The support set does not allow the change.
    #[error("{0}")]
    Support(SupportError),
    /// The example cannot be enrolled.
    #[error("{0}")]
    Enrol(EnrolError),
}

impl From<SupportError> for ProfileError {
    fn from(error: SupportError) -> Self {
        Self::Support(error)
    }
}
