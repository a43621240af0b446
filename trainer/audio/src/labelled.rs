//! A labelled set: `DIR/<class>/<clip>`, with an optional `manifest.csv`.

use super::cache::DecodeCache;
use super::error::AudioError;
use super::loading::{Skipped, entries, is_recording, load_paths};
use super::manifest::Rows;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LAYOUT: &str = "one folder per class with its clips inside (DIR/<class>/<clip>)";

/// Recordings sorted into classes.
#[derive(Clone, Debug)]
pub struct LabelledSet {
    /// Name of the folder.
    pub name: String,
    /// Names of the classes, in alphabetical order.
    pub classes: Vec<String>,
    /// The clips, class after class, each class in the order of the manifest or of the names.
    pub clips: Vec<LabelledClip>,
}

/// One recording of a [`LabelledSet`].
#[derive(Clone, Debug)]
pub struct LabelledClip {
    /// Path of the file.
    pub path: PathBuf,
    /// Index into [`LabelledSet::classes`].
    pub class: usize,
    /// Group by the manifest: speaker, player, kit or original recording. Support and queries never
    /// share a group.
    pub group: Option<String>,
    /// Length by the manifest.
    pub seconds: Option<f32>,
}

impl LabelledSet {
    /// Finds the clips of the set in `dir`. With a `manifest.csv` (header with the columns
    /// `class`, `clip` and, if known, `group` and `seconds`) the set is what it lists; without one
    /// it is every recording in every folder. Hidden entries are ignored.
    ///
    /// # Errors
    /// [`AudioError`]: the folder is missing or holds no clips, the manifest cannot be read or
    /// names a file that is not there.
    pub fn open(dir: &Path) -> Result<Self, AudioError> {
        if !dir.is_dir() {
            return Err(AudioError::NoFolder {
                path: dir.to_owned(),
                expected: LAYOUT,
            });
        }
        let manifest = dir.join("manifest.csv");
        let by_class = if manifest.exists() {
            read_manifest(dir, &manifest)?
        } else {
            read_folders(dir)?
        };
        let mut set = Self {
            name: name_of(dir),
            classes: Vec::new(),
            clips: Vec::new(),
        };
        for (name, clips) in by_class {
            let class = set.classes.len();
            set.classes.push(name);
            set.clips
                .extend(clips.into_iter().map(|clip| LabelledClip { class, ..clip }));
        }
        if set.clips.is_empty() {
            return Err(AudioError::EmptyFolder {
                path: dir.to_owned(),
                expected: LAYOUT,
            });
        }
        Ok(set)
    }

    /// Opens each of `folders` as a set or, if it holds no clips of its own, as a folder of sets.
    ///
    /// # Errors
    /// As [`open`](Self::open); also a folder with neither clips nor sets.
    pub fn open_all(folders: &[PathBuf]) -> Result<Vec<Self>, AudioError> {
        let mut sets = Vec::new();
        for folder in folders {
            let not_a_set = match Self::open(folder) {
                Ok(set) => {
                    sets.push(set);
                    continue;
                }
                Err(error @ AudioError::EmptyFolder { .. }) => error,
                Err(error) => return Err(error),
            };
            let before = sets.len();
            for path in entries(folder)?.iter().filter(|path| path.is_dir()) {
                match Self::open(path) {
                    Ok(set) => sets.push(set),
                    Err(AudioError::EmptyFolder { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if sets.len() == before {
                return Err(not_a_set);
            }
        }
        Ok(sets)
    }

    /// Loads every clip at `sample_rate` Hz through `cache` on all cores. `progress` gets the number of clips
    /// finished so far, from any thread.
    ///
    /// Returns the index into [`clips`](Self::clips) and the samples of each clip that could be read,
    /// in order, and the files that could not. The caller should report these: they are missing from
    /// the set.
    pub fn load_all(
        &self,
        sample_rate: u32,
        cache: &DecodeCache,
        progress: impl Fn(usize) + Sync,
    ) -> (Vec<(usize, Vec<f32>)>, Vec<Skipped>) {
        let paths: Vec<_> = self.clips.iter().map(|clip| clip.path.as_path()).collect();
        let (loaded, skipped) = load_paths(&paths, sample_rate, cache, progress);
        let floats = loaded.into_iter();
        let floats = floats.map(|(index, samples)| (index, samples.to_vec()));
        (floats.collect(), skipped)
    }
}

/// Returns the folder's own name, also for `.` and the like.
fn name_of(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = full.file_name().unwrap_or(dir.as_os_str());
    name.to_string_lossy().into_owned()
}

type ByClass = BTreeMap<String, Vec<LabelledClip>>;

fn read_folders(dir: &Path) -> Result<ByClass, AudioError> {
    let mut by_class = ByClass::new();
    for folder in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        let clips: Vec<_> = entries(&folder)?
            .into_iter()
            .filter(|path| path.is_file() && is_recording(path))
            .map(|path| LabelledClip {
                path,
                class: 0,
                group: None,
                seconds: None,
            })
            .collect();
        if !clips.is_empty() {
            by_class.insert(name_of(&folder), clips);
        }
    }
    Ok(by_class)
}

fn read_manifest(dir: &Path, manifest: &Path) -> Result<ByClass, AudioError> {
    let mut by_class = ByClass::new();
    for row in Rows::open(manifest, &["class", "clip"])? {
        let row = row?;
        let (class, clip) = (
            row.get("class").unwrap_or(""),
            row.get("clip").unwrap_or(""),
        );
        if class.is_empty() || clip.is_empty() {
            return Err(row.error(
                "an empty class or clip".into(),
                "a name in both columns".into(),
            ));
        }
        let path = dir.join(class).join(clip);
        if !path.is_file() {
            return Err(AudioError::ManifestFile {
                path: manifest.to_owned(),
                line: row.line,
                missing: path,
            });
        }
        let filled = |column| row.get(column).filter(|text: &&str| !text.is_empty());
        let seconds = match filled("seconds").map(str::parse::<f32>) {
            None => None,
            Some(Ok(seconds)) if seconds.is_finite() && seconds >= 0.0 => Some(seconds),
            Some(_) => {
                let found = format!("seconds is \"{}\"", row.get("seconds").unwrap_or(""));
                return Err(row.error(found, "a number of seconds".into()));
            }
        };
        let group = filled("group").map(str::to_owned);
        let clip = LabelledClip {
            path,
            class: 0,
            group,
            seconds,
        };
        by_class.entry(class.to_owned()).or_default().push(clip);
    }
    Ok(by_class)
}

#[cfg(test)]
mod tests {
    use super::super::write_wav;
    use super::*;
    use std::fs;

    fn clip(dir: &Path, name: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wav(&path, &[0.25; 1600], 16_000).unwrap();
    }

    #[test]
    fn a_set_and_a_folder_of_sets_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b/x/1.wav", "b/y/1.wav", "a/x/1.wav"] {
            clip(root.path(), name);
        }
        let names = |folders: &[PathBuf]| -> Vec<String> {
            let sets = LabelledSet::open_all(folders).unwrap();
            sets.into_iter().map(|set| set.name).collect()
        };
        assert_eq!(names(&[root.path().to_owned()]), ["a", "b"]);
        assert_eq!(
            names(&[root.path().join("b"), root.path().join("a")]),
            ["b", "a"]
        );
        fs::create_dir(root.path().join("empty")).unwrap();
        assert_eq!(names(&[root.path().to_owned()]), ["a", "b"]);
        for wrong in ["empty", "missing"] {
            let error = LabelledSet::open_all(&[root.path().join(wrong)]).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn folders_are_classes_and_hidden_files_are_not_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b/2.wav",
            "b/1.wav",
            "a/x.wav",
            ".cache/y.wav",
            "a/.z.wav",
            "loose.wav",
        ] {
            clip(dir.path(), name);
        }
        fs::write(dir.path().join("a/notes.txt"), "not a clip").unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        let set = LabelledSet::open(dir.path()).unwrap();
        assert_eq!(set.classes, ["a", "b"]);
        let names: Vec<_> = set
            .clips
            .iter()
            .map(|clip| (clip.class, clip.path.file_name().unwrap().to_str().unwrap()))
            .collect();
        assert_eq!(names, [(0, "x.wav"), (1, "1.wav"), (1, "2.wav")]);
        assert_eq!(set.name, name_of(dir.path()));
    }

    #[test]
    fn the_manifest_is_the_set() {
        let dir = tempfile::tempdir().unwrap();
        clip(dir.path(), "dog, big/1.wav");
        clip(dir.path(), "dog, big/2.wav");
        clip(dir.path(), "cat/1.wav");
        fs::write(
            dir.path().join("manifest.csv"),
            "clip,class,group,seconds\n1.wav,\"dog, big\",\"the \"\"red\"\" one\",0.1\n1.wav,cat,,\n",
        )
        .unwrap();
        let set = LabelledSet::open(dir.path()).unwrap();
        assert_eq!(set.classes, ["cat", "dog, big"]);
        assert_eq!(set.clips.len(), 2);
        assert_eq!((&set.clips[0].group, set.clips[0].seconds), (&None, None));
        assert_eq!(set.clips[1].group.as_deref(), Some("the \"red\" one"));
        assert_eq!(set.clips[1].seconds, Some(0.1));
    }

    #[test]
    fn what_is_wrong_with_a_set_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = |dir: &Path| LabelledSet::open(dir).unwrap_err().to_string();
        assert!(error(&dir.path().join("none")).contains("no such folder"));
        assert!(error(dir.path()).contains("no audio files"));
        clip(dir.path(), "a/1.wav");
        let manifest = |text: &str| {
            fs::write(dir.path().join("manifest.csv"), text).unwrap();
            error(dir.path())
        };
        assert!(manifest("class,clip\na,1.wav\na,gone.wav\n").contains("line 3 names"));
        assert!(manifest("class,clip\na,gone.wav\n").contains("a/gone.wav"));
        assert!(manifest("class,file\na,1.wav\n").contains("column clip"));
        assert!(manifest("class,clip\na\n").contains("line 2: 1 cells"));
        assert!(manifest("class,clip,seconds\na,1.wav,long\n").contains("\"long\""));
        assert!(manifest("class,clip\n").contains("no audio files"));
    }

    #[test]
    fn a_bad_clip_is_skipped_by_name() {
        let dir = tempfile::tempdir().unwrap();
        clip(dir.path(), "a/1.wav");
        clip(dir.path(), "a/3.wav");
        fs::write(dir.path().join("a/2.wav"), "oops").unwrap();
        let set = LabelledSet::open(dir.path()).unwrap();
        let (loaded, skipped) = set.load_all(16_000, &DecodeCache::NONE, |_| ());
        let indices: Vec<_> = loaded.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [0, 2]);
        assert_eq!(skipped.len(), 1);
        assert!(skipped[0].to_string().contains("2.wav"));
    }
}
