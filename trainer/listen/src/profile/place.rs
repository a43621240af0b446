//! Where the profile is, and what in it is meant.

use super::ProfileError;
use mtslvr_runtime::fewshot::{ClassId, Role, SupportSet};
use std::fmt;
use std::path::PathBuf;

/// The profile's name in the user's data folder.
const FILE: &str = "mtslvr/profile.mtss";

/// Returns the profile that is used unless one is named: a file in the user's local data folder, which is
/// `$XDG_DATA_HOME` or `~/.local/share` on Linux, `~/Library/Application Support` on macOS and
/// `%LOCALAPPDATA%` on Windows.
///
/// # Errors
/// [`ProfileError::NoPlace`] if the folder is not known.
pub fn default_path() -> Result<PathBuf, ProfileError> {
    let data = dirs::data_local_dir().ok_or(ProfileError::NoPlace)?;
    Ok(data.join(FILE))
}

/// What a recording is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'n> {
    /// A sound with a name.
    Sound(&'n str),
    /// What is none of the sounds.
    Negatives,
    /// What the place sounds like when nothing happens.
    Background,
}

impl<'n> Subject<'n> {
    /// That of a class.
    pub fn of(role: Role, name: &'n str) -> Self {
        match role {
            Role::Negatives => Self::Negatives,
            Role::Background => Self::Background,
            // Every role that has a name.
            _ => Self::Sound(name),
        }
    }

    /// Its class, if it has one.
    pub fn find(&self, support: &SupportSet) -> Option<ClassId> {
        match self {
            Self::Sound(name) => support.find(name),
            Self::Negatives => support.find_role(Role::Negatives),
            Self::Background => support.find_role(Role::Background),
        }
    }
}

/// As tables name it.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sound(name) => name,
            Self::Negatives => "(negatives)",
            Self::Background => "(background)",
        })
    }
}
