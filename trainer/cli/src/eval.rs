//! `mtslvr eval`: measures few-shot accuracy, and with subcommands what lies behind it.

#[cfg(feature = "train")]
mod bias;
mod contender;
mod open_set;
mod report;
mod shares;
mod subject;
mod tasks;
#[cfg(feature = "train")]
mod waveforms;
#[cfg(not(feature = "train"))]
#[path = "eval/no_waveforms.rs"]
mod waveforms;

use super::backbone::{EngineChoice, FrontendChoice};
use super::cache::CacheChoice;
use super::examples::examples;
use super::lists::SEVERAL;
use super::{output_place, sets};
use anyhow::{Context, Result};
use clap::Subcommand;
use contender::Contender;
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_evaluate::{Comparison, FeatureChoice, HEAD_NAMES, Head, Settings, missing_note};
use mtslvr_pack::{ModelSource, model_kinds};
use serde::Serialize;
use shares::SharesChoice;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use tasks::{SetChoice, TaskChoice};

/// Measure the few-shot accuracy of backbones on labelled sets
///
/// A labelled set is a folder DIR/<class>/<clip>. Each task draws N classes of a set (--ways) and K
/// examples of each to learn from (--shots), and asks about other clips of these classes (--queries).
/// Where a manifest.csv names groups (speaker, kit, recording), no group is both learned from and asked
/// about.
///
/// All backbones get the same tasks. Beside each are two controls that have learned nothing from
/// recordings: MFCC statistics, and a network of its shape with random weights.
///
/// Without a subcommand, the table of accuracies is printed.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = examples!(
        "Measure the shipped backbones" => "mtslvr eval --data labelled",
        "Compare a backbone of yours with one of them, at 5 examples" =>
            "mtslvr eval --model mtslvr-run --model edge-s --data labelled --shots 5",
        "Measure how well strange sounds are rejected" =>
            "mtslvr eval open-set --data labelled --report open-set.md",
    )
)]
pub(super) struct Args {
    #[command(subcommand)]
    report: Option<Report>,
    #[command(flatten)]
    accuracy: Accuracy,
}

#[derive(Debug, Subcommand)]
enum Report {
    OpenSet(open_set::Args),
    #[cfg(feature = "train")]
    Bias(bias::Args),
}

/// The arguments of `mtslvr eval` itself.
#[derive(Debug, clap::Args)]
struct Accuracy {
    #[arg(
        long = "model",
        value_name = "MODEL",
        num_args = SEVERAL,
        help_heading = "Backbones",
        help = format!(
            "Backbones to measure: each {}{} [default: all shipped backbones]",
            model_kinds(),
            if cfg!(feature = "train") { "; or an .onnx model of waveforms" } else { "" }
        )
    )]
    models: Vec<ModelSource>,
    #[command(flatten, next_help_heading = "Backbones")]
    engine: EngineChoice,
    #[command(flatten, next_help_heading = "Backbones")]
    frontend: FrontendChoice,
    #[cfg(feature = "train")]
    /// Recordings to level the embeddings of models of other programs on [default: synthetic sounds]
    ///
    /// An ONNX model that takes sound at 16 kHz, [batch, samples], runs in ONNX Runtime. Its embeddings are
    /// centred and levelled on up to 2000 of these recordings; those of a model with --frontend are centred.
    /// Do not name recordings that are measured.
    #[arg(
        long,
        value_name = "DIR",
        num_args = SEVERAL,
        help_heading = "Backbones"
    )]
    reference: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "Tasks")]
    sets: SetChoice,
    /// Examples of each class to learn from
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Tasks")]
    shots: usize,
    #[command(flatten, next_help_heading = "Tasks")]
    tasks: TaskChoice,
    #[command(flatten, next_help_heading = "Tasks")]
    cache: CacheChoice,
    #[arg(
        long,
        value_name = "NAME",
        default_value_t = Head::default(),
        help_heading = "Classifier",
        help = format!("Classifier to fit in each task: {HEAD_NAMES}"),
        long_help = format!(
            "Classifier to fit in each task: {HEAD_NAMES}\n\n{}",
            "nearest-mean compares with the mean of each class. ridge and logistic are linear; LAMBDA \
             and C are positive weights. paper is the probe of the published protocol."
        )
    )]
    head: Head,
    #[command(flatten, next_help_heading = "Classifier")]
    shares: SharesChoice,
    /// Parts of the embedding to use: all, or names joined with +, such as invariant+equivariant
    ///
    /// `mtslvr inspect MODEL` lists the parts of a model.
    #[arg(
        long,
        value_name = "PARTS",
        default_value_t,
        help_heading = "Classifier"
    )]
    parts: FeatureChoice,
    /// File to write the figures to as JSON, or - for standard output [default: none]
    ///
    /// With `-` the table goes to standard error. One backbone gives an object, several give
    /// {"models": [...]} with such an object for each.
    ///
    /// Fields: model, engine, parts, queries and seed as they were given; mean, mean_mfcc and mean_random, the
    /// accuracies over all sets, percent; notes; and for each of sets: name, classes and clips that were drawn
    /// from, left_out (classes without a task), tasks, ways, shots, head, accuracy with ci95 (half of its 95 %
    /// interval), and the same of the controls: mfcc, mfcc_ci95, random, random_ci95 (null where there is none).
    #[arg(long, value_name = "FILE|-", help_heading = "Output")]
    json: Option<PathBuf>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        match self.report {
            Some(Report::OpenSet(args)) => args.run(),
            #[cfg(feature = "train")]
            Some(Report::Bias(args)) => args.run(),
            None => self.accuracy.run(),
        }
    }
}

impl Accuracy {
    fn run(self) -> Result<()> {
        self.tasks.check()?;
        if let Some(path) = &self.json {
            output_place::check_file("--json", path)?;
        }
        let sets = self.sets.open()?;
        let cache = self.cache.open()?;
        let settings = Settings {
            shape: self.tasks.shape(self.shots),
            tasks: self.tasks.tasks,
            head: self.head.with_shares(self.shares.get()),
            features: self.parts.clone(),
            seed: self.tasks.seed,
        };
        let models = match &self.models[..] {
            [] => ModelSource::all_shipped(),
            named => named.to_vec(),
        };
        let contenders = models
            .iter()
            .map(|model| Contender::open(model, &self, &cache));
        let mut contenders = contenders.collect::<Result<Vec<_>>>()?;
        for set in &sets {
            // Backbones of one rate share the decoded clips.
            let mut at_rate = BTreeMap::new();
            for contender in &mut contenders {
                let rate = contender.sample_rate();
                let (loaded, skipped) = at_rate
                    .entry(rate)
                    .or_insert_with(|| sets::load(set, rate, &cache));
                contender.evaluate(loaded, missing_note(set, *skipped), &settings)?;
            }
        }
        let finished = contenders
            .into_iter()
            .map(|contender| contender.finish(self.parts.to_string(), &self.tasks));
        let mut models: Vec<_> = finished.collect();
        match models.len() {
            1 => self.write(&models.remove(0)),
            _ => self.write(&Comparison { models }),
        }
    }

    /// Prints the table, and writes the figures as JSON where they were asked for.
    fn write(&self, figures: &(impl Display + Serialize)) -> Result<()> {
        let json = serde_json::to_string_pretty(figures)?;
        match &self.json {
            Some(path) if path.as_os_str() == "-" => {
                err!("{figures}");
                outln!("{json}");
            }
            Some(path) => {
                write_bytes(path, (json + "\n").as_bytes())
                    .with_context(|| format!("cannot write {}", path.shown()))?;
                out!("{figures}");
            }
            None => out!("{figures}"),
        }
        Ok(())
    }
}
