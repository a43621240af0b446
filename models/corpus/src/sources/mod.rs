//! Where clips come from: a module for each source, with one statement of its licence and credit.

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
use std::path::{Path, PathBuf};

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

/// How the sound of a source came to be.
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

/// What sources are planned with.
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

/// What a source is going to make.
#[derive(Default)]
pub struct Plan {
    /// All clips.
    pub batches: Vec<Batch>,
    /// Whom to credit.
    pub credits: Vec<Credit>,
    /// What would make more clips.
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
    /// Where the licence is stated.
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

/// Batches of recordings, each read from its file.
fn recordings(files: Vec<(PathBuf, Wanted)>) -> Vec<Batch> {
    /// Files of a batch: a second's work or so.
    const TOGETHER: usize = 16;
    let mut batches = Vec::new();
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let (paths, clips): (Vec<_>, Vec<_>) = files.by_ref().take(TOGETHER).unzip();
        batches.push(Batch {
            key: format!("{:04}", batches.len()),
            clips,
            render: Box::new(move |missing, bench| {
                let wanted: Vec<&Path> = missing.iter().map(|&i| paths[i].as_path()).collect();
                let decoded = program::decode(&wanted, &bench.scratch);
                for (&index, samples) in missing.iter().zip(decoded) {
                    match samples {
                        Ok(samples) => bench.put(index, &samples, Tidy::RECORDING)?,
                        Err(error) => bench.fail(&error),
                    }
                }
                Ok(())
            }),
        });
    }
    batches
}

/// Splits `path` into its name and its extension in lower case.
fn stem(path: &str) -> (&str, String) {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => (stem, extension.to_lowercase()),
        _ => (path, String::new()),
    }
}
