//! `mtslvr embed`: writes the embeddings of a folder of recordings as a table.

use super::backbone::{BackboneChoice, FrontendChoice};
use super::command_line::CommandLine;
use super::examples::examples;
use super::{interrupt, output_place, progress};
use anyhow::{Context, Result, anyhow, bail};
use mtslvr_audio::ShowPath;
use mtslvr_evaluate::FeatureChoice;
use mtslvr_evaluate::embed::{
    Journal, Origin, Outcome, Recordings, Value, names_path, write_csv, write_npy,
};
use mtslvr_pack::OpenedBackbone;
use mtslvr_runtime::backbone::Backbone;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Write the embedding of every recording in a folder to a file
///
/// Recordings are files of WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or WebM at any rate, in the folder and
/// all folders below.
/// One that is longer than the model's window is cut into windows, whose embeddings are averaged. The
/// rows of the file are sorted by path. All cores are used.
///
/// Finished work is kept in FILE.partial until FILE is written. After Ctrl-C or a crash the same command
/// continues there, and embeds again only recordings that have changed.
///
/// Exit status: 0 if FILE is written, even if some recordings could not be read (they are listed and
/// counted); 130 after Ctrl-C; 1 after an error.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Embed recordings for NumPy" => "mtslvr embed recordings --out embeddings.npy",
    "Write the invariant part alone, as CSV" =>
        "mtslvr embed recordings --parts invariant --out invariant.csv",
))]
pub(super) struct Args {
    /// Folder of recordings
    dir: PathBuf,
    /// File to write, .npy or .csv
    ///
    /// FILE.npy holds float32, a row for each recording; FILE.names.csv beside it holds their paths.
    /// FILE.csv has the path in its first column.
    #[arg(long, value_name = "FILE.npy|FILE.csv")]
    out: PathBuf,
    #[command(flatten)]
    backbone: BackboneChoice,
    #[command(flatten)]
    frontend: FrontendChoice,
    /// Parts of the embedding to write: all, or names joined with +, such as invariant+equivariant
    ///
    /// `mtslvr inspect MODEL` lists the parts of a model.
    #[arg(long, value_name = "PARTS", default_value_t)]
    parts: FeatureChoice,
    #[arg(long, help = "Print a summary as JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print a summary as JSON instead of text. Fields:
  model, engine, parts: the backbone, the engine that ran it, and the parts that were written
  out, names: path of the file, and of the file with its rows' paths; null for CSV, which holds them
  rows, dim: recordings, and values of each
  kept: rows that an earlier, interrupted run had made
  skipped: for each recording that could not be read, its path and the reason
  seconds: time that it took";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    Csv,
}

/// The summary that `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    model: String,
    engine: &'static str,
    parts: String,
    out: String,
    /// File with the rows' paths, if they are not in `out`.
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
        let stop = interrupt::on_ctrl_c();
        let recordings = Recordings::find(&self.dir)?;
        let file = self.backbone.open_with(&self.frontend)?;
        let mut engines = file.backbones()?;
        let values = self.values(&engines[0], file.name())?;
        let partial = partial_path(&self.out);
        let origin = Origin {
            model: engines[0].space().backbone(),
            engine: file.engine().name().to_owned(),
            dim: engines[0].space().dim(),
        };
        let mut journal = Journal::open(&partial, &origin)?;
        if journal.cut_off() > 0 {
            errln!(
                "{}: the last {} bytes are damaged or were not written whole; their recordings are embedded \
                 again.",
                partial.shown(),
                journal.cut_off()
            );
        }
        let outcome = embed(&recordings, &mut engines, &mut journal, stop)
            .with_context(|| format!("stopped; finished work is kept in {}", partial.shown()))?;
        if outcome.interrupted {
            errln!(
                "Stopped after {} of {} recordings; they are kept in {}. Continue with:\n{}",
                outcome.finished.len(),
                recordings.len(),
                partial.shown(),
                CommandLine::of_this_process()
            );
            return Ok(());
        }
        let names = &outcome.finished;
        if names.is_empty() {
            journal.remove()?;
            bail!(
                "{}: none of the {} recordings can be read, and nothing is written; the lines above \
                 say what is wrong with each",
                self.dir.shown(),
                recordings.len(),
            );
        }
        match format {
            Format::Npy => write_npy(&self.out, names, &mut journal, &values)?,
            Format::Csv => write_csv(&self.out, names, &mut journal, &values)?,
        }
        // The table is whole on the disk: only now may the unfinished work go.
        journal.remove()?;
        self.print(&Summary {
            model: file.name().to_owned(),
            engine: file.engine().name(),
            parts: self.parts.to_string(),
            out: self.out.display().to_string(),
            names: (format == Format::Npy).then(|| names_path(&self.out).display().to_string()),
            rows: names.len(),
            dim: values.len(),
            kept: outcome.kept,
            skipped: skipped(&outcome),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Returns the values of an embedding that are written: those of the chosen parts, each named by
    /// its part and its number there.
    fn values(&self, backbone: &OpenedBackbone, model: &str) -> Result<Vec<Value>> {
        let space = backbone.space();
        let chosen = self.parts.of(space.parts());
        let chosen = chosen.map_err(|error| anyhow!("{model}: {error}"))?;
        let values = chosen.into_iter().flat_map(|(part, range)| {
            let name = part.name.to_owned();
            range.enumerate().map(move |(number, place)| Value {
                place,
                name: format!("{name}_{number}"),
            })
        });
        Ok(values.collect())
    }

    fn print(&self, summary: &Summary) -> Result<()> {
        if self.json {
            outln!("{}", serde_json::to_string_pretty(summary)?);
        } else {
            outln!(
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

    /// Returns the format that the ending of `--out` names. The folder is checked now, not after an
    /// hour of work.
    fn format(&self) -> Result<Format> {
        let ending = self.out.extension().and_then(|ending| ending.to_str());
        let format = match ending {
            Some("npy") => Format::Npy,
            Some("csv") => Format::Csv,
            _ => bail!(
                "--out {}: expected a file name that ends in .npy or .csv",
                self.out.shown()
            ),
        };
        output_place::check_file("--out", &self.out)?;
        Ok(format)
    }
}

/// Embeds what the journal does not hold yet, with a bar, and names the recordings that cannot be read.
fn embed<'r>(
    recordings: &'r Recordings,
    engines: &mut [OpenedBackbone],
    journal: &mut Journal,
    stop: &AtomicBool,
) -> Result<Outcome<'r>> {
    let bar = progress::files(recordings.len() as u64, "embedding");
    let outcome = recordings.embed(engines, journal, stop, |done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let outcome = outcome?;
    for (_, error) in &outcome.skipped {
        errln!("skipped: {error}");
    }
    Ok(outcome)
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

/// Returns the file in which unfinished work for `out` is kept.
fn partial_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}
