//! Where the profile is, and what in it is meant.

use super::ProfileError;
use mtslvr_runtime::fewshot::{Role, SupportSet};
use std::env;
use std::fmt;
use std::path::PathBuf;

/// The profile's name in the user's data folder.
const FILE: &str = "mtslvr/profile.mtss";

/// The profile that is used unless one is named: in the folder that `XDG_DATA_HOME` names or, as the
/// XDG base directory specification says, in `~/.local/share`; on Windows in `LOCALAPPDATA`.
///
/// # Errors
/// [`ProfileError::NoPlace`] if none of them is known.
pub fn default_path() -> Result<PathBuf, ProfileError> {
    // The specification says to disregard a relative path.
    let folder = |variable| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let local = if cfg!(windows) {
        "LOCALAPPDATA"
    } else {
        "XDG_DATA_HOME"
    };
    let data = folder(local).or_else(|| Some(env::home_dir()?.join(".local/share")));
    let data = data.filter(|path| path.is_absolute());
    Ok(data.ok_or(ProfileError::NoPlace)?.join(FILE))
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
    pub fn find(&self, support: &SupportSet) -> Option<u8> {
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
