//! Finds the default profile, and names the classes in a profile.

use super::error::ProfileError;
use super::name::find_sound;
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

/// The class that a recording is an example of: a sound by its name, or one of the two classes that have
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassLabel<'n> {
    /// A sound with a name.
    Sound(&'n str),
    /// Sounds that are none of the named ones.
    Negatives,
    /// The sound of the place when nothing happens.
    Background,
}

impl<'n> ClassLabel<'n> {
    /// Returns the label of a class.
    pub fn of(role: Role, name: &'n str) -> Self {
        match role {
            Role::Negatives => Self::Negatives,
            Role::Background => Self::Background,
            // Every role that has a name.
            _ => Self::Sound(name),
        }
    }

    /// Returns the id of the class in `support`, if it is there. Names are compared as [`find_sound`] does.
    pub fn find(&self, support: &SupportSet) -> Option<ClassId> {
        match self {
            Self::Sound(name) => find_sound(support, name),
            Self::Negatives => support.find_role(Role::Negatives),
            Self::Background => support.find_role(Role::Background),
        }
    }
}

/// Writes the name of the class in tables.
impl fmt::Display for ClassLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sound(name) => name,
            Self::Negatives => "(negatives)",
            Self::Background => "(background)",
        })
    }
}
