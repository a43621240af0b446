//! Reads a profile's file whole and replaces it whole; one process at a time may change it.

use super::error::ProfileError;
use super::memory::Memory;
use super::place::default_path;
use mtslvr_audio::atomic_file::{be_like, write_bytes, write_bytes_like};
use mtslvr_audio::{must_be_regular_or_new, read_bounded};
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::fewshot::persist::{self, RestoreError, SnapshotHeader};
use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest time to wait for the lock. A process holds it only for the moment of a change.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest file of a profile that is read, 64 MiB: 1024 examples of 65,535 values.
pub(super) const MOST_BYTES: u64 = 1 << 26;

/// Time between two attempts at the lock.
const PAUSE: Duration = Duration::from_millis(10);

/// A profile by its path; the file need not exist.
#[derive(Clone, Debug)]
pub struct Profile {
    path: PathBuf,
}

impl Profile {
    /// Names the profile at `path`, or else at [`default_path`]. A link is followed, so that it stays a
    /// link when the profile is replaced.
    ///
    /// # Errors
    /// [`ProfileError::NoPlace`] if there is no path and no default.
    pub fn new(path: Option<PathBuf>) -> Result<Self, ProfileError> {
        let path = match path {
            Some(path) => path,
            None => default_path()?,
        };
        let path = path.canonicalize().unwrap_or(path);
        Ok(Self { path })
    }

    /// Returns the path of its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the snapshot that it holds now; `None` if there is no file. Reading needs no lock: the
    /// file is whole at every moment.
    ///
    /// # Errors
    /// [`ProfileError`] if the file cannot be read, or is not an intact snapshot.
    pub fn read(&self) -> Result<Option<Snapshot>, ProfileError> {
        match Snapshot::read(&self.path) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(ProfileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until no other process changes the profile, and keeps others from changing it until the
    /// result is dropped. The lock is on a file beside the profile, because a change replaces the
    /// profile's own file.
    ///
    /// # Errors
    /// [`ProfileError::Busy`] after ten seconds; [`ProfileError::Io`] if the folder or the lock's
    /// file cannot be made.
    pub fn lock(&self) -> Result<LockedProfile<'_>, ProfileError> {
        let path = self.beside("lock");
        let io = |action| {
            let path = path.clone();
            move |error| ProfileError::Io {
                path,
                action,
                error,
            }
        };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(io("made"))?;
        }
        must_be_regular_or_new(&path).map_err(io("locked"))?;
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(io("made"))?;
        // Whoever may change the profile may lock it, whoever changed it first.
        be_like(&lock, &self.path).map_err(io("made"))?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(ProfileError::Busy {
                        path: path.clone(),
                        seconds: PATIENCE.as_secs(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(io("locked")(source)),
            }
        }
        Ok(LockedProfile {
            profile: self,
            _lock: lock,
        })
    }

    /// Path of the note on the backbone.
    pub(super) fn backbone_note(&self) -> PathBuf {
        self.beside("backbone.json")
    }

    /// Path of the list of recordings that the examples were made of.
    pub(super) fn clip_log(&self) -> PathBuf {
        self.beside("clips.json")
    }

    /// Writes a file that is as private as the profile.
    pub(super) fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<(), ProfileError> {
        write_bytes_like(path, &self.path, bytes).map_err(|error| ProfileError::Io {
            path: path.to_owned(),
            action: "written",
            error,
        })
    }

    /// Path of a file that belongs to the profile: its name with `ending` behind it.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        name.into()
    }
}

/// A profile that only this process changes.
#[derive(Debug)]
pub struct LockedProfile<'p> {
    profile: &'p Profile,
    /// Unlocked when it is closed, also when the process dies.
    _lock: File,
}

impl LockedProfile<'_> {
    /// Returns the profile.
    pub fn profile(&self) -> &Profile {
        self.profile
    }

    /// Replaces the profile's contents by those of `learner`. If that fails, or the power goes, the old
    /// contents stay.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn write(&self, learner: &Learner) -> Result<(), ProfileError> {
        self.write_snapshot(&Snapshot::of(learner, &self.profile.path))
    }

    /// Replaces the profile's contents by a snapshot, byte for byte.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn write_snapshot(&self, snapshot: &Snapshot) -> Result<(), ProfileError> {
        let old = match self.profile.read() {
            // Before the first change nothing was taught.
            Ok(None) => Some(Snapshot::empty(&snapshot.header(), &self.profile.path)),
            // A damaged profile is nothing to go back to.
            old => old.ok().flatten(),
        };
        if let Some(old) = old
            && old.bytes != snapshot.bytes
        {
            let before = self.profile.beside("before");
            self.profile.write_private(&before, &old.bytes)?;
        }
        snapshot.write(&self.profile.path)
    }

    /// Takes back the last change, and returns what the profile holds again; `None` if no change is known.
    /// Done twice, it changes nothing.
    ///
    /// # Errors
    /// [`ProfileError`] if a file cannot be read or written.
    pub fn undo(&self) -> Result<Option<Snapshot>, ProfileError> {
        let path = self.profile.beside("before");
        let before = match Snapshot::read(&path) {
            Err(ProfileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            before => before?,
        };
        self.write_snapshot(&before)?;
        Ok(Some(before))
    }
}

/// A snapshot whose structure and checksum have been found right.
#[derive(Clone, Debug)]
pub struct Snapshot {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Snapshot {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ProfileError::Io`] or [`ProfileError::Snapshot`].
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let bytes = read_bounded(path, MOST_BYTES).map_err(|error| ProfileError::Io {
            path: path.to_owned(),
            action: "read",
            error,
        })?;
        Self::new(bytes, path).map_err(|error| ProfileError::Snapshot {
            path: path.to_owned(),
            error,
        })
    }

    /// Reads a snapshot from `reader`, which messages call `name`.
    ///
    /// # Errors
    /// [`ProfileError::Io`] or [`ProfileError::Snapshot`].
    pub fn from_reader(reader: impl Read, name: &Path) -> Result<Self, ProfileError> {
        let mut bytes = Vec::new();
        let read = reader.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        let read = read.and_then(|count| match count as u64 {
            0..=MOST_BYTES => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {MOST_BYTES} bytes"),
            )),
        });
        read.map_err(|error| ProfileError::Io {
            path: name.to_owned(),
            action: "read",
            error,
        })?;
        Self::new(bytes, name).map_err(|error| ProfileError::Snapshot {
            path: name.to_owned(),
            error,
        })
    }

    /// Makes a snapshot of everything that `learner` was taught; messages call it `path`.
    pub fn of(learner: &Learner, path: &Path) -> Self {
        let mut bytes = vec![0; persist::snapshot_len(learner.support())];
        persist::export(learner, &mut bytes).expect("the buffer is as long as was asked");
        Self::new(bytes, path).expect("what has just been exported reads")
    }

    /// Makes a snapshot of nothing, under the backbone of `header`.
    fn empty(header: &SnapshotHeader<'_>, path: &Path) -> Self {
        Self::of(&Memory::for_snapshot(header).learner(), path)
    }

    fn new(bytes: Vec<u8>, path: &Path) -> Result<Self, RestoreError> {
        SnapshotHeader::read(&bytes)?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }

    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes it to `path`: all of it or nothing.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ProfileError> {
        write_bytes(path, &self.bytes).map_err(|error| ProfileError::Io {
            path: path.to_owned(),
            action: "written",
            error,
        })
    }

    /// Writes it to `path` as [`Self::write`] does, as private as `profile`, of which it is a copy.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn write_copy(&self, path: &Path, profile: &Profile) -> Result<(), ProfileError> {
        profile.write_private(path, &self.bytes)
    }

    /// Describes the snapshot.
    pub fn header(&self) -> SnapshotHeader<'_> {
        SnapshotHeader::read(&self.bytes).expect("checked when the snapshot was read")
    }

    /// Makes `learner` hold it. [`Learner::fit`] is due afterwards.
    ///
    /// # Errors
    /// [`ProfileError::Snapshot`], also if the learner is for another backbone; it then is as it was.
    pub fn restore(&self, learner: &mut Learner) -> Result<(), ProfileError> {
        persist::import(learner, &self.bytes).map_err(|error| ProfileError::Snapshot {
            path: self.path.clone(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;
    use mtslvr_runtime::space::{BackboneId, Part, Parts};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn header() -> SnapshotHeader<'static> {
        let part = |name| Part {
            name,
            len: 1,
            share: 0.5,
        };
        SnapshotHeader {
            backbone: BackboneId::new([7; 32]),
            parts: Parts::new([part("invariant"), part("equivariant")]).unwrap(),
            classes: 0,
            examples: 0,
        }
    }

    #[test]
    fn what_was_written_is_read_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::new(Some(folder.path().join("new/p.mtss"))).unwrap();
        assert!(profile.read().unwrap().is_none());
        let mut memory = Memory::for_snapshot(&header());
        let mut learner = memory.learner();
        learner.enrol("kettle", &[1.0, -1.0]).unwrap();
        profile.lock().unwrap().write(&learner).unwrap();

        let snapshot = profile.read().unwrap().unwrap();
        assert_eq!(
            (snapshot.header().backbone, snapshot.header().examples),
            (header().backbone, 1)
        );
        let mut memory = Memory::for_snapshot(&snapshot.header());
        let mut restored = memory.learner();
        snapshot.restore(&mut restored).unwrap();
        assert_eq!(restored.support(), learner.support());

        // The first change can be taken back, too, and be made again.
        let undone = profile.lock().unwrap().undo().unwrap().unwrap();
        assert_eq!(undone.header(), header());
        let again = profile.lock().unwrap().undo().unwrap().unwrap();
        assert_eq!(again.as_bytes(), snapshot.as_bytes());

        let mut bytes = std::fs::read(profile.path()).unwrap();
        bytes[30] ^= 1;
        std::fs::write(profile.path(), &bytes).unwrap();
        let error = profile.read().unwrap_err().to_string();
        assert!(
            error.contains("p.mtss") && error.contains("damaged"),
            "{error}"
        );
    }

    #[test]
    fn a_second_lock_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::new(Some(folder.path().join("p.mtss"))).unwrap();
        let first = profile.lock().unwrap();
        let released = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _second = profile.lock().unwrap();
                assert!(released.load(Ordering::SeqCst));
            });
            std::thread::sleep(Duration::from_millis(50));
            released.store(true, Ordering::SeqCst);
            drop(first);
        });
    }
}
