//! `mtslvr eval`: few-shot accuracy of a backbone, beside controls; and reports on more than that.

mod contender;
mod reports;

use super::cache::Cache;
use super::sets;
use anyhow::{Context, Result, bail, ensure};
use contender::Contender;
use mtslvr_audio::LabelledSet;
use mtslvr_evaluate::{Comparison, EpisodeShape, FeatureChoice, HEAD_NAMES, Head, Settings};
use mtslvr_pack::{Engine, ModelSource, model_kinds};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

/// Measure how well a backbone learns classes from a few examples, beside an MFCC and a random-weights control
///
/// Tasks are drawn from labelled sets: N classes, K examples of each, and queries to classify.
/// Where a manifest.csv gives groups (speaker, kit, recording), a task keeps each group on one side.
/// Several models get the very same tasks, each beside controls that have its features and its shape.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(
        long = "model",
        value_name = "MODEL",
        num_args = 1..,
        help = format!(
            "What is measured, one or several: {} [default: every shipped backbone; {} with --open-set \
             or --bias, which take one]",
            model_kinds(),
            ModelSource::default()
        )
    )]
    models: Vec<ModelSource>,
    /// Labelled sets (DIR/<class>/<clip>), or folders of such sets
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Classes in a task
    #[arg(long, default_value_t = 5)]
    ways: usize,
    /// Examples of each class; the reports take several numbers [default: 1; 1,5,10 with --open-set;
    /// 1,3,5,10 with --bias]
    #[arg(long, value_delimiter = ',', value_name = "N[,N...]")]
    shots: Vec<usize>,
    /// Most queries of each class in a task
    #[arg(long, default_value_t = 5)]
    queries: usize,
    /// Tasks a set
    #[arg(long, default_value_t = 1000)]
    tasks: usize,
    #[arg(long, value_name = "NAME", default_value_t = Head::default(), help = format!("The classifier: {HEAD_NAMES}"))]
    head: Head,
    /// Parts of the embedding that the classifier sees: all, or names with + between them, as in
    /// invariant+events; `mtslvr inspect` lists them
    #[arg(long, value_name = "PARTS", default_value_t)]
    features: FeatureChoice,
    /// Decides the tasks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What runs the backbone [default: packed; tract for an .onnx or a run folder]
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    #[command(flatten)]
    cache: Cache,
    /// Write the figures as JSON to this file, or to standard output (`-`; the table then goes to
    /// standard error): one object; of several models {"models": [...]}, with such an object for each
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// Instead: how well enrolled sounds are told from sounds of none of the classes, and how far the
    /// calibrated threshold is from its nominal rate
    #[arg(long, conflicts_with_all = ["bias", "features"])]
    open_set: bool,
    /// Share of such sounds that may be accepted
    #[arg(
        long,
        default_value_t = 0.05,
        requires = "open_set",
        value_name = "SHARE"
    )]
    false_acceptance: f32,
    /// Instead: how much invariant and equivariant features should count, fixed or chosen for each task
    #[arg(long, conflicts_with = "features")]
    bias: bool,
    /// Labelled sets that settings may be chosen on, reported apart
    #[arg(long, value_name = "DIR", num_args = 1.., requires = "bias")]
    choose_on: Vec<PathBuf>,
    /// Write the report as Markdown to this file, not to standard output
    #[arg(long, value_name = "FILE.md")]
    report: Option<PathBuf>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        ensure!(self.tasks > 0, "--tasks must be at least 1");
        ensure!(
            (2..=256).contains(&self.ways),
            "--ways must be from 2 to 256, not {}",
            self.ways
        );
        if self.open_set {
            ensure!(
                self.false_acceptance > 0.0 && self.false_acceptance < 1.0,
                "--false-acceptance must be between 0 and 1, not {}",
                self.false_acceptance
            );
            return reports::run_open_set(&self);
        }
        if self.bias {
            return reports::run_bias(&self);
        }
        ensure!(
            self.report.is_none(),
            "--report goes with --open-set or --bias"
        );
        let shots = match self.shots[..] {
            [] => 1,
            [shots] => shots,
            _ => bail!("--shots takes one number, unless with --open-set or --bias"),
        };
        let sets = LabelledSet::open_all(&self.data)?;
        let cache = self.cache.open()?;
        let settings = Settings {
            shape: EpisodeShape {
                ways: self.ways,
                shots,
                queries: self.queries,
            },
            tasks: self.tasks,
            head: self.head,
            features: self.features.clone(),
            seed: self.seed,
        };
        let models = match &self.models[..] {
            [] => ModelSource::all_shipped(),
            named => named.to_vec(),
        };
        let contenders = models.iter().map(|model| Contender::open(model, &self));
        let mut contenders = contenders.collect::<Result<Vec<_>>>()?;
        for set in &sets {
            let mut at_rate = BTreeMap::new();
            for contender in &mut contenders {
                let rate = contender.sample_rate();
                let (loaded, skipped) = at_rate
                    .entry(rate)
                    .or_insert_with(|| sets::load(set, rate, &cache));
                contender.evaluate(loaded, sets::missing(set, *skipped), &settings)?;
            }
        }
        let mut models: Vec<_> = contenders.into_iter().map(|c| c.finish(&self)).collect();
        match models.len() {
            1 => self.write(&models.remove(0)),
            _ => self.write(&Comparison { models }),
        }
    }

    fn write(&self, figures: &(impl Display + Serialize)) -> Result<()> {
        let json = serde_json::to_string_pretty(figures)?;
        match &self.json {
            Some(path) if path.as_os_str() == "-" => {
                eprint!("{figures}");
                // A reader that closes the pipe early has had what it wanted.
                let _ = writeln!(std::io::stdout(), "{json}");
            }
            Some(path) => {
                std::fs::write(path, json + "\n")
                    .with_context(|| format!("cannot write {}", path.display()))?;
                print!("{figures}");
            }
            None => print!("{figures}"),
        }
        Ok(())
    }
}
