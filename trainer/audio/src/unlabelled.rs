//! Any folders of recordings, for training without labels.

use super::cache::DecodeCache;
use super::error::AudioError;
use super::loading::{Skipped, entries, is_recording, load_paths};
use super::manifest::Rows;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

const LAYOUT: &str = "WAV, FLAC, Ogg Vorbis or MP3 files, in it or in folders below";

/// Which recordings may be used, by the `gpl` column of a folder's `manifest.csv`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Licences {
    /// All that are there; a manifest is not looked at.
    #[default]
    Any,
    /// Only those that the manifest lists with `gpl` = `no`: what a model that is passed on may
    /// learn from.
    NotGpl,
}

/// Recordings without labels.
#[derive(Clone, Debug)]
pub struct UnlabelledSet {
    /// The recordings, in the order of the folders given and of the names within.
    pub clips: Vec<PathBuf>,
}

impl UnlabelledSet {
    /// Finds every recording in `dirs` and the folders below, hidden entries left out.
    ///
    /// # Errors
    /// [`AudioError`]: a folder is missing, or there is no recording in it.
    pub fn open(dirs: &[impl AsRef<Path>]) -> Result<Self, AudioError> {
        Self::open_licensed(dirs, Licences::Any)
    }

    /// As [`open`](Self::open), and keeps only recordings under `licences`.
    ///
    /// # Errors
    /// As `open`; with [`Licences::NotGpl`] also a folder without a `manifest.csv` with the columns
    /// `path` and `gpl`, or one that names a file that is not there.
    pub fn open_licensed(
        dirs: &[impl AsRef<Path>],
        licences: Licences,
    ) -> Result<Self, AudioError> {
        let mut clips = Vec::new();
        for dir in dirs {
            let dir = dir.as_ref();
            if !dir.is_dir() {
                return Err(AudioError::NoFolder {
                    path: dir.to_owned(),
                    expected: LAYOUT,
                });
            }
            let before = clips.len();
            match licences {
                Licences::Any => walk(dir, &mut HashSet::new(), &mut clips)?,
                Licences::NotGpl => read_manifest(dir, &mut clips)?,
            }
            if clips.len() == before {
                return Err(AudioError::EmptyFolder {
                    path: dir.to_owned(),
                    expected: LAYOUT,
                });
            }
        }
        Ok(Self { clips })
    }

    /// Loads every recording at `sample_rate` Hz through `cache` on all cores. `progress` gets the number of
    /// recordings finished so far, from any thread.
    ///
    /// Gives the samples of those that could be read, in order, and those that could not: report
    /// them.
    pub fn load_all(
        &self,
        sample_rate: u32,
        cache: &DecodeCache,
        progress: impl Fn(usize) + Sync,
    ) -> (Vec<Vec<f32>>, Vec<Skipped>) {
        let paths: Vec<_> = self.clips.iter().map(PathBuf::as_path).collect();
        let (loaded, skipped) = load_paths(&paths, sample_rate, cache, progress);
        (
            loaded.into_iter().map(|(_, samples)| samples).collect(),
            skipped,
        )
    }
}

/// Recordings in `folder` and below. `seen` keeps links that lead back up from going on for ever.
fn walk(
    folder: &Path,
    seen: &mut HashSet<PathBuf>,
    clips: &mut Vec<PathBuf>,
) -> Result<(), AudioError> {
    let io = |source| AudioError::Io {
        path: folder.to_owned(),
        action: "read",
        source,
    };
    if !seen.insert(folder.canonicalize().map_err(io)?) {
        return Ok(());
    }
    for path in entries(folder)? {
        if path.is_dir() {
            walk(&path, seen, clips)?;
        } else if path.is_file() && is_recording(&path) {
            clips.push(path);
        }
    }
    Ok(())
}

fn read_manifest(dir: &Path, clips: &mut Vec<PathBuf>) -> Result<(), AudioError> {
    let manifest = dir.join("manifest.csv");
    if !manifest.is_file() {
        return Err(AudioError::NoLicences {
            path: dir.to_owned(),
        });
    }
    for row in Rows::open(&manifest, &["path", "gpl"])? {
        let row = row?;
        match row.get("gpl").unwrap_or("").to_ascii_lowercase().as_str() {
            "no" => (),
            "yes" => continue,
            other => {
                return Err(row.error(format!("gpl is \"{other}\""), "yes or no".into()));
            }
        }
        let path = dir.join(row.get("path").unwrap_or(""));
        if !path.is_file() {
            return Err(AudioError::ManifestFile {
                path: manifest,
                line: row.line,
                missing: path,
            });
        }
        clips.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::write_wav;
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn clip(dir: &Path, name: &str, samples: usize) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wav(&path, &vec![0.25; samples], 16_000).unwrap();
    }

    #[test]
    fn recordings_are_found_at_any_depth_and_loaded_in_order() {
        let dir = tempfile::tempdir().unwrap();
        clip(dir.path(), "b.wav", 1);
        clip(dir.path(), "a/deep/er.wav", 2);
        clip(dir.path(), ".hidden/c.wav", 3);
        fs::write(dir.path().join("broken.flac"), "oops").unwrap();
        fs::write(dir.path().join("readme.md"), "text").unwrap();
        // A recording without an extension, and a link that leads back up.
        clip(dir.path(), "z", 4);
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();

        let set = UnlabelledSet::open(&[dir.path()]).unwrap();
        assert_eq!(set.clips.len(), 4);
        let last = AtomicUsize::new(0);
        let progress = |done| _ = last.fetch_max(done, Ordering::Relaxed);
        let (samples, skipped) = set.load_all(16_000, &DecodeCache::NONE, progress);
        let lengths: Vec<_> = samples.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 4]);
        assert_eq!(skipped.len(), 1);
        assert!(skipped[0].path.ends_with("broken.flac"));
        assert_eq!(last.into_inner(), 4);
    }

    #[test]
    fn licences_are_minded_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        clip(dir.path(), "free.wav", 1);
        clip(dir.path(), "gpl.wav", 1);
        clip(dir.path(), "unlisted.wav", 1);
        let open = || UnlabelledSet::open_licensed(&[dir.path()], Licences::NotGpl);
        assert!(open().unwrap_err().to_string().contains("no manifest.csv"));
        let manifest = dir.path().join("manifest.csv");
        let rows = "path,source,seconds,kind,gpl\nfree.wav,x,1,y,no\ngpl.wav,x,1,y,yes\n";
        fs::write(&manifest, rows).unwrap();
        assert_eq!(open().unwrap().clips, [dir.path().join("free.wav")]);
        assert_eq!(UnlabelledSet::open(&[dir.path()]).unwrap().clips.len(), 3);
        fs::write(&manifest, rows.replace(",yes", ",perhaps")).unwrap();
        assert!(
            open()
                .unwrap_err()
                .to_string()
                .contains("line 3: gpl is \"perhaps\"")
        );
        fs::write(&manifest, rows.replace("free", "gone")).unwrap();
        assert!(open().unwrap_err().to_string().contains("gone.wav"));
    }

    #[test]
    fn a_folder_without_recordings_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let open = |dir: &Path| UnlabelledSet::open(&[dir]).unwrap_err().to_string();
        assert!(open(dir.path()).contains("no audio files"));
        assert!(open(&dir.path().join("none")).contains("no such folder"));
    }
}
