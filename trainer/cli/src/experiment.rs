//! `mtslvr experiment`: variants compared over seeds, under matched compute.

use super::cache::Cache;
use super::train::load_recordings;
use super::training_bar::TrainingBar;
use anyhow::Result;
use mtslvr_audio::{LabelledSet, Recordings};
use mtslvr_train::experiment::{Audio, Cell, Plan, Progress, Request, run};
use mtslvr_train::train::{MetricsRow, Observer};
use std::path::PathBuf;
use std::sync::Arc;

/// Train the variants that a file lists, evaluate each on labelled sets, and write the tables
///
/// Every cell (a variant and a seed) is a run folder in --out. What is finished is not run again: stop
/// it with Ctrl-C, and give the same command to go on. table.md, summary.json and measurements.csv
/// are written after every cell. models/experiments holds the files behind models/RESULTS.md.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The experiment file
    file: PathBuf,
    /// Folders of recordings to train on; without any, every sound is synthesised
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pretrain: Vec<PathBuf>,
    /// Train only on recordings that a manifest.csv in the folder marks with gpl = no
    #[arg(long, requires = "pretrain")]
    no_gpl: bool,
    /// Labelled sets (DIR/<class>/<clip>) to evaluate on, or folders of such sets
    #[arg(long, value_name = "DIR", num_args = 1.., required_unless_present = "list")]
    data: Vec<PathBuf>,
    /// Folder for the cells and the tables
    #[arg(long, value_name = "DIR", default_value = "mtslvr-experiment")]
    out: PathBuf,
    /// Change any key of every variant's configuration, such as --set train.batch=64
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    settings: Vec<String>,
    /// The file of a teacher that variants name, an ONNX model of waveforms or a backbone as --model
    /// takes it (trainer/train/TEACHERS.md)
    #[arg(long = "teacher", value_name = "NAME=FILE")]
    teachers: Vec<String>,
    #[command(flatten)]
    cache: Cache,
    /// Only list the cells and how long each trains
    #[arg(long)]
    list: bool,
    /// Print the summary as JSON in place of the tables
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let plan = Plan::read(&self.file, &self.settings, &self.teachers)?;
        let cells = plan.cells(&self.out)?;
        if self.list {
            for cell in &cells {
                println!("{}", self.line(cell));
            }
            return Ok(());
        }
        let sets = LabelledSet::open_all(&self.data)?;
        let cache = self.cache.open()?;
        let training = match self.pretrain.is_empty() {
            true => {
                eprintln!("No --pretrain: training on the built-in synthesiser alone.");
                Recordings::default()
            }
            false => {
                let rate = cells[0].config.frontend.sample_rate;
                load_recordings(&self.pretrain, self.no_gpl, rate, &cache)?
            }
        };
        let request = Request {
            plan,
            audio: Audio {
                training: Arc::new(training),
                sets,
                cache,
            },
            heard: self.cache.heard(&self.out),
            out: self.out.clone(),
        };
        let stop = super::interrupt::on_ctrl_c()?;
        let summary = run(&request, stop, &mut Lines::default())?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&summary)?);
            return Ok(());
        }
        let table = self.out.join("table.md");
        print!("{}", std::fs::read_to_string(&table)?);
        println!("\nThis is {}.", table.display());
        if summary.finished < summary.cells {
            println!(
                "Stopped with {} of {} cells finished; give the same command to go on.",
                summary.finished, summary.cells
            );
        }
        Ok(())
    }

    fn line(&self, cell: &Cell) -> String {
        let train = &cell.config.train;
        let length = match train.steps {
            0 => format!("{} minutes", train.minutes),
            steps => format!("{steps} steps"),
        };
        format!("{}: {length} of {} pairs", cell.folder, train.batch)
    }
}

/// A bar for each training run, a line for all else.
#[derive(Default)]
struct Lines {
    bar: Option<TrainingBar>,
}

impl Observer for Lines {
    fn step(&mut self, done: f64, row: &MetricsRow) {
        let bar = self.bar.get_or_insert_with(TrainingBar::new);
        bar.step(done, row);
        if done >= 1.0 {
            bar.finish();
        }
    }

    fn hearing(&mut self, teacher: &str, heard: usize, windows: usize) {
        let bar = self.bar.get_or_insert_with(TrainingBar::new);
        bar.hearing(teacher, heard, windows);
    }

    fn note(&mut self, remark: &str) {
        match &mut self.bar {
            Some(bar) => bar.note(remark),
            None => eprintln!("{remark}"),
        }
    }
}

impl Progress for Lines {
    fn cell(&mut self, index: usize, count: usize, label: &str, seed: u64) {
        self.bar = None;
        eprintln!("[{index}/{count}] {label}, seed {seed}");
    }

    fn measuring(&mut self, set: &str) {
        self.note(&format!("measuring: {set}"));
    }
}
