//! An existing folder of recordings with a manifest, copied into the corpus.

use crate::batch::Stopped;
use crate::licence::Licence;
use crate::manifest::{self, Row, Split, YesNo};
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};

/// Name of its folder in the corpus.
pub const NAME: &str = "pretrain";

/// A row of such a folder's manifest.
#[derive(Debug, Deserialize)]
struct Listed {
    path: String,
    source: String,
    seconds: f64,
    kind: String,
    gpl: YesNo,
}

/// Copies the recordings that `folder` lists into the corpus `out` and returns their rows.
/// `progress` is called with a number of recordings that are done, from any thread.
///
/// # Errors
/// The manifest cannot be read, a file is missing or cannot be copied, or [`Stopped`].
pub fn copy(
    folder: &Path,
    out: &Path,
    stop: &AtomicBool,
    progress: impl Fn(u64) + Sync,
) -> Result<Vec<Row>> {
    let listed: Vec<Listed> = manifest::read(&folder.join("manifest.csv"))?;
    let sources = fs::read_to_string(folder.join("SOURCES.md")).unwrap_or_default();
    let licences = licences(&sources);
    listed
        .into_par_iter()
        .map(|listed| {
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            let inside = |part| matches!(part, Component::Normal(_));
            ensure!(
                Path::new(&listed.path).components().all(inside),
                "{} lists {}, which is not below it",
                folder.display(),
                listed.path
            );
            copy_file(
                &folder.join(&listed.path),
                &out.join(NAME).join(&listed.path),
            )?;
            progress(1);
            let unknown = || Licence::named("see SOURCES.md");
            Ok(Row {
                path: format!("{NAME}/{}", listed.path),
                licence: licences
                    .get(&listed.source)
                    .cloned()
                    .unwrap_or_else(unknown),
                source: listed.source,
                gpl: listed.gpl,
                seconds: listed.seconds,
                kind: listed.kind,
                same: String::new(),
                group: String::new(),
                split: Split::Train,
            })
        })
        .collect()
}

/// Copies `from` to `to`, which has its name once it is whole, unless it is there already.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let wanted = fs::metadata(from)
        .with_context(|| format!("cannot read {}", from.display()))?
        .len();
    if fs::metadata(to).is_ok_and(|there| there.len() == wanted) {
        return Ok(());
    }
    let copy = || -> std::io::Result<()> {
        let folder = to.parent().expect("it lies in the corpus");
        fs::create_dir_all(folder)?;
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let neighbour = folder.join(format!(".unfinished-{name}"));
        fs::copy(from, &neighbour)?;
        fs::rename(&neighbour, to)
    };
    copy().with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Licences by source, from a `SOURCES.md` with a heading for each source and a line `- licence:`.
fn licences(sources: &str) -> BTreeMap<String, Licence> {
    let mut licences = BTreeMap::new();
    let mut source = "";
    for line in sources.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            source = heading.split_whitespace().next().unwrap_or("");
        } else if let Some(licence) = line.strip_prefix("- licence: ") {
            licences.insert(source.to_owned(), Licence::named(licence.trim()));
        }
    }
    licences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dir: &Path, rows: &str) {
        fs::create_dir_all(dir.join("one")).unwrap();
        fs::write(dir.join("one/a.ogg"), "not looked at").unwrap();
        fs::write(
            dir.join("manifest.csv"),
            format!("path,source,seconds,kind,gpl\n{rows}"),
        )
        .unwrap();
        let sources =
            "# Sources\n\n## one (1 clip)\n\n- repo: x\n- licence: CC0 / CC-BY (per file)\n";
        fs::write(dir.join("SOURCES.md"), sources).unwrap();
    }

    #[test]
    fn recordings_are_copied_with_their_rows() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        folder(from.path(), "one/a.ogg,one,1.500,animal,yes\n");
        let stop = AtomicBool::new(false);
        let copy = || copy(from.path(), to.path(), &stop, |_| ());
        let rows = copy().unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].path, "pretrain/one/a.ogg");
        assert_eq!(rows[0].licence.to_string(), "CC0 / CC-BY (per file)");
        assert_eq!((rows[0].gpl, rows[0].seconds), (YesNo::Yes, 1.5));
        let copied = to.path().join("pretrain/one/a.ogg");
        assert_eq!(fs::read(&copied).unwrap(), b"not looked at");
        // A copy that was cut short is made again.
        fs::write(&copied, "not").unwrap();
        assert_eq!(copy().unwrap(), rows);
        assert_eq!(fs::read(&copied).unwrap(), b"not looked at");
        stop.store(true, Ordering::Relaxed);
        assert!(copy().unwrap_err().is::<Stopped>());
    }

    #[test]
    fn manifests_that_lead_elsewhere_are_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let stop = AtomicBool::new(false);
        for (path, message) in [("../a.ogg", "not below"), ("one/gone.ogg", "gone.ogg")] {
            folder(from.path(), &format!("{path},one,1.0,animal,no\n"));
            let error = copy(from.path(), to.path(), &stop, |_| ()).unwrap_err();
            assert!(format!("{error:#}").contains(message), "{error:#}");
        }
    }
}
