//! `mtslvr experiment`: trains variants from several seeds under equal compute, and compares them.

use super::cache::CacheChoice;
use super::command_line::CommandLine;
use super::examples::examples;
use super::training_bar::TrainingBar;
use super::{interrupt, recordings};
use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::{LabelledSet, Recordings};
use mtslvr_train::experiment::{Audio, Cell, Plan, Progress, Request, Summary, run};
use mtslvr_train::train::{MetricsRow, Observer, RunFolder};
use std::path::PathBuf;
use std::sync::Arc;

/// Train and compare variants of a backbone, as an experiment file lists them
///
/// Each variant is trained from each seed and then measured on the labelled sets. table.md,
/// summary.json and measurements.csv in --out are written anew after each run.
///
/// Ctrl-C stops the experiment and prints the command that continues it: a run that has ended is not
/// done again. The files behind models/RESULTS.md are in models/experiments.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "See how much there is to train" =>
        "mtslvr experiment models/experiments/variants.toml --list",
    "Run it on your recordings" =>
        "mtslvr experiment variants.toml --pretrain recordings --data labelled",
))]
pub(super) struct Args {
    /// Experiment file, TOML
    file: PathBuf,
    /// Folder of recordings to train on; may be repeated [default: synthetic sounds]
    #[arg(long, value_name = "DIR", help_heading = "Recordings")]
    pretrain: Vec<PathBuf>,
    /// Train only on recordings that a manifest.csv marks as free of the GPL
    ///
    /// These have `no` in the column gpl, or a licence that is not the GPL in the column licence.
    #[arg(long, requires = "pretrain", help_heading = "Recordings")]
    no_gpl: bool,
    /// Labelled set (DIR/<class>/<clip>) to measure on, or folder of such sets; may be repeated
    ///
    /// Needed unless --list or --train-only is given.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present_any = ["list", "train_only"],
        help_heading = "Recordings"
    )]
    data: Vec<PathBuf>,
    /// Folder for the runs and the tables
    #[arg(long, value_name = "DIR", default_value = "mtslvr-experiment")]
    out: PathBuf,
    /// Set a key of every variant's configuration, such as train.batch=64; may be repeated [default:
    /// as in the file]
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    settings: Vec<String>,
    /// File of a teacher that variants name, as NAME=FILE; may be repeated [default: as in the file]
    ///
    /// The file is an ONNX model of waveforms, or a backbone as --model takes it
    /// (trainer/train/TEACHERS.md).
    #[arg(long = "teacher", value_name = "NAME=FILE")]
    teachers: Vec<String>,
    #[command(flatten)]
    cache: CacheChoice,
    /// List the runs and how long each trains, and run nothing
    #[arg(long)]
    list: bool,
    /// Train the runs and measure none, say on a machine with a GPU
    ///
    /// The same command without it measures them later: of each run it needs config.toml, metrics.csv and
    /// weights.safetensors in its folder below --out.
    #[arg(long, conflicts_with_all = ["json", "data"])]
    train_only: bool,
    #[arg(long, help = "Print the summary as JSON instead of the tables", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print the summary as JSON instead of the tables. Accuracies are in percent. Fields:
  title, compute: the file's title, and a sentence on how compute is matched
  evaluation: the table [evaluate] of the file: ways, shots, queries, tasks, seed, head, heads, ablation, int8,
    invariance_clips
  sets: names of the labelled sets
  finished, cells: runs that are finished, and runs in all
  notes: sentences on what could not be measured
  controls, variants: rows; controls are MFCC statistics and random weights
    group, name: as in the file
    mean: accuracy over all sets with the first of shots, a figure; null without one
    gain: difference of mean to the group's first variant, and half of its 95 % interval over seeds (null for
      one seed); null for the first variant
    by_set: a figure for each set
    int8_gain: accuracy of the packed model less that of the float model, for each set
    combinations: shots, head, features (parts of the embedding) and the mean over the sets, a figure
    operators: for each operator and features, over clips that it changed: cosine (of a clip and its changed
      self), random (cosine of two clips), invariance (1: changes nothing, 0: as unlike as two clips) and auc (of
      a linear probe that tells changed clips)
    training: steps, batch (pairs), seconds, waiting (share of the time without data), forward_macs (of a patch),
      parameters, contrastive (last loss), spread (of the projections; near 0 they collapsed),
      label_accuracy (share of operators named right); null for a control
    seeds: those that are finished
  A figure has over_seeds (the number of seeds, mean, deviation and ci95, half of the 95 % interval) and over_tasks
  (half of one seed's 95 % interval).";

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let plan = Plan::read(&self.file, &self.settings, &self.teachers)?;
        let cells = plan.cells(&self.out)?;
        if self.list {
            for cell in &cells {
                outln!("{}", line(cell));
            }
            return Ok(());
        }
        let _lock = RunFolder::new(&self.out).lock()?;
        let audio = self.audio(cells[0].config.frontend.sample_rate)?;
        let request = Request {
            plan,
            audio,
            heard: self.cache.heard(&self.out),
            out: self.out.clone(),
            train_only: self.train_only,
        };
        let summary = run(&request, interrupt::on_ctrl_c(), &mut Lines::default())?;
        self.print(&summary)
    }

    /// Opens the labelled sets and loads the recordings at `sample_rate` Hz.
    fn audio(&self, sample_rate: u32) -> Result<Audio> {
        let sets = match self.train_only {
            true => Vec::new(),
            false => LabelledSet::open_all(&self.data)?,
        };
        let cache = self.cache.open()?;
        let training = if self.pretrain.is_empty() {
            errln!("No --pretrain: training on synthetic sounds alone.");
            Recordings::default()
        } else {
            recordings::load(&self.pretrain, self.no_gpl, sample_rate, &cache)?
        };
        Ok(Audio {
            training: Arc::new(training),
            sets,
            cache,
        })
    }

    fn print(&self, summary: &Summary) -> Result<()> {
        if self.train_only {
            outln!("Trained: {}", self.out.shown());
            return Ok(());
        }
        if self.json {
            outln!("{}", serde_json::to_string_pretty(summary)?);
            return Ok(());
        }
        let table = self.out.join("table.md");
        let text = std::fs::read_to_string(&table)
            .with_context(|| format!("cannot read {}", table.shown()))?;
        out!("{text}");
        outln!("\nThis is {}.", table.shown());
        if summary.finished < summary.cells {
            outln!(
                "Stopped after {} of {} runs. Continue with:\n{}",
                summary.finished,
                summary.cells,
                CommandLine::of_this_process()
            );
        }
        Ok(())
    }
}

/// Describes a run in a line.
fn line(cell: &Cell) -> String {
    let train = &cell.config.train;
    let length = match train.steps {
        0 => format!("{} minutes", train.minutes),
        steps => format!("{steps} steps"),
    };
    format!("{}: {length} of {} pairs", cell.folder, train.batch)
}

/// Shows a bar for each training run, and a line for all else.
#[derive(Default)]
struct Lines {
    bar: Option<TrainingBar>,
}

impl Observer for Lines {
    fn step(&mut self, done: f64, row: &MetricsRow) {
        let bar = self.bar.get_or_insert_with(TrainingBar::new);
        bar.step(done, row);
        if done >= 1.0 {
            bar.finish(false);
            self.bar = None;
        }
    }

    fn phase(&mut self, what: &str) {
        let bar = self.bar.get_or_insert_with(TrainingBar::new);
        bar.phase(what);
    }

    fn hearing(&mut self, teacher: &str, heard: usize, windows: usize) {
        let bar = self.bar.get_or_insert_with(TrainingBar::new);
        bar.hearing(teacher, heard, windows);
    }

    fn note(&mut self, remark: &str) {
        match &mut self.bar {
            Some(bar) => bar.note(remark),
            None => errln!("{remark}"),
        }
    }
}

impl Progress for Lines {
    fn cell(&mut self, index: usize, count: usize, label: &str, seed: u64) {
        self.bar = None;
        errln!("[{index}/{count}] {label}, seed {seed}");
    }

    fn measuring(&mut self, set: &str) {
        self.note(&format!("measuring: {set}"));
    }
}
