//! A profile in a folder, with the recordings that its examples were made of.

use super::clips::{ClipLog, ClipState, SourceClip};
use super::error::ProfileError;
use super::file::{LockedProfile, Profile, Snapshot};
use mtslvr_audio::atomic_file::UnfinishedFolder;
use mtslvr_runtime::fewshot::SupportSet;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Name of the profile in the folder.
const PROFILE: &str = "profile.mtss";
/// Name of the folder of recordings, behind that of the profile.
const CLIPS: &str = "clips";
/// Longest name of a recording that is kept, bytes: systems take 255, and a checksum stands before it.
const LONGEST_NAME: usize = 200;

/// A backup: a folder that holds a profile, which can be used as it lies there, and its recordings.
#[derive(Clone, Debug)]
pub struct Backup {
    profile: Profile,
}

/// Account of the recordings that were copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Recordings.
    pub clips: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Examples whose recording is not known, gone or changed.
    pub missing: usize,
}

impl Backup {
    /// Names the backup in `folder`.
    ///
    /// # Errors
    /// [`ProfileError::Io`] if the folder holds no profile.
    pub fn open(folder: &Path) -> Result<Self, ProfileError> {
        let path = folder.join(PROFILE);
        fs::metadata(&path).map_err(failed(&path, "read"))?;
        let profile = Profile::new(Some(path))?;
        Ok(Self { profile })
    }

    /// Makes `folder` a backup of `snapshot`, whose examples are `support` and whose other files lie beside `profile`.
    /// The folder may exist if it is empty. After an error it is as it was.
    ///
    /// # Errors
    /// [`ProfileError`] if a file cannot be read or written.
    pub fn write(
        folder: &Path,
        snapshot: &Snapshot,
        support: &SupportSet,
        profile: &Profile,
    ) -> Result<Copied, ProfileError> {
        let unfinished = UnfinishedFolder::private(folder).map_err(failed(folder, "made"))?;
        let backup = Profile::new(Some(unfinished.path().join(PROFILE)))?;
        let log = ClipLog::read(profile)?;
        let (log, copied) = copy(&log, support, &backup.beside(CLIPS))?;
        log.write_beside(&backup)?;
        let note = profile.backbone_note();
        match fs::copy(&note, backup.backbone_note()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed(&note, "copied")(error));
            }
            _ => {}
        }
        snapshot.write(backup.path())?;
        unfinished.finish().map_err(failed(folder, "made"))?;
        Ok(copied)
    }

    /// Returns its profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Reads its profile.
    ///
    /// # Errors
    /// [`ProfileError`] if it cannot be read, or is not an intact snapshot.
    pub fn snapshot(&self) -> Result<Snapshot, ProfileError> {
        Snapshot::read(self.profile.path())
    }

    /// Copies its recordings of the examples in `support` into a folder beside `profile`, and adds them to the list
    /// there. To be done before the snapshot is written.
    ///
    /// # Errors
    /// [`ProfileError`] if a file cannot be read or written.
    pub fn restore_clips(
        &self,
        support: &SupportSet,
        profile: &LockedProfile,
    ) -> Result<Copied, ProfileError> {
        let log = ClipLog::read(&self.profile)?;
        let (new, copied) = copy(&log, support, &profile.profile().beside(CLIPS))?;
        let mut log = ClipLog::read(profile.profile())?;
        log.extend(&new);
        log.write(profile)?;
        Ok(copied)
    }
}

/// Copies the recordings of `support` into `folder`, under their checksums and names, and lists the copies.
fn copy(
    log: &ClipLog,
    support: &SupportSet,
    folder: &Path,
) -> Result<(ClipLog, Copied), ProfileError> {
    let mut new = ClipLog::default();
    let mut copied = Copied::default();
    // A recording may have given several examples.
    let mut there: BTreeMap<u32, PathBuf> = BTreeMap::new();
    let classes = support.classes().iter();
    for example in classes.flat_map(|class| support.examples(class.id())) {
        let clip = log.get(example);
        let Some(clip) = clip.filter(|clip| clip.state() == ClipState::Kept) else {
            copied.missing += 1;
            continue;
        };
        let path = match there.get(&clip.crc32) {
            Some(path) => path.clone(),
            None => {
                let path = folder.join(name(clip));
                let copy = SourceClip {
                    path: path.clone(),
                    ..clip.clone()
                };
                // What is there already may be the recording itself.
                if copy.state() != ClipState::Kept {
                    fs::create_dir_all(folder).map_err(failed(folder, "made"))?;
                    fs::copy(&clip.path, &path).map_err(failed(&path, "written"))?;
                }
                copied.bytes += fs::metadata(&path).map_err(failed(&path, "read"))?.len();
                copied.clips += 1;
                there.insert(clip.crc32, path.clone());
                path
            }
        };
        let clip = SourceClip {
            path,
            ..clip.clone()
        };
        new.insert(example, clip);
    }
    Ok((new, copied))
}

/// Returns the name of a copy: two recordings of one name are apart by their checksums.
fn name(clip: &SourceClip) -> String {
    let name = clip.path.file_name().unwrap_or_default().to_str();
    let checksum = clip.crc32;
    // A copy of a copy has one checksum.
    match name.filter(|name| name.len() <= LONGEST_NAME) {
        Some(name) if name.starts_with(&format!("{checksum:08x}")) => name.to_owned(),
        Some(name) => format!("{checksum:08x}-{name}"),
        None => format!("{checksum:08x}"),
    }
}

fn failed(path: &Path, action: &'static str) -> impl Fn(io::Error) -> ProfileError {
    move |error| ProfileError::Io {
        path: path.to_owned(),
        action,
        error,
    }
}
