//! Clips are made in batches: a batch is what one call of a program makes, or a handful of files.
//!
//! A clip's name decides what it holds. So a clip that is there and whole is not made again, and a
//! run that was stopped goes on where it was. Names of clips that came out silent, too short or too
//! long are kept in a file for each batch, so that they are not tried again either.

use crate::audio;
use crate::clip::{self, Tidy};
use crate::licence::Licence;
use crate::manifest::{self, Row};
use crate::same::Same;
use anyhow::{Context, Result};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A clip to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Name below the source's folder, with `/`, without an extension. It stands for everything
    /// that decides the samples.
    pub name: String,
    /// Its licence.
    pub licence: Licence,
    /// Kind of sound.
    pub kind: &'static str,
    /// Group of clips of the same thing.
    pub same: Option<Same>,
    /// Voice, kit, note or recording.
    pub group: String,
}

/// Clips that are made together.
pub struct Batch {
    /// Name, different from that of every other batch of the source.
    pub key: String,
    /// Its clips.
    pub clips: Vec<Wanted>,
    /// Makes the clips at the places given and hands each to [`Bench::put`].
    pub render: Render,
}

/// Makes some clips of a batch.
pub type Render = Box<dyn Fn(&[usize], &Bench<'_>) -> Result<()> + Send + Sync>;

/// Workplace of a batch.
pub struct Bench<'a> {
    /// Folder of its own for files in between.
    pub scratch: PathBuf,
    paths: &'a [PathBuf],
    refused: Mutex<BTreeSet<usize>>,
    failures: Mutex<Vec<String>>,
    stop: &'a AtomicBool,
}

impl Bench<'_> {
    /// Tidies `samples` and writes them as clip `index` of the batch, or notes that they are no clip.
    pub fn put(&self, index: usize, samples: &[f32], tidy: Tidy) -> Result<()> {
        match tidy.apply(samples) {
            Ok(samples) => clip::write(&self.paths[index], &samples),
            Err(_) => {
                self.refuse(index);
                Ok(())
            }
        }
    }

    /// Notes that clip `index` cannot be made from what there is, now or later.
    pub fn refuse(&self, index: usize) {
        lock(&self.refused).insert(index);
    }

    /// Notes that a clip could not be made this time.
    pub fn fail(&self, error: &anyhow::Error) {
        lock(&self.failures).push(format!("{error:#}"));
    }

    /// Whether to stop as soon as possible.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Outcome of a source's batches.
pub struct Made {
    /// A row for each clip that is there, in the order of the batches.
    pub rows: Vec<Row>,
    /// Clips that came out silent, too short or too long.
    pub refused: usize,
    /// Messages about clips that could not be made.
    pub failures: Vec<String>,
}

/// The run was stopped before all clips were made.
#[derive(Debug, thiserror::Error)]
#[error("stopped; the same command goes on from here")]
pub struct Stopped;

/// Makes the clips of `batches` that are not below `out` yet, on all cores, and returns all rows.
/// `progress` is called with a number of clips that are done, from any thread.
///
/// # Errors
/// [`Stopped`] when `stop` is set; a folder or file that cannot be written.
pub fn make(
    out: &Path,
    source: &str,
    batches: &[Batch],
    stop: &AtomicBool,
    progress: impl Fn(u64) + Sync,
) -> Result<Made> {
    let notes = out.join(".made").join(source).join("refused");
    fs::create_dir_all(&notes).with_context(|| format!("cannot make {}", notes.display()))?;
    let made = batches
        .par_iter()
        .map(|batch| {
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            let made = make_batch(out, source, batch, &notes, stop)?;
            progress(batch.clips.len() as u64);
            Ok(made)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut all = Made {
        rows: Vec::new(),
        refused: 0,
        failures: Vec::new(),
    };
    for made in made {
        all.rows.extend(made.rows);
        all.refused += made.refused;
        all.failures.extend(made.failures);
    }
    Ok(all)
}

fn make_batch(
    out: &Path,
    source: &str,
    batch: &Batch,
    notes: &Path,
    stop: &AtomicBool,
) -> Result<Made> {
    let places: Vec<_> = batch
        .clips
        .iter()
        .map(|clip| manifest::place(source, &clip.name, clip.same.as_ref()))
        .collect();
    let paths: Vec<_> = places.iter().map(|(path, _)| out.join(path)).collect();
    let note = notes.join(&batch.key);
    let noted = fs::read_to_string(&note).unwrap_or_default();
    let mut refused: BTreeSet<_> = noted.lines().map(str::to_owned).collect();
    let missing: Vec<_> = (0..paths.len())
        .filter(|&i| clip::seconds(&paths[i]).is_none() && !refused.contains(&batch.clips[i].name))
        .collect();
    let mut failures = Vec::new();
    if !missing.is_empty() {
        let scratch = tempfile::tempdir().context("cannot make a folder for temporary files")?;
        let bench = Bench {
            scratch: scratch.path().to_owned(),
            paths: &paths,
            refused: Mutex::default(),
            failures: Mutex::default(),
            stop,
        };
        let rendered = (batch.render)(&missing, &bench);
        if bench.is_stopped() {
            // A program that Ctrl-C ended fails; that says nothing about its clips.
            return Err(Stopped.into());
        }
        rendered.with_context(|| format!("{source}, {}", batch.key))?;
        failures.clone_from(&lock(&bench.failures));
        let refused_now = lock(&bench.refused).clone();
        if !refused_now.is_empty() {
            let names = refused_now.iter().map(|&i| batch.clips[i].name.clone());
            refused.extend(names);
            let lines: String = refused.iter().map(|name| format!("{name}\n")).collect();
            audio::write_bytes(&note, lines.as_bytes())
                .with_context(|| format!("cannot write {}", note.display()))?;
        }
    }
    let mut made = Made {
        rows: Vec::new(),
        refused: 0,
        failures,
    };
    for ((clip, (path, split)), full) in batch.clips.iter().zip(places).zip(&paths) {
        let Some(seconds) = clip::seconds(full) else {
            made.refused += usize::from(refused.contains(&clip.name));
            continue;
        };
        made.rows.push(Row {
            path,
            source: source.to_owned(),
            licence: clip.licence.clone(),
            gpl: (!clip.licence.is_free()).into(),
            seconds: manifest::rounded(seconds),
            kind: clip.kind.to_owned(),
            same: clip.same.as_ref().map(Same::to_string).unwrap_or_default(),
            group: clip.group.clone(),
            split,
        });
    }
    Ok(made)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    fn batch(key: &str, names: &[&str], rendered: &Arc<AtomicUsize>) -> Batch {
        let rendered = Arc::clone(rendered);
        let silent: Vec<_> = names
            .iter()
            .map(|name| name.starts_with("silent"))
            .collect();
        Batch {
            key: key.to_owned(),
            clips: names
                .iter()
                .map(|name| Wanted {
                    name: (*name).to_owned(),
                    licence: Licence::stated("CC0-1.0"),
                    kind: "effect",
                    same: None,
                    group: String::new(),
                })
                .collect(),
            render: Box::new(move |missing, bench| {
                for &index in missing {
                    rendered.fetch_add(1, Ordering::Relaxed);
                    let level = if silent[index] { 0.0 } else { 0.5 };
                    bench.put(index, &[level; 3200], Tidy::RECORDING)?;
                }
                Ok(())
            }),
        }
    }

    #[test]
    fn only_what_is_missing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let rendered = Arc::new(AtomicUsize::new(0));
        let batches = [
            batch("one", &["a", "b/c", "silent"], &rendered),
            batch("two", &["d"], &rendered),
        ];
        let stop = AtomicBool::new(false);
        let run = || {
            let before = rendered.load(Ordering::Relaxed);
            let made = make(dir.path(), "s", &batches, &stop, |_| ()).unwrap();
            (made, rendered.load(Ordering::Relaxed) - before)
        };
        let (first, count) = run();
        assert_eq!(count, 4);
        let paths: Vec<_> = first.rows.iter().map(|row| row.path.as_str()).collect();
        assert_eq!(paths, ["s/a.wav", "s/b/c.wav", "s/d.wav"]);
        assert_eq!((first.refused, first.rows[0].seconds), (1, 0.2));

        let (again, count) = run();
        assert_eq!((count, again.rows), (0, first.rows.clone()));
        assert_eq!(again.refused, 1);

        // One clip is gone, another was cut short by a kill.
        fs::remove_file(dir.path().join("s/a.wav")).unwrap();
        let cut = dir.path().join("s/d.wav");
        let bytes = fs::read(&cut).unwrap();
        fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let (mended, count) = run();
        assert_eq!((count, mended.rows), (2, first.rows));
    }

    #[test]
    fn a_stop_is_told_from_an_error_and_keeps_what_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let rendered = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let halfway = {
            let stop = Arc::clone(&stop);
            let mut batch = batch("one", &["a", "b"], &rendered);
            batch.render = Box::new(move |_, bench| {
                bench.put(0, &[0.5; 3200], Tidy::RECORDING)?;
                stop.store(true, Ordering::Relaxed);
                anyhow::bail!("the program was interrupted")
            });
            [batch]
        };
        let error = make(dir.path(), "s", &halfway, &stop, |_| ())
            .err()
            .unwrap();
        assert!(error.is::<Stopped>(), "{error:#}");
        let batches = [batch("one", &["a", "b"], &rendered)];
        stop.store(false, Ordering::Relaxed);
        let made = make(dir.path(), "s", &batches, &stop, |_| ()).unwrap();
        assert_eq!(made.rows.len(), 2);
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
        // An error that nobody's Ctrl-C explains is one.
        let mut broken = batch("two", &["c"], &rendered);
        broken.render = Box::new(|_, _| anyhow::bail!("disk full"));
        let error = make(dir.path(), "s", &[broken], &stop, |_| ())
            .err()
            .unwrap();
        assert!(format!("{error:#}").contains("s, two: disk full"));
    }
}
