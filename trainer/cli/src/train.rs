//! `mtslvr train`: learn a backbone from unlabelled audio.

use super::cache::Cache;
use super::export::{name_of, provenance};
use super::training_bar::TrainingBar;
use anyhow::{Context, Result, bail};
use mtslvr_audio::calibration_mix;
use mtslvr_audio::{DecodeCache, Licences, Recordings, UnlabelledSet};
use mtslvr_evaluate::report::{Fact, Figure, ModelFindings, Report, bytes, model_costs};
use mtslvr_pack::{BackboneFile, shipped_names};
use mtslvr_train::augment::EnvironmentConfig;
use mtslvr_train::export::{ExportRequest, Exported, export_run};
use mtslvr_train::net::Weights;
use mtslvr_train::report::{engine_agreements, training_curves};
use mtslvr_train::train::{MetricsRow, RunConfig, RunFolder, Start, TrainRequest, Trained, train};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Learn a backbone from unlabelled audio, or from the built-in synthesiser alone.
///
/// Writes a run folder: config.toml, metrics.csv (and the same for TensorBoard),
/// checkpoint.safetensors and, at the end, weights.safetensors, model.onnx, model.slvr, results.json
/// and report.html. Ctrl-C ends the run early and keeps what was learned; --resume goes on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of recordings (WAV, FLAC, Ogg Vorbis, MP3), searched all the way down; without any,
    /// every sound is synthesised. A manifest.csv in a folder may say which recordings are of one thing
    /// (columns path and same, for pairs.same) and which are held out (column split)
    #[arg(long, value_name = "DIR", num_args = 1..)]
    data: Vec<PathBuf>,
    /// The run folder to write
    #[arg(long, value_name = "DIR", default_value = "mtslvr-run")]
    out: PathBuf,
    /// Start from this preset: edge-s, edge-m or resnet18
    #[arg(
        long,
        value_name = "NAME",
        default_value = "edge-s",
        conflicts_with = "config"
    )]
    preset: String,
    /// Start from this configuration file (copy a preset from trainer/train/presets and change it)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Minutes to train
    #[arg(long, value_name = "M", conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Optimiser steps to train, in place of minutes
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Decides initial weights, order of data and every augmentation
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Start from trained weights: a run folder, or a file that `mtslvr export RUN --weights FILE`
    /// wrote. Its configuration is taken, with 10 minutes at a quarter of the usual learning rate.
    /// Teachers that --teacher does not name are left out; their parts keep what they told
    #[arg(long, value_name = "RUN|FILE", conflicts_with_all = ["config", "preset", "resume"])]
    from: Option<PathBuf>,
    /// The file of a teacher that the configuration names, an ONNX model of waveforms or a backbone as
    /// --model takes it: the same as --set objective.teachers.NAME.model=FILE (trainer/train/TEACHERS.md)
    #[arg(long = "teacher", value_name = "NAME=FILE")]
    teachers: Vec<String>,
    /// Change any key of the configuration, such as --set objective.temperature=0.2
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    settings: Vec<String>,
    /// Use only recordings that a manifest.csv in the folder marks with gpl = no, or with a licence that
    /// is not the GPL
    #[arg(long)]
    no_gpl: bool,
    /// Labelled sets (DIR/<class>/<clip>) to measure few-shot accuracy on while it trains
    #[arg(long, value_name = "DIR", num_args = 1..)]
    monitor: Vec<PathBuf>,
    #[command(flatten)]
    cache: Cache,
    /// Leave out the models and the report at the end
    #[arg(long)]
    no_export: bool,
    /// Print what the run came to as JSON
    #[arg(long)]
    json: bool,
    /// Go on from the checkpoint in --out
    #[arg(long, conflicts_with_all = ["config", "preset", "seed"])]
    resume: bool,
}

impl Args {
    /// The configuration of the run, and the weights that it starts from, if there are any.
    fn config(&self) -> Result<(RunConfig, Option<Weights>)> {
        let mut settings = self.settings.clone();
        if let Some(minutes) = self.minutes {
            settings.extend([
                format!("train.minutes={minutes:?}"),
                "train.steps=0".to_owned(),
            ]);
        }
        settings.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        settings.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        if !self.monitor.is_empty() {
            let folders = toml::Value::try_from(&self.monitor).context("--monitor")?;
            settings.push(format!("monitor.sets={folders}"));
        }
        let start = self.from.as_deref().map(Start::read).transpose()?;
        let mut config = match (&start, &self.config) {
            _ if self.resume => RunConfig::read(&RunFolder::new(&self.out).config(), &settings)?,
            (Some(start), _) => RunConfig::from_toml(&start.adapted().to_toml()?, &settings)?,
            (None, Some(path)) => RunConfig::read(path, &settings)?,
            (None, None) => {
                RunConfig::from_toml(&RunConfig::preset(&self.preset)?.to_toml()?, &settings)?
            }
        };
        config.name_teachers(&self.teachers)?;
        if start.is_some() {
            let teachers = &mut config.objective.teachers;
            teachers.retain(|_, teacher| teacher.model.is_some());
        }
        Ok((config, start.map(|start| start.weights)))
    }

    /// Runs the subcommand.
    pub fn run(self) -> Result<()> {
        let (config, start) = self.config()?;
        let folder = RunFolder::new(&self.out);
        if self.resume && !folder.checkpoint().exists() {
            bail!(
                "{} does not exist: there is nothing to resume; leave --resume out",
                folder.checkpoint().display()
            );
        }
        if !self.resume && folder.checkpoint().exists() {
            bail!(
                "{} already holds a run; go on with --resume, or name another folder with --out",
                self.out.display()
            );
        }
        let cache = self.cache.open()?;
        let recordings = if self.data.is_empty() {
            eprintln!("No --data: training on the built-in synthesiser alone.");
            Recordings::default()
        } else {
            load_recordings(&self.data, self.no_gpl, config.frontend.sample_rate, &cache)?
        };
        let stop = super::interrupt::on_ctrl_c()?;
        let mut bar = TrainingBar::new();
        let request = TrainRequest {
            config,
            recordings: Arc::new(recordings),
            cache,
            heard: self.cache.heard(&self.out),
            out: self.out.clone(),
            resume: self.resume,
            start,
        };
        let trained = train(&request, stop, &mut bar)?;
        bar.finish();
        let mut outcome = Outcome::new(&folder, &trained);
        if !trained.interrupted && !self.no_export {
            let report = finish(&folder, &trained, &request.recordings)?;
            outcome.report = Some(report);
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
            return Ok(());
        }
        let out = self.out.display();
        if trained.interrupted {
            println!(
                "Stopped early; what was learned is kept. Go on with: mtslvr train --resume --out {out}"
            );
        }
        match &outcome.report {
            None => println!(
                "Weights are in {}. Next: mtslvr export {out}",
                folder.weights().display()
            ),
            Some(report) => println!(
                "Models and weights are in {out}; {} tells how it went. Next: mtslvr eval --model {out} {} --data DIR",
                report.display(),
                shipped_names(" ")
            ),
        }
        Ok(())
    }
}

/// What a run came to, for scripts.
#[derive(Debug, Serialize)]
struct Outcome<'r> {
    folder: &'r Path,
    interrupted: bool,
    stopped_early: bool,
    last: Option<MetricsRow>,
    report: Option<PathBuf>,
}

impl<'r> Outcome<'r> {
    fn new(folder: &'r RunFolder, trained: &Trained) -> Self {
        Self {
            folder: folder.root(),
            interrupted: trained.interrupted,
            stopped_early: trained.stopped_early,
            last: trained.metrics.last().cloned(),
            report: None,
        }
    }
}

/// Exports a finished run into its folder, and writes the report; gives its path.
fn finish(folder: &RunFolder, trained: &Trained, recordings: &Recordings) -> Result<PathBuf> {
    let out = folder.root();
    let clips = calibration_mix(&trained.frontend, &recordings.clips);
    let exported = export_run(&ExportRequest {
        spec: &trained.config.backbone,
        weights: &trained.weights,
        frontend: &trained.frontend,
        clips: &clips,
        name: &name_of(out),
        provenance: &provenance(&name_of(out), trained.config.train.seed),
        out,
    })?;
    let report = report(folder, trained, &exported, recordings)?;
    let [_, page] = report.write(out)?;
    Ok(page)
}

fn report(
    folder: &RunFolder,
    trained: &Trained,
    exported: &Exported,
    recordings: &Recordings,
) -> Result<Report> {
    let config = &trained.config;
    let inspection = BackboneFile::read(&exported.slvr, None)?.inspect()?;
    let rate = config.frontend.sample_rate;
    let audio = match recordings.clips.is_empty() {
        true => "the built-in synthesiser's sounds".to_owned(),
        false => format!(
            "{}, and in {:.0} % of the pairs the built-in synthesiser's sounds",
            describe(recordings, rate),
            100.0 * config.data.synth_share
        ),
    };
    let last = trained.metrics.last().cloned().unwrap_or_default();
    let length = format!("{} steps of {} pairs", last.step, config.train.batch);
    let mut facts = vec![
        Fact::new("Trained on", &audio),
        Fact::new("Trained for", format!("{:.0} s, {length}", last.seconds)),
        Fact::new(
            "Training speed",
            format!("{:.0} patches/s", last.images_per_second),
        ),
        Fact::new(
            "Waiting for data",
            format!("{:.1} % of the time", 100.0 * last.waiting),
        ),
        Fact::new("Tasks", format!("{:?}", config.objective.tasks)),
        Fact::new(
            "Contrastive loss",
            format!("{:?}", config.objective.contrastive),
        ),
        Fact::new(
            "Adapters",
            format!(
                "{:?} from stage {}",
                config.backbone.adapters.kind, config.backbone.adapters.from_stage
            ),
        ),
        Fact::new("Seed", config.train.seed),
        Fact::new("Made by", format!("mtslvr {}", env!("CARGO_PKG_VERSION"))),
    ];
    if config.pairs.same > 0.0 && !recordings.groups.is_empty() {
        let share = format!("{:.1} % of all pairs", 100.0 * config.pairs.same);
        facts.push(Fact::new("Pairs of two recordings of one thing", share));
    }
    if !config.environment.is_off() {
        facts.push(Fact::new("Environment", environment(&config.environment)));
    }
    if trained.stopped_early {
        facts.push(Fact::new(
            "Ended early",
            "the held-out sets gained nothing more; the weights are those of the best check",
        ));
    }
    let packed = exported.verification.engines.last();
    let notes = vec![
        "Losses say how training went, not how good the features are: mtslvr eval measures that."
            .to_owned(),
    ];
    Ok(Report {
        title: format!("Training run {}", name_of(folder.root())),
        summary: format!("A backbone trained on {audio}: {length}."),
        headline: packed
            .map(|packed| Figure {
                value: format!("{:.4}", packed.cosine),
                name: "least cosine of int8 and float embeddings".into(),
                context: format!("{} of flash", bytes(inspection.file_bytes)),
            })
            .into_iter()
            .collect(),
        facts,
        curves: training_curves(&trained.metrics),
        engines: engine_agreements(&exported.verification),
        models: vec![ModelFindings {
            label: name_of(folder.root()),
            costs: model_costs(&inspection),
            ..ModelFindings::default()
        }],
        notes,
        ..Report::default()
    })
}

/// What views sound in and through, for a sentence.
fn environment(config: &EnvironmentConfig) -> String {
    let EnvironmentConfig {
        background,
        level,
        tilt,
        shift,
    } = config;
    let percent = |probability: f32| format!("{:.0} % of the views", 100.0 * probability);
    let range = |[low, high]: [f32; 2]| format!("{low} to {high} dB");
    let parts = [
        (
            background.probability,
            format!(
                "a background at an SNR of {}, {:.0} % of them noise",
                range(background.snr_db),
                100.0 * background.noise_share
            ),
        ),
        (
            tilt.probability,
            format!(
                "a spectrum tilted by {} an octave",
                range(tilt.db_per_octave)
            ),
        ),
        (
            level.probability,
            match level.peak {
                true => format!("a peak of {}", range(level.range_db)),
                false => format!("a gain of {}", range(level.range_db)),
            },
        ),
        (
            shift.probability,
            format!("a beginning up to {} s earlier or later", shift.seconds),
        ),
    ];
    let parts = parts
        .into_iter()
        .filter(|(probability, _)| *probability > 0.0);
    let parts: Vec<String> = parts
        .map(|(probability, part)| format!("{part} in {}", percent(probability)))
        .collect();
    parts.join("; ")
}

/// How many recordings, hours and groups there are, for a sentence.
fn describe(recordings: &Recordings, sample_rate: u32) -> String {
    let hours = recordings.total_samples() as f64 / f64::from(sample_rate) / 3600.0;
    let groups = match recordings.groups.len() {
        0 => String::new(),
        count => format!(
            ", {} of them in {count} groups of one thing",
            recordings.grouped()
        ),
    };
    format!(
        "{} recordings ({hours:.2} h){groups}",
        recordings.clips.len()
    )
}

/// Loads every recording below `folders` that is not held out, naming what had to be skipped.
pub(super) fn load_recordings(
    folders: &[PathBuf],
    no_gpl: bool,
    sample_rate: u32,
    cache: &DecodeCache,
) -> Result<Recordings> {
    let licences = if no_gpl {
        Licences::NotGpl
    } else {
        Licences::Any
    };
    let set = UnlabelledSet::for_training(folders, licences)?;
    let bar = super::progress::files(set.clips.len() as u64, "reading recordings");
    let (recordings, skipped) =
        set.load_all(sample_rate, cache, |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    for file in &skipped {
        eprintln!("skipped: {file}");
    }
    let held_out = match set.held_out {
        0 => String::new(),
        count => format!("{count} held out by the column `split`; "),
    };
    eprintln!(
        "{}; {held_out}{} files skipped.",
        describe(&recordings, sample_rate),
        skipped.len()
    );
    if recordings.clips.is_empty() {
        let named: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Err(anyhow::anyhow!(
            "no recording could be read below {}",
            named.join(", ")
        ))
        .context("expected WAV, FLAC, Ogg Vorbis or MP3 files");
    }
    Ok(recordings)
}
