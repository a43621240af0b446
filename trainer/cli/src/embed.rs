//! `mtslvr embed`: a folder of recordings to a table of embeddings.

use super::backbone::BackboneChoice;
use super::{interrupt, progress};
use anyhow::{Context, Result, anyhow, bail, ensure};
use mtslvr_evaluate::FeatureChoice;
use mtslvr_evaluate::embed::{
    Journal, Origin, Outcome, Recordings, Value, names_path, write_csv, write_npy,
};
use mtslvr_runtime::backbone::Backbone;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Exit status after Ctrl-C, as shells give it.
const INTERRUPTED: i32 = 130;

/// Embed every recording below a folder, on all cores
///
/// Recordings are WAV, FLAC, Ogg Vorbis or MP3, of any rate and number of channels; one longer than
/// the model's window is cut in windows whose embeddings are averaged. Rows are sorted by path.
///
/// Work done is kept in FILE.partial until FILE is written: after Ctrl-C or a crash the same command
/// goes on where it stopped, and embeds anew only what has changed since.
///
/// Exit status: 0 if FILE is written, also where recordings that cannot be read were left out (they
/// are listed and counted); 130 after Ctrl-C, with the work kept; 1 after an error.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder, searched all the way down
    dir: PathBuf,
    /// What to write: FILE.npy (float32, a row for each recording, with the paths in
    /// FILE.names.csv) or FILE.csv (a column for the path)
    #[arg(long, value_name = "FILE.npy|FILE.csv")]
    out: PathBuf,
    #[command(flatten)]
    backbone: BackboneChoice,
    /// Parts of the embedding to write: all, or names with + between them, as in invariant+events;
    /// `mtslvr inspect` lists them
    #[arg(long, value_name = "PARTS", default_value_t)]
    features: FeatureChoice,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    Csv,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    model: String,
    engine: &'static str,
    features: String,
    out: String,
    /// Where the rows' paths stand, if not in `out`.
    names: Option<String>,
    /// Rows written.
    rows: usize,
    /// Values in a row.
    dim: usize,
    /// Rows that an earlier, interrupted run had made.
    kept: usize,
    skipped: Vec<SkippedFile>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct SkippedFile {
    path: String,
    reason: String,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let started = Instant::now();
        let format = self.format()?;
        let stop = interrupt::on_ctrl_c()?;
        let recordings = Recordings::find(&self.dir)?;
        let file = self.backbone.open()?;
        let mut engines = file.backbones()?;
        let space = engines[0].space().into_owned();
        let parts = *space.as_space().parts();
        let chosen = self.features.of(&parts);
        let chosen = chosen.map_err(|error| anyhow!("{}: {error}", file.name()))?;
        let values: Vec<Value> = chosen
            .into_iter()
            .flat_map(|(part, range)| {
                let name = part.name.to_owned();
                range.enumerate().map(move |(number, place)| Value {
                    place,
                    name: format!("{name}_{number}"),
                })
            })
            .collect();
        let partial = partial_path(&self.out);
        let origin = Origin {
            model: space.as_space().backbone(),
            engine: file.engine().name().to_owned(),
            dim: space.dim(),
        };
        let mut journal = Journal::open(&partial, &origin)?;

        let bar = progress::files(recordings.len() as u64, "embedding");
        let outcome = recordings.embed(&mut engines, &mut journal, stop, |done| {
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let outcome = outcome
            .with_context(|| format!("stopped; what was done is kept in {}", partial.display()))?;
        for (_, error) in &outcome.skipped {
            eprintln!("skipped: {error}");
        }
        if outcome.interrupted {
            eprintln!(
                "Stopped after {} of {} recordings; the same command goes on from there ({}).",
                outcome.finished.len(),
                recordings.len(),
                partial.display()
            );
            std::process::exit(INTERRUPTED);
        }
        let names = &outcome.finished;
        if names.is_empty() {
            journal.remove()?;
            bail!(
                "none of the {} recordings below {} could be read; nothing is written",
                recordings.len(),
                self.dir.display()
            );
        }
        match format {
            Format::Npy => write_npy(&self.out, names, &mut journal, &values)?,
            Format::Csv => write_csv(&self.out, names, &mut journal, &values)?,
        }
        journal.remove()?;
        let summary = Summary {
            model: file.name().to_owned(),
            engine: file.engine().name(),
            features: self.features.to_string(),
            out: self.out.display().to_string(),
            names: (format == Format::Npy).then(|| names_path(&self.out).display().to_string()),
            rows: names.len(),
            dim: values.len(),
            kept: outcome.kept,
            skipped: skipped(&outcome),
            seconds: started.elapsed().as_secs_f64(),
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&summary)?);
        } else {
            println!(
                "{}: {} recordings, {} values each, in {:.1} s; {} files skipped.",
                summary.out,
                summary.rows,
                summary.dim,
                summary.seconds,
                summary.skipped.len()
            );
        }
        Ok(())
    }

    fn format(&self) -> Result<Format> {
        let ending = self.out.extension().and_then(|ending| ending.to_str());
        let format = match ending {
            Some("npy") => Format::Npy,
            Some("csv") => Format::Csv,
            _ => bail!(
                "--out {}: expected a file name that ends in .npy or .csv",
                self.out.display()
            ),
        };
        let folder = self
            .out
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        ensure!(
            folder.is_none_or(Path::is_dir),
            "--out {}: its folder does not exist; make it first",
            self.out.display()
        );
        Ok(format)
    }
}

fn skipped(outcome: &Outcome<'_>) -> Vec<SkippedFile> {
    let files = outcome.skipped.iter();
    files
        .map(|(path, error)| SkippedFile {
            path: path.to_string_lossy().into_owned(),
            reason: error.to_string(),
        })
        .collect()
}

/// Where unfinished work for `out` is kept.
fn partial_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}
