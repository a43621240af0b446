//! Remembers which recording each example was made of, in a file beside the profile.
//!
//! A recording is listed by the example that was made of it ([`fingerprint`]), not by class or place.
//! So renaming and deleting classes leave the list as it is, and a superfluous entry does no harm. The
//! list is written before the profile, so that a crash in between costs nothing.

use super::error::ProfileError;
use super::file::MOST_BYTES;
use super::file::{LockedProfile, Profile};
use super::teach::Recording;
use crate::capture::Cut;
use mtslvr_audio::{open_regular, read_bounded};
use mtslvr_runtime::fewshot::persist::fingerprint;
use mtslvr_runtime::fewshot::{Class, ClassId, Role, SupportSet};
use mtslvr_runtime::model::Crc32;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Recordings by the fingerprint of their example.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipLog {
    clips: BTreeMap<u64, SourceClip>,
}

/// A recording as it was when it was enrolled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceClip {
    /// Its absolute path; in the file, from the list's own folder if it is below that.
    pub path: PathBuf,
    /// CRC-32 of its bytes.
    pub crc32: u32,
    /// The part that the example was made of; all of it if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// State of a recording on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipState {
    /// It is there, with the same bytes.
    Kept,
    /// Another file has its name.
    Changed,
    /// It cannot be read.
    Gone,
}

/// The file: `{"version": 1, "clips": [{"example": "..", "path": "..", "crc32": 0}, ..]}`.
#[derive(Serialize, Deserialize)]
struct Listed {
    version: u32,
    clips: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// The fingerprint in hexadecimal: JSON has no 64-bit integers.
    example: String,
    #[serde(flatten)]
    clip: SourceClip,
}

const VERSION: u32 = 1;

impl SourceClip {
    /// Describes the recording at `path` as it is now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: std::path::absolute(path)?,
            crc32: checksum(path)?,
            cut: None,
        })
    }

    /// Adds the part of this recording that `recording` is. `None` if `recording` is all of it because no sound was
    /// found: it is not kept as the source of an example.
    pub fn with_cut_of(&self, recording: &Recording) -> Option<Self> {
        let cut = recording.cut().map(|(cut, _)| cut);
        (recording.sounds() != Some(0)).then(|| Self {
            cut,
            ..self.clone()
        })
    }

    /// Compares the file that is there now with the recording.
    pub fn state(&self) -> ClipState {
        match checksum(&self.path) {
            Ok(crc32) if crc32 == self.crc32 => ClipState::Kept,
            Ok(_) => ClipState::Changed,
            Err(_) => ClipState::Gone,
        }
    }
}

fn checksum(path: &Path) -> io::Result<u32> {
    let mut file = open_regular(path)?;
    let (mut checksum, mut bytes) = (Crc32::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut bytes) {
            Ok(0) => return Ok(checksum.finish()),
            Ok(count) => checksum = checksum.update(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl ClipLog {
    /// Reads the list beside `profile`; it is empty if there is no file.
    ///
    /// # Errors
    /// [`ProfileError::Io`] or [`ProfileError::Clips`].
    pub fn read(profile: &Profile) -> Result<Self, ProfileError> {
        let path = profile.clip_log();
        let bytes = match read_bounded(&path, MOST_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(ProfileError::Io {
                    path,
                    action: "read",
                    error,
                });
            }
        };
        let mut log = parse(&bytes).map_err(|reason| ProfileError::Clips {
            path: path.clone(),
            reason,
        })?;
        let folder = folder_of(&path);
        for clip in log.clips.values_mut() {
            clip.path = folder.join(&clip.path);
        }
        Ok(log)
    }

    /// Replaces the list beside a profile. Recordings whose name is not Unicode are left out; those below the profile's
    /// folder are listed by their paths from there, so that it can be moved with them.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn write(&self, profile: &LockedProfile) -> Result<(), ProfileError> {
        self.write_beside(profile.profile())
    }

    /// [`Self::write`] for a profile that nobody else knows of.
    pub(super) fn write_beside(&self, profile: &Profile) -> Result<(), ProfileError> {
        let path = profile.clip_log();
        let folder = folder_of(&path);
        let nameable = |clip: &&SourceClip| clip.path.to_str().is_some();
        let entries = self.clips.iter().filter(|(_, clip)| nameable(clip));
        let listed = Listed {
            version: VERSION,
            clips: entries
                .map(|(example, clip)| {
                    let mut clip = clip.clone();
                    if let Ok(below) = clip.path.strip_prefix(&folder) {
                        clip.path = below.to_owned();
                    }
                    Entry {
                        example: format!("{example:016x}"),
                        clip,
                    }
                })
                .collect(),
        };
        let json = serde_json::to_vec_pretty(&listed).expect("strings and numbers are JSON");
        profile.write_private(&path, &json)
    }

    /// Remembers that `example`, a direction, was made of `clip`.
    pub fn insert(&mut self, example: &[i8], clip: SourceClip) {
        self.clips.insert(fingerprint(example), clip);
    }

    /// Adds the entries of `other`.
    pub fn extend(&mut self, other: &Self) {
        let entries = other.clips.iter();
        self.clips
            .extend(entries.map(|(example, clip)| (*example, clip.clone())));
    }

    /// Returns the recording that `example` was made of, if it is known.
    pub fn get(&self, example: &[i8]) -> Option<&SourceClip> {
        self.clips.get(&fingerprint(example))
    }

    /// Returns the sound in `support` of which an example was made of the same recording as `clip`.
    pub fn sound_made_of(&self, clip: &SourceClip, support: &SupportSet) -> Option<ClassId> {
        let of_clip = |example: &[i8]| {
            self.get(example)
                .is_some_and(|known| known.crc32 == clip.crc32)
        };
        let sounds = support.classes().iter();
        let mut sounds = sounds.filter(|class| class.role() == Role::Sound);
        let class = sounds.find(|class| support.examples(class.id()).any(of_clip));
        class.map(Class::id)
    }

    /// Tells whether the recording at `path` is among them, wherever it was when it was enrolled.
    pub fn holds(&self, path: &Path) -> bool {
        checksum(path).is_ok_and(|crc32| self.clips.values().any(|clip| clip.crc32 == crc32))
    }

    /// Forgets recordings of examples that are not in `support`.
    pub fn retain(&mut self, support: &SupportSet) {
        let classes = support.classes().iter();
        let examples = classes.flat_map(|class| support.examples(class.id()));
        let there: BTreeSet<u64> = examples.map(fingerprint).collect();
        self.clips.retain(|example, _| there.contains(example));
    }
}

/// Returns the folder that the list at `path` is in.
fn folder_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.parent().unwrap_or(&path).to_owned()
}

fn parse(bytes: &[u8]) -> Result<ClipLog, String> {
    let listed: Listed = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if listed.version != VERSION {
        let found = listed.version;
        return Err(format!("version {found}, expected {VERSION}"));
    }
    let entry = |Entry { example, clip }: Entry| match u64::from_str_radix(&example, 16) {
        Ok(example) => Ok((example, clip)),
        Err(_) => Err(format!(
            "\"{example}\" is no fingerprint of 16 hexadecimal digits"
        )),
    };
    let clips = listed
        .clips
        .into_iter()
        .map(entry)
        .collect::<Result<_, _>>()?;
    Ok(ClipLog { clips })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_found_by_example_and_changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::new(Some(folder.path().join("p.mtss"))).unwrap();
        assert_eq!(ClipLog::read(&profile).unwrap(), ClipLog::default());
        let clip = folder.path().join("a, \"b\".wav");
        std::fs::write(&clip, b"sound").unwrap();
        let mut log = ClipLog::default();
        log.insert(&[127, -1], SourceClip::of(&clip).unwrap());
        log.write(&profile.lock().unwrap()).unwrap();

        let log = ClipLog::read(&profile).unwrap();
        assert!(log.get(&[127, 1]).is_none());
        let known = log.get(&[127, -1]).unwrap();
        assert_eq!(
            (known.path.as_path(), known.state()),
            (clip.as_path(), ClipState::Kept)
        );
        std::fs::write(&clip, b"other").unwrap();
        assert_eq!(known.state(), ClipState::Changed);
        std::fs::remove_file(&clip).unwrap();
        assert_eq!(known.state(), ClipState::Gone);
    }

    #[test]
    fn what_is_no_list_is_said() {
        for (text, named) in [
            ("", "EOF"),
            (r#"{"version":2,"clips":[]}"#, "version 2, expected 1"),
            (
                r#"{"version":1,"clips":[{"example":"xyz","path":"/a","crc32":1}]}"#,
                "xyz",
            ),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
