//! Finds recordings in folders of any shape, for training without labels.

use super::cache::DecodeCache;
use super::error::AudioError;
use super::loading::{Skipped, entries, is_recording, load_paths};
use super::manifest::{Row, Rows};
use super::recordings::Recordings;
use super::unlabelled_clip::{Manifest, UnlabelledClip};
use crate::shown::ShowPath;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

const LAYOUT: &str = "files of WAV, FLAC, MP3, AAC, ALAC, Vorbis, Opus, AIFF, CAF or WebM, in it or in folders below";

/// Name of a folder's manifest.
const MANIFEST: &str = "manifest.csv";

/// Recordings that may be used, by the column `gpl` of a folder's `manifest.csv` or, if it has none,
/// the column `licence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Licences {
    /// All recordings.
    #[default]
    Any,
    /// Only recordings that the manifest lists with `gpl` = `no`, or with a licence whose name does not
    /// contain `GPL`: a model that is to be distributed may learn from these.
    NotGpl,
}

/// Recordings without labels.
#[derive(Clone, Debug, Default)]
pub struct UnlabelledSet {
    /// The recordings, in the order of the folders given and of the names within.
    pub clips: Vec<UnlabelledClip>,
    /// The manifests that were read for them.
    pub manifests: Vec<Manifest>,
    /// Number of recordings that a manifest keeps out of training, by its column `split`.
    pub held_out: usize,
}

impl UnlabelledSet {
    /// Finds every recording in `dirs` and the folders below, without hidden entries. Manifests are not
    /// read.
    ///
    /// # Errors
    /// [`AudioError`]: a folder is missing, or there is no recording in it.
    pub fn open(dirs: &[impl AsRef<Path>]) -> Result<Self, AudioError> {
        let mut set = Self::default();
        for dir in dirs {
            set.add(dir.as_ref(), |_, dir, found| {
                walk(dir, &mut HashSet::new(), found, &mut Vec::new())
            })?;
        }
        Ok(set)
    }

    /// Finds the recordings in `dirs` to train on, under `licences`.
    ///
    /// With [`Licences::Any`] it finds the same recordings as [`open`](Self::open); a `manifest.csv`
    /// with the column `path` (relative to its folder) describes those that it lists. With
    /// [`Licences::NotGpl`] it takes only recordings that the `manifest.csv` of each of `dirs` lists.
    /// Further columns, each of which may be missing or have empty cells:
    ///
    /// | column | meaning |
    /// |---|---|
    /// | `same` | recordings with one value are recordings of the same thing |
    /// | `group` | the voice, kit or original recording; recordings of one thing are paired across groups |
    /// | `split` | `train`, the default; a recording with another value is left out |
    /// | `kind` | groups of one kind share a weight |
    /// | `gpl`, `licence` | see [`Licences`] |
    ///
    /// # Errors
    /// As `open`; also if every recording is left out, or a manifest cannot be read. With
    /// [`Licences::NotGpl`] also if a folder has no manifest that states licences, or a manifest names
    /// a missing file or a file twice.
    pub fn for_training(dirs: &[impl AsRef<Path>], licences: Licences) -> Result<Self, AudioError> {
        let mut set = Self::default();
        for dir in dirs {
            set.add(dir.as_ref(), |set, dir, found| match licences {
                Licences::Any => set.find_listed(dir, found),
                Licences::NotGpl => set.read_listed(dir, found),
            })?;
        }
        Ok(set)
    }

    /// Adds the recordings that `find` finds in `dir`.
    fn add(
        &mut self,
        dir: &Path,
        find: impl FnOnce(&mut Self, &Path, &mut Vec<UnlabelledClip>) -> Result<(), AudioError>,
    ) -> Result<(), AudioError> {
        if !dir.is_dir() {
            return Err(AudioError::NoFolder {
                path: dir.to_owned(),
                expected: LAYOUT,
            });
        }
        let mut found = Vec::new();
        find(self, dir, &mut found)?;
        if found.is_empty() {
            return Err(AudioError::EmptyFolder {
                path: dir.to_owned(),
                expected: LAYOUT,
            });
        }
        self.clips.append(&mut found);
        Ok(())
    }

    /// Finds every recording in `dir` and below, as the manifests there describe it.
    fn find_listed(
        &mut self,
        dir: &Path,
        found: &mut Vec<UnlabelledClip>,
    ) -> Result<(), AudioError> {
        let mut manifests = Vec::new();
        let mut all = Vec::new();
        walk(dir, &mut HashSet::new(), &mut all, &mut manifests)?;
        let mut listed = HashMap::new();
        for manifest in manifests {
            let rows = Rows::open(&manifest, &[])?;
            // A labelled set has a manifest of another kind.
            if rows.has("path") {
                let index = self.add_manifest(manifest, &rows);
                for row in rows {
                    let clip = Listed::read(&row?, index);
                    listed.insert(clip.clip.path.clone(), clip);
                }
            }
        }
        for clip in all {
            match listed.remove(&clip.path) {
                None => found.push(clip),
                Some(listed) => self.keep(listed, found),
            }
        }
        Ok(())
    }

    /// Finds the recordings that the manifest of `dir` lists and that are not under the GPL.
    fn read_listed(
        &mut self,
        dir: &Path,
        found: &mut Vec<UnlabelledClip>,
    ) -> Result<(), AudioError> {
        let manifest = dir.join(MANIFEST);
        if !manifest.exists() {
            return Err(AudioError::NoLicences {
                path: dir.to_owned(),
            });
        }
        let rows = Rows::open(&manifest, &["path"])?;
        let rows = match rows.has("gpl") || rows.has("licence") {
            true => rows,
            // Gives the error that names the missing column.
            false => Rows::open(&manifest, &["gpl"])?,
        };
        let index = self.add_manifest(manifest.clone(), &rows);
        let mut seen = HashSet::new();
        for row in rows {
            let row = row?;
            if is_gpl(&row)? {
                continue;
            }
            let listed = Listed::read(&row, index);
            let path = &listed.clip.path;
            if !path.is_file() {
                return Err(AudioError::ManifestFile {
                    path: manifest,
                    line: row.line,
                    missing: path.clone(),
                });
            }
            if !seen.insert(path.clone()) {
                let found = format!("{} for the second time", path.shown());
                return Err(row.error(found, "one line for each recording".into()));
            }
            self.keep(listed, found);
        }
        Ok(())
    }

    /// Adds a manifest and returns its index.
    fn add_manifest(&mut self, path: PathBuf, rows: &Rows) -> usize {
        let same = rows.has("same");
        self.manifests.push(Manifest { path, same });
        self.manifests.len() - 1
    }

    /// Keeps a recording, or counts it as held out.
    fn keep(&mut self, listed: Listed, found: &mut Vec<UnlabelledClip>) {
        match listed.trains {
            true => found.push(listed.clip),
            false => self.held_out += 1,
        }
    }

    /// Loads every recording at `sample_rate` Hz through `cache` on all cores. `progress` gets the number of
    /// recordings finished so far, from any thread.
    ///
    /// Returns the recordings that could be read, in order, and the files that could not. The caller
    /// should report these.
    pub fn load_all(
        &self,
        sample_rate: u32,
        cache: &DecodeCache,
        progress: impl Fn(usize) + Sync,
    ) -> (Recordings, Vec<Skipped>) {
        let paths: Vec<_> = self.clips.iter().map(|clip| clip.path.as_path()).collect();
        let (loaded, skipped) = load_paths(&paths, sample_rate, cache, progress);
        let loaded = loaded.into_iter();
        let loaded = loaded.map(|(index, samples)| (self.clips[index].clone(), samples));
        (Recordings::new(loaded, self.manifests.clone()), skipped)
    }
}

/// A row of a manifest.
struct Listed {
    clip: UnlabelledClip,
    trains: bool,
}

impl Listed {
    /// Reads a row of manifest number `manifest`.
    fn read(row: &Row, manifest: usize) -> Self {
        let filled = |column| row.get(column).filter(|text: &&str| !text.is_empty());
        Self {
            clip: UnlabelledClip {
                path: row.folder().join(row.get("path").unwrap_or("")),
                same: filled("same").map(|name| (manifest, name.to_owned())),
                kind: filled("kind").map(str::to_owned),
                group: filled("group").map(str::to_owned),
            },
            trains: filled("split").is_none_or(|split| split == "train"),
        }
    }
}

/// Tells whether a row's recording is under the GPL, by the column `gpl` or else `licence`.
fn is_gpl(row: &Row) -> Result<bool, AudioError> {
    let cell = |column| row.get(column).map(str::to_ascii_lowercase);
    match (cell("gpl").as_deref(), cell("licence").as_deref()) {
        (Some("no"), _) => Ok(false),
        (Some("yes"), _) => Ok(true),
        (Some(other), _) => Err(row.error(format!("gpl is \"{other}\""), "yes or no".into())),
        (None, Some("") | None) => {
            Err(row.error("licence is empty".into(), "a licence's name".into()))
        }
        (None, Some(licence)) => Ok(licence.contains("gpl")),
    }
}

/// Lists the recordings in `folder` and the folders below it, sorted by name; hidden ones are left out.
///
/// # Errors
/// [`AudioError::Io`] if a folder cannot be read.
pub fn recordings_below(folder: &Path) -> Result<Vec<PathBuf>, AudioError> {
    let mut clips = Vec::new();
    walk(folder, &mut HashSet::new(), &mut clips, &mut Vec::new())?;
    Ok(clips.into_iter().map(|clip| clip.path).collect())
}

/// Finds the recordings and manifests in `folder` and below. `seen` keeps a link to a parent folder
/// from causing an endless loop.
fn walk(
    folder: &Path,
    seen: &mut HashSet<PathBuf>,
    clips: &mut Vec<UnlabelledClip>,
    manifests: &mut Vec<PathBuf>,
) -> Result<(), AudioError> {
    let io = |error| AudioError::Io {
        path: folder.to_owned(),
        action: "read",
        error,
    };
    if !seen.insert(folder.canonicalize().map_err(io)?) {
        return Ok(());
    }
    for path in entries(folder)? {
        if path.is_dir() {
            walk(&path, seen, clips, manifests)?;
        } else if path.ends_with(MANIFEST) {
            manifests.push(path);
        } else if path.is_file() && is_recording(&path) {
            clips.push(UnlabelledClip {
                path,
                same: None,
                kind: None,
                group: None,
            });
        }
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
        let (loaded, skipped) = set.load_all(16_000, &DecodeCache::NONE, progress);
        let lengths: Vec<_> = loaded
            .clips
            .iter()
            .map(super::super::samples::Samples::len)
            .collect();
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
        let open = || UnlabelledSet::for_training(&[dir.path()], Licences::NotGpl);
        let paths = |set: UnlabelledSet| -> Vec<PathBuf> {
            set.clips.into_iter().map(|clip| clip.path).collect()
        };
        assert!(open().unwrap_err().to_string().contains("no manifest.csv"));
        let manifest = dir.path().join("manifest.csv");
        let rows = "path,source,seconds,kind,gpl\nfree.wav,x,1,y,no\ngpl.wav,x,1,y,yes\n";
        fs::write(&manifest, rows).unwrap();
        assert_eq!(paths(open().unwrap()), [dir.path().join("free.wav")]);
        assert_eq!(UnlabelledSet::open(&[dir.path()]).unwrap().clips.len(), 3);
        let any = UnlabelledSet::for_training(&[dir.path()], Licences::Any);
        assert_eq!(any.unwrap().clips.len(), 3);
        fs::write(&manifest, rows.replace(",yes", ",perhaps")).unwrap();
        assert!(
            open()
                .unwrap_err()
                .to_string()
                .contains("line 3: gpl is \"perhaps\"")
        );
        fs::write(&manifest, rows.replace("free", "gone")).unwrap();
        assert!(open().unwrap_err().to_string().contains("gone.wav"));
        fs::write(&manifest, format!("{rows}free.wav,x,1,y,no\n")).unwrap();
        let twice = open().unwrap_err().to_string();
        assert!(
            twice.contains("line 4: ") && twice.contains("second time"),
            "{twice}"
        );

        let licences = "path,licence\nfree.wav,CC BY-SA 4.0\ngpl.wav,LGPL-2.1+\n";
        fs::write(&manifest, licences).unwrap();
        assert_eq!(paths(open().unwrap()), [dir.path().join("free.wav")]);
        fs::write(&manifest, licences.replace("CC BY-SA 4.0", "")).unwrap();
        let empty = open().unwrap_err().to_string();
        assert!(empty.contains("line 2: licence is empty"), "{empty}");
        fs::write(&manifest, "path\nfree.wav\n").unwrap();
        assert!(open().unwrap_err().to_string().contains("column gpl"));
    }

    #[test]
    fn a_manifest_says_what_is_the_same_and_what_is_held_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a1", "a2", "a3", "b1", "c1", "c2", "unlisted"] {
            clip(dir.path(), &format!("words/{name}.wav"), 1);
        }
        // Another folder's values are its own.
        clip(dir.path(), "other/a1.wav", 1);
        let rows = "path,kind,licence,same,split\na1.wav,word,CC0,a,\na2.wav,word,CC0,a,train\n\
                    a3.wav,word,CC0,a,choose\nb1.wav,word,CC0,b,\nc1.wav,drum,CC0,c,\nc2.wav,drum,CC0,c,\n";
        fs::write(dir.path().join("words/manifest.csv"), rows).unwrap();
        fs::write(
            dir.path().join("other/manifest.csv"),
            "path,same\na1.wav,a\n",
        )
        .unwrap();
        // The manifest of a labelled set does not count.
        fs::write(dir.path().join("manifest.csv"), "class,clip\nx,gone.wav\n").unwrap();

        let set = UnlabelledSet::for_training(&[dir.path()], Licences::Any).unwrap();
        assert_eq!((set.clips.len(), set.held_out), (7, 1));
        assert_eq!(UnlabelledSet::open(&[dir.path()]).unwrap().clips.len(), 8);
        let names: Vec<&Path> = set
            .clips
            .iter()
            .map(|clip| clip.path.strip_prefix(dir.path()).unwrap())
            .collect();
        let (loaded, skipped) = set.load_all(16_000, &DecodeCache::NONE, |_| ());
        assert!(skipped.is_empty());
        let groups: Vec<_> = loaded
            .groups
            .iter()
            .map(|group| {
                let members = group
                    .members
                    .iter()
                    .map(|m| names[m.clip].to_str().unwrap());
                (
                    &group.name[..],
                    &group.kind[..],
                    members.collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(
            groups,
            [
                ("a", "word", vec!["words/a1.wav", "words/a2.wav"]),
                ("c", "drum", vec!["words/c1.wav", "words/c2.wav"]),
            ]
        );
        assert_eq!((loaded.grouped(), loaded.total_samples()), (4, 7));
        let manifests: Vec<bool> = loaded.manifests.iter().map(|m| m.same).collect();
        assert_eq!(manifests, [true, true]);

        // The same where the manifest decides what is used.
        let words = [dir.path().join("words")];
        let listed = UnlabelledSet::for_training(&words, Licences::NotGpl).unwrap();
        assert_eq!((listed.clips.len(), listed.held_out), (5, 1));
        // A recording that cannot be read leaves its group, and a group of one is none.
        fs::write(dir.path().join("words/c2.wav"), "oops").unwrap();
        let (loaded, skipped) = listed.load_all(16_000, &DecodeCache::NONE, |_| ());
        assert_eq!((loaded.groups.len(), skipped.len()), (1, 1));
    }

    #[test]
    fn a_folder_without_recordings_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let open = |dir: &Path| UnlabelledSet::open(&[dir]).unwrap_err().to_string();
        assert!(open(dir.path()).contains("no audio files"));
        assert!(open(&dir.path().join("none")).contains("no such folder"));
    }
}
