//! `mtslvr train`: learn a backbone from unlabelled audio.

use super::progress::TrainingBar;
use crate::audio::{Licences, UnlabelledSet};
use crate::train::{RunConfig, RunFolder, TrainRequest, train};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::sync::Arc;

/// Learn a backbone from unlabelled audio, or from the built-in synthesiser alone.
///
/// Writes a run folder: config.toml, metrics.csv, checkpoint.safetensors and, at the end,
/// weights.safetensors. Ctrl-C ends the run early and keeps what was learned; --resume goes on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of recordings (WAV, FLAC, Ogg Vorbis, MP3), searched all the way down; without any,
    /// every sound is synthesised
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
    /// Start from this configuration file (copy a preset from trainer/presets and change it)
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
    /// Change any key of the configuration, such as --set objective.temperature=0.2
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    settings: Vec<String>,
    /// Use only recordings that a manifest.csv in the folder marks with gpl = no
    #[arg(long)]
    no_gpl: bool,
    /// Go on from the checkpoint in --out
    #[arg(long, conflicts_with_all = ["config", "preset", "seed"])]
    resume: bool,
}

impl Args {
    fn config(&self) -> Result<RunConfig> {
        let mut settings = self.settings.clone();
        if let Some(minutes) = self.minutes {
            settings.extend([
                format!("train.minutes={minutes:?}"),
                "train.steps=0".to_owned(),
            ]);
        }
        settings.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        settings.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        if self.resume {
            return RunConfig::read(&RunFolder::new(&self.out).config(), &settings);
        }
        match &self.config {
            Some(path) => RunConfig::read(path, &settings),
            None => RunConfig::from_toml(&RunConfig::preset(&self.preset)?.to_toml()?, &settings),
        }
    }

    /// Runs the subcommand.
    pub fn run(self) -> Result<()> {
        let config = self.config()?;
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
        let clips = if self.data.is_empty() {
            eprintln!("No --data: training on the built-in synthesiser alone.");
            Vec::new()
        } else {
            load_clips(&self.data, self.no_gpl, config.frontend.sample_rate)?
        };
        let stop = super::interrupt::on_ctrl_c()?;
        let mut bar = TrainingBar::new();
        let request = TrainRequest {
            config,
            clips: Arc::new(clips),
            out: self.out.clone(),
            resume: self.resume,
        };
        let trained = train(&request, stop, &mut bar)?;
        bar.finish();
        let out = self.out.display();
        if trained.interrupted {
            println!(
                "Stopped early; what was learned is kept. Go on with: mtslvr train --resume --out {out}"
            );
        }
        println!(
            "Weights are in {}. Next: mtslvr export {out}",
            folder.weights().display()
        );
        Ok(())
    }
}

/// Loads every recording below `folders`, naming what had to be skipped.
pub(super) fn load_clips(
    folders: &[PathBuf],
    no_gpl: bool,
    sample_rate: u32,
) -> Result<Vec<Vec<f32>>> {
    let licences = if no_gpl {
        Licences::NotGpl
    } else {
        Licences::Any
    };
    let set = UnlabelledSet::open_licensed(folders, licences)?;
    let bar = super::progress::files(set.clips.len() as u64, "reading recordings");
    let (clips, skipped) = set.load_all(sample_rate, |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    for file in &skipped {
        eprintln!("skipped: {file}");
    }
    let seconds = clips.iter().map(Vec::len).sum::<usize>() as f64 / f64::from(sample_rate);
    eprintln!(
        "{} recordings, {:.2} hours; {} files skipped.",
        clips.len(),
        seconds / 3600.0,
        skipped.len()
    );
    if clips.is_empty() {
        let named: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Err(anyhow::anyhow!(
            "no recording could be read below {}",
            named.join(", ")
        ))
        .context("expected WAV, FLAC, Ogg Vorbis or MP3 files");
    }
    Ok(clips)
}
