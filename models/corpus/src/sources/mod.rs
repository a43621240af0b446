//! Sources of clips: a module for each, with one statement of its licence and credit.

mod drumkits;
mod effects;
mod music;
mod patches;
mod prompts;
mod soundfont;
mod speech;

use crate::batch::{Batch, Wanted};
use crate::clip::Tidy;
use crate::licence::Licence;
use crate::package::{Package, Packages};
use crate::program::{self, Missing};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// A source of clips.
pub struct Source {
    /// Name: of its folder, in manifests and for `--only`.
    pub name: &'static str,
    /// A line about it.
    pub title: &'static str,
    /// Whether a microphone was there.
    pub origin: Origin,
    /// Finds what there is, fetches packages, and lists all clips.
    pub plan: fn(&Context) -> Result<Plan>,
}

/// Origin of a source's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Recorded as it is heard.
    Recorded,
    /// Rendered by a program.
    Rendered,
}

/// All sources, in the order of the manifest.
pub const ALL: [Source; 7] = [
    prompts::SOURCE,
    music::SOURCE,
    drumkits::SOURCE,
    effects::SOURCE,
    soundfont::SOURCE,
    speech::SOURCE,
    patches::SOURCE,
];

/// Input that sources are planned with.
pub struct Context {
    /// Debian's packages.
    pub packages: Packages,
    /// Hours of spoken words, about.
    pub speech_hours: f64,
    /// Hours of notes and hits of the sound font, about.
    pub soundfont_hours: f64,
    /// Hours of sounds of the synthesiser, about.
    pub patch_hours: f64,
}

/// Clips that a source is going to make.
#[derive(Default)]
pub struct Plan {
    /// All clips.
    pub batches: Vec<Batch>,
    /// Whom to credit.
    pub credits: Vec<Credit>,
    /// Programs and packages that would make more clips.
    pub missing: Vec<Missing>,
}

/// A work, its licence and its authors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The work, with its version.
    pub work: String,
    /// Its licence.
    pub licence: Licence,
    /// Who made it.
    pub holders: String,
    /// File or page that states the licence.
    pub stated: String,
}

impl Plan {
    /// Adds `credit` unless it is there.
    pub fn credit(&mut self, credit: Credit) {
        if !self.credits.contains(&credit) {
            self.credits.push(credit);
        }
    }
}

impl Credit {
    /// Credits a package under `licence`, which its copyright file states.
    pub fn package(package: &Package, licence: Licence, holders: &str) -> Self {
        Self {
            work: format!("Debian package {} {}", package.name, package.version),
            licence,
            holders: holders.to_owned(),
            stated: format!("/usr/share/doc/{}/copyright", package.name),
        }
    }

    /// Credits the file `path` of the package's source as its copyright file says; `None` if it
    /// does not say, or if the licence restricts use.
    pub fn of_file(package: &Package, path: &str) -> Option<Self> {
        let stanza = package.copyright.stanza(path)?;
        (!stanza.licence.is_restricted())
            .then(|| Self::package(package, stanza.licence.clone(), &stanza.holders))
    }
}

/// Batches of recordings, each read from its file. Of copies in a group only the first is taken.
fn recordings(groups: impl IntoIterator<Item = Vec<(PathBuf, Wanted)>>) -> Vec<Batch> {
    /// Files of a batch, at least: a second's work or so.
    const TOGETHER: usize = 16;
    let mut batches = vec![Vec::new()];
    for (number, group) in groups.into_iter().enumerate() {
        if batches.last().is_some_and(|batch| batch.len() >= TOGETHER) {
            batches.push(Vec::new());
        }
        let batch = batches.last_mut().expect("it begins with one");
        batch.extend(group.into_iter().map(|(path, clip)| ((path, number), clip)));
    }
    let batch = |(number, files): (usize, Vec<_>)| {
        let (files, clips): (Vec<(PathBuf, usize)>, Vec<_>) = files.into_iter().unzip();
        Batch {
            key: format!("{number:04}"),
            clips,
            render: Box::new(move |missing, bench| {
                // All files, whatever is missing: which is another's copy takes all to tell.
                let paths: Vec<_> = files.iter().map(|(path, _)| path.as_path()).collect();
                let mut heard = HashMap::<_, Heard>::new();
                for (index, samples) in program::decode(&paths, &bench.scratch).iter().enumerate() {
                    let is_missing = missing.contains(&index);
                    let group = heard.entry(files[index].1).or_default();
                    match samples {
                        Ok(samples) => match (group.is_new(samples), is_missing) {
                            (true, true) => bench.put(index, samples, Tidy::RECORDING)?,
                            (false, true) => bench.refuse(index),
                            (_, false) => {}
                        },
                        Err(error) if is_missing => bench.fail(error),
                        Err(_) => {}
                    }
                }
                Ok(())
            }),
        }
    };
    batches.retain(|files| !files.is_empty());
    batches.into_iter().enumerate().map(batch).collect()
}

/// Tells sounds from copies of earlier ones.
#[derive(Default)]
struct Heard(HashSet<Vec<i16>>);

impl Heard {
    /// Whether no earlier sound was the same, but for traces that compression leaves, or what was
    /// played before.
    fn is_new(&mut self, samples: &[f32]) -> bool {
        let coarse = samples.iter().map(|s| (s * 2048.0).round() as i16);
        self.0.insert(coarse.collect())
    }
}

/// Splits `path` into its name and its extension in lower case.
fn stem(path: &str) -> (&str, String) {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => (stem, extension.to_lowercase()),
        _ => (path, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audio, batch};
    use std::sync::atomic::AtomicBool;

    #[test]
    fn copies_in_a_group_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, level: f32| {
            let path = dir.path().join(name).with_extension("wav");
            audio::write_wav(&path, &[level; 3200], 16_000).unwrap();
            let wanted = Wanted {
                name: name.to_owned(),
                licence: Licence::stated("CC0-1.0"),
                kind: "effect",
                same: None,
                group: name.to_owned(),
            };
            (path, wanted)
        };
        let group = vec![file("wolf1", 0.5), file("wolf2", 0.25), file("wolf3", 0.5)];
        // The same in another group is another's.
        let others = (0..20).map(|i| vec![file(&format!("other{i}"), 0.5)]);
        let batches = recordings([group].into_iter().chain(others));
        let sizes: Vec<_> = batches.iter().map(|batch| batch.clips.len()).collect();
        assert_eq!(sizes, [16, 7]);
        let out = dir.path().join("out");
        let stop = AtomicBool::new(false);
        let make = || batch::make(&out, "s", &batches, &stop, |_| ()).unwrap();
        let made = make();
        assert_eq!((made.rows.len(), made.refused), (22, 1));
        assert!(!made.rows.iter().any(|row| row.group == "wolf3"));
        // A copy stays one when the first is gone.
        std::fs::remove_file(out.join("s/wolf1.wav")).unwrap();
        assert_eq!(make().rows, made.rows);
        assert!(recordings([]).is_empty());
    }
}
