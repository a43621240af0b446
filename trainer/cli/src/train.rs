//! `mtslvr train`: trains a backbone on recordings without labels.

mod report;

use super::cache::CacheChoice;
use super::called::quoted;
use super::cohort::CohortChoice;
use super::command_line::CommandLine;
use super::examples::examples;
use super::export::provenance;
use super::lists::SEVERAL;
use super::training_bar::TrainingBar;
use super::{interrupt, recordings};
use anyhow::{Context, Result, ensure};
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_audio::{Recordings, ShowPath, read_bounded};
use mtslvr_pack::{SHIPPED, name_of};
use mtslvr_train::export::{ExportRequest, calibration_audio, export_run};
use mtslvr_train::net::Weights;
use mtslvr_train::train::{
    MetricsRow, PRESETS, RunConfig, RunFolder, Start, TrainRequest, Trained, train,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Train a backbone on recordings without labels
///
/// Writes a run folder: the configuration, the metrics (as CSV and for TensorBoard), a checkpoint and,
/// at the end, the weights, model.onnx, model.slvr and report.html.
///
/// Ctrl-C ends a run early, keeps what was learned and prints the command that continues it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Train for an hour on your recordings" =>
        "mtslvr train --data recordings --minutes 60 --out runs/mine",
    "Try it without any recordings" => "mtslvr train --minutes 2 --out runs/first",
    "Adapt a trained backbone to other recordings" =>
        "mtslvr train --from runs/mine --data kitchen --out runs/kitchen",
))]
pub(super) struct Args {
    #[command(flatten, next_help_heading = "Recordings")]
    audio: Audio,
    #[command(flatten, next_help_heading = "Training")]
    training: Training,
    #[command(flatten, next_help_heading = "Output")]
    output: Output,
}

/// Options that choose the sounds to train on.
#[derive(Debug, clap::Args)]
struct Audio {
    /// Folders of recordings to train on [default: synthetic sounds]
    ///
    /// Takes files of WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or WebM at any rate, in these folders and all
    /// folders below.
    /// Synthetic sounds are mixed in; without --data there is nothing else. A manifest.csv in a folder may
    /// say which recordings are of one thing (columns path and same, for pairs.same) and which are held
    /// out (column split).
    #[arg(long, value_name = "DIR", num_args = SEVERAL)]
    data: Vec<PathBuf>,
    /// Train only on recordings that a manifest.csv marks as free of the GPL
    ///
    /// These have `no` in the column gpl, or a licence that is not the GPL in the column licence.
    #[arg(long)]
    no_gpl: bool,
    #[command(flatten)]
    cache: CacheChoice,
}

/// Options that choose what is trained, and for how long.
#[derive(Debug, clap::Args)]
struct Training {
    #[arg(
        long,
        value_name = "NAME",
        default_value = PRESETS[0].0,
        conflicts_with = "config",
        help = format!("Preset to start from: {}", PRESETS.map(|(name, _)| name).join(", "))
    )]
    preset: String,
    /// Configuration file to start from [default: the preset]
    ///
    /// The presets in trainer/train/presets have the same form: copy one and change it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run folder, file of weights or edge-s, to start from [default: random weights]
    ///
    /// The file is one that `mtslvr export RUN --weights FILE` wrote; edge-s is the shipped backbone, whose
    /// weights are part of the program. The configuration is taken from it,
    /// with 10 minutes at a quarter of the usual learning rate. Teachers that --teacher does not name are
    /// left out; their parts keep what they learned.
    #[arg(long, value_name = "RUN|FILE|edge-s", conflicts_with_all = ["config", "preset", "resume"])]
    from: Option<PathBuf>,
    /// Length of the training, minutes [default: 20, or as in the configuration]
    ///
    /// With --from, 0 takes no step: only what is measured at the end of a run, norms and the directions of the
    /// embedding, is measured on the recordings.
    #[arg(long, value_name = "MINUTES", conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Length of the training in optimiser steps, 1 or more [default: as --minutes says]
    #[arg(long, value_name = "N", value_parser = steps)]
    steps: Option<u64>,
    /// Seed of the initial weights, the order of data and the augmentations [default: 42, or as in
    /// the configuration]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Set a key of the configuration, such as objective.temperature=0.2; may be repeated [default:
    /// as in the preset or file]
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    settings: Vec<String>,
    /// File of a teacher that the configuration names, as NAME=FILE; may be repeated [default: as in the configuration]
    ///
    /// The file is an ONNX model of waveforms, or a backbone as --model takes it
    /// (trainer/train/TEACHERS.md). It is the same as
    /// --set objective.teachers.NAME.model=FILE.
    #[arg(long = "teacher", value_name = "NAME=FILE")]
    teachers: Vec<String>,
    /// Labelled sets to measure few-shot accuracy on during training [default: none]
    ///
    /// A set is a folder DIR/<class>/<clip>. Report the final accuracy on other sets: a run that is
    /// chosen or ended by these figures has seen them.
    #[arg(long, value_name = "DIR", num_args = SEVERAL)]
    monitor: Vec<PathBuf>,
}

/// Options for what is written.
#[derive(Debug, clap::Args)]
struct Output {
    /// Run folder to write, or to continue with --resume
    #[arg(long, value_name = "DIR", default_value = "mtslvr-run")]
    out: PathBuf,
    /// Continue the run in --out from its checkpoint
    ///
    /// Give the same --data again. The length and single keys (--set) may change; the preset, the
    /// configuration file and the seed are those that the run began with.
    #[arg(long, conflicts_with_all = ["config", "preset", "seed"])]
    resume: bool,
    /// Write no models and no report at the end, only weights
    #[arg(long)]
    no_export: bool,
    #[command(flatten)]
    cohort: CohortChoice,
    #[arg(long, help = "Print the outcome as JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print the outcome as JSON instead of text. Fields:
  folder: the run folder
  interrupted: whether Ctrl-C ended the run early
  stopped_early: whether it ended because the monitored sets no longer gained
  report: path of report.html; null where nothing was exported
  last: means over the last steps; null before the first
    step, seconds: optimiser steps taken, and time spent
    loss, contrastive, predictive, kept: the joint loss and its terms
    spread: spread of the contrastive projections, near 0 for collapsed features
    label_accuracy, parameter_error: how well the operators that changed a sound are named
    few_shot: accuracy on the monitored sets, percent
    learning_rate, gradient_norm: of the optimiser
    images_per_second, waiting: patches a second, and the share of time spent waiting for data
    teachers: the loss of each teacher by name
A value that a run does not measure is null.";

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let folder = RunFolder::new(&self.output.out);
        self.check(&folder)?;
        // A request that cannot be met leaves no folder behind.
        let request = self.request(&folder)?;
        let _lock = folder.lock()?;
        // Another run may have begun before the lock was taken.
        self.check(&folder)?;
        let continuing = folder.continuing();
        write_bytes(&continuing, format!("{}\n", self.resuming()).as_bytes())
            .with_context(|| format!("cannot write {}", continuing.shown()))?;
        let stop = interrupt::on_ctrl_c();
        let mut bar = TrainingBar::new();
        let trained = train(&request, stop, &mut bar)?;
        bar.finish(trained.interrupted);
        // A run that was stopped goes on later: models of it now would only be taken for its end.
        let report = if trained.interrupted || self.output.no_export {
            None
        } else {
            let centres = self.output.cohort.centres();
            Some(export(&folder, &trained, &request.recordings, centres)?)
        };
        let outcome = Outcome::new(&folder, &trained, report);
        if self.output.json {
            outln!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            self.print(&folder, &outcome);
        }
        Ok(())
    }

    /// Refuses to overwrite a run, to continue one that is not there, and to continue one without its recordings.
    fn check(&self, folder: &RunFolder) -> Result<()> {
        self.output.check(folder)?;
        if !self.output.resume || !self.audio.data.is_empty() {
            return Ok(());
        }
        let command = read_bounded(&folder.continuing(), 1 << 20).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        let words = shlex::split(&command).unwrap_or_default();
        ensure!(
            !words.iter().any(|word| word == "--data"),
            "--data: none is given, and the run in {} learns from recordings; expected the same as before; continue \
             it with\n{}",
            folder.root().shown(),
            command.trim_end()
        );
        Ok(())
    }

    /// Loads the configuration and the recordings.
    fn request(&self, folder: &RunFolder) -> Result<TrainRequest> {
        let (config, start) = self.training.config(self.output.resume.then_some(folder))?;
        let cache = self.audio.cache.open()?;
        let Audio { data, no_gpl, .. } = &self.audio;
        let recordings = if data.is_empty() {
            errln!("No --data: training on synthetic sounds alone.");
            Recordings::default()
        } else {
            recordings::load(data, *no_gpl, config.frontend.sample_rate, &cache)?
        };
        Ok(TrainRequest {
            config,
            recordings: Arc::new(recordings),
            cache,
            heard: self.audio.cache.heard(&self.output.out),
            out: self.output.out.clone(),
            resume: self.output.resume,
            start,
        })
    }

    /// Prints where everything is, and the command to go on with.
    fn print(&self, folder: &RunFolder, outcome: &Outcome) {
        let out = self.output.out.as_path();
        if outcome.interrupted {
            outln!(
                "Stopped early; what was learned is kept. Continue with:\n{}",
                self.resuming()
            );
        }
        match &outcome.report {
            None => outln!(
                "The weights are in {}. Make models of them with:\n{}",
                folder.weights().shown(),
                CommandLine::new(&["export"]).words([out])
            ),
            Some(report) => outln!(
                "The models and weights are in {}; {} shows how training went. Measure them with:\n{}",
                out.shown(),
                report.shown(),
                CommandLine::new(&["eval"])
                    .option("--model", Some(out))
                    .options("--model", SHIPPED.iter().map(|model| model.name))
                    .option("--data", Some("DIR"))
            ),
        }
    }

    /// Returns the command line that continues this run.
    fn resuming(&self) -> CommandLine {
        CommandLine::new(&["train", "--resume"])
            .option("--out", Some(&self.output.out))
            .options("--data", &self.audio.data)
            .flag("--no-gpl", self.audio.no_gpl)
            .option("--cache", self.audio.cache.folder())
            .options("--teacher", &self.training.teachers)
            .flag("--no-export", self.output.no_export)
            .option("--cohort", self.output.cohort.unusual())
            .flag("--json", self.output.json)
    }
}

/// Reads the value of --steps.
fn steps(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err(
            "0 steps train nothing, and in a configuration `train.steps = 0` leaves the length to \
             `train.minutes`; expected 1 or more, or --minutes instead"
                .to_owned(),
        ),
        Ok(steps) => Ok(steps),
        Err(_) => Err("expected a whole number of steps, 1 or more".to_owned()),
    }
}

impl Training {
    /// Returns the configuration, with the options' changes, and the weights to start from, if there are
    /// any. The configuration is that of the run to `resume`, of the weights, of the file or of the preset.
    fn config(&self, resume: Option<&RunFolder>) -> Result<(RunConfig, Option<Weights>)> {
        let settings = self.settings()?;
        let start = self.from.as_deref().map(Start::read).transpose()?;
        let mut config = match (resume, &start, &self.config) {
            (Some(run), _, _) => RunConfig::read(&run.config(), &settings)?,
            (_, Some(start), _) => RunConfig::from_toml(&start.adapted().to_toml()?, &settings)?,
            (_, _, Some(file)) => RunConfig::read(file, &settings)?,
            (None, None, None) => {
                let preset = RunConfig::preset(&self.preset)?;
                RunConfig::from_toml(&preset.to_toml()?, &settings)?
            }
        };
        config.name_teachers(&self.teachers)?;
        if start.is_some() {
            // A teacher whose file is not at hand: the part that it taught keeps what it learned.
            let teachers = &mut config.objective.teachers;
            teachers.retain(|_, teacher| teacher.model.is_some());
        }
        Ok((config, start.map(|start| start.weights)))
    }

    /// Returns the keys that the options change, each `table.key=value`.
    fn settings(&self) -> Result<Vec<String>> {
        let mut settings = self.settings.clone();
        if let Some(minutes) = self.minutes {
            settings.push(format!("train.minutes={minutes:?}"));
            // Steps go before minutes, wherever they come from.
            settings.push("train.steps=0".to_owned());
        }
        settings.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        settings.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        if !self.monitor.is_empty() {
            let folders = toml::Value::try_from(&self.monitor)
                .context("--monitor: expected folders whose names are Unicode")?;
            settings.push(format!("monitor.sets={folders}"));
        }
        Ok(settings)
    }
}

impl Output {
    /// Refuses to overwrite a run, and to continue one that is not there.
    fn check(&self, folder: &RunFolder) -> Result<()> {
        let checkpoint = folder.checkpoint();
        if self.resume {
            let before = folder.checkpoint_before();
            ensure!(
                checkpoint.exists() || !before.exists(),
                "{}: no such file; the checkpoint before it is there: continue from that with `mv {} {}`, then \
                 continue the run again",
                checkpoint.shown(),
                quoted(&before.to_string_lossy()),
                quoted(&checkpoint.to_string_lossy())
            );
            ensure!(
                checkpoint.exists(),
                "{}: no such file, so there is no run to continue; name the run's folder with --out, \
                 or begin one without --resume",
                checkpoint.shown()
            );
        } else {
            ensure!(
                !checkpoint.exists(),
                "{}: the folder already holds a run; continue it with --resume, or name another \
                 folder with --out",
                self.out.shown()
            );
        }
        Ok(())
    }
}

/// The outcome of a run; `--json` prints it.
#[derive(Debug, Serialize)]
struct Outcome<'r> {
    folder: &'r Path,
    interrupted: bool,
    stopped_early: bool,
    last: Option<MetricsRow>,
    report: Option<PathBuf>,
}

impl<'r> Outcome<'r> {
    fn new(folder: &'r RunFolder, trained: &Trained, report: Option<PathBuf>) -> Self {
        Self {
            folder: folder.root(),
            interrupted: trained.interrupted,
            stopped_early: trained.stopped_early,
            last: trained.metrics.last().cloned(),
            report,
        }
    }
}

/// Exports a finished run into its folder, with so many centres of ordinary audio, writes the report and
/// returns its path.
fn export(
    folder: &RunFolder,
    trained: &Trained,
    recordings: &Recordings,
    centres: usize,
) -> Result<PathBuf> {
    let out = folder.root();
    let audio = calibration_audio(&trained.frontend, recordings);
    let exported = export_run(&ExportRequest {
        spec: &trained.config.backbone,
        weights: &trained.weights,
        frontend: &trained.frontend,
        audio: &audio,
        cohort: centres,
        name: &name_of(out),
        provenance: &provenance(&name_of(out), trained.config.train.seed),
        out,
    })?;
    let report = report::report(folder, trained, &exported, recordings)?;
    let [_, page] = report.write(out)?;
    Ok(page)
}
