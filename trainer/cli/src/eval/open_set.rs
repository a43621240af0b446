//! `mtslvr eval open-set`: measures how well sounds that were never enrolled are rejected.

use super::report::{Embedder, ReportOutput, with_shots};
use super::shares::SharesChoice;
use super::tasks::{SetChoice, TaskChoice};
use crate::backbone::BackboneChoice;
use crate::cache::CacheChoice;
use crate::command_line::CommandLine;
use crate::examples::examples;
use crate::lists::{COMMA, SEVERAL};
use anyhow::{Result, ensure};
use mtslvr_evaluate::{Head, OpenSetReport, OpenSetSettings, open_set};
use mtslvr_runtime::fewshot::HeadKind;
use std::fmt;
use std::str::FromStr;

/// Measure how well sounds that were never enrolled are rejected
///
/// Each task enrols some classes of a set and then asks about their clips, about other classes of the
/// set and about other sets. The report tells how well enrolled sounds are separated from the others, and
/// how far the threshold, which is computed without hearing the others, is from the share of false
/// acceptances that it aims at.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.long_help(JSON_HELP)), after_help = examples!(
    "Write the report on the shipped edge-s" =>
        "mtslvr eval open-set --data labelled --report open-set.md",
    "Ask for fewer false acceptances, at 5 examples" =>
        "mtslvr eval open-set --data labelled --shots 5 --false-acceptance 0.01",
))]
pub(super) struct Args {
    #[command(flatten, next_help_heading = "Backbone")]
    backbone: BackboneChoice,
    #[command(flatten, next_help_heading = "Tasks")]
    sets: SetChoice,
    /// Numbers of examples of each class, each measured
    #[arg(
        long,
        value_name = "N",
        num_args = SEVERAL,
        value_delimiter = COMMA,
        default_value = "1,5,10",
        help_heading = "Tasks"
    )]
    shots: Vec<usize>,
    #[command(flatten, next_help_heading = "Tasks")]
    tasks: TaskChoice,
    #[command(flatten, next_help_heading = "Tasks")]
    cache: CacheChoice,
    #[arg(
        long,
        value_name = "NAME",
        default_value_t = RuntimeHead::default(),
        help_heading = "Classifier",
        help = format!("Classifier to fit in each task: {RUNTIME_HEADS}")
    )]
    head: RuntimeHead,
    #[command(flatten, next_help_heading = "Classifier")]
    shares: SharesChoice,
    /// Share of strange sounds that may be accepted, between 0 and 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.05,
        help_heading = "Classifier"
    )]
    false_acceptance: f32,
    #[command(flatten, next_help_heading = "Output")]
    output: ReportOutput,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
File to write the figures to as JSON, or - for standard output [default: none]

With `-` the report itself is written only where --report says. Shares and accuracies are in percent. Fields:
  command, model, engine, checksum (CRC-32 of the model's file): what made the report
  head, shares, ways, queries, tasks, seed, false_acceptance: as they were given
  notes: sentences on what is missing
  results: for each number of examples (shots) and each set (name)
    closed: clips of taught classes that get the right class if nothing may be rejected
    same_set, other_sets: separation from the set's other classes, and from other sets
      auroc: how often a taught clip is more like its best class than a stranger is
      accuracy: taught clips accepted and right, where just the permitted share of strangers passes
    without_cohort: both separations without the backbone's cohort; null if it has none
    thresholds: for each way to find a threshold without strangers (name), the mean threshold, accuracy, and the
      strangers that passed, false_same_set and false_other_sets
    chances: strangers of other sets with a stated chance below 1, 5, 10 and 20 %";

/// Names of the heads that can reject a sound.
const RUNTIME_HEADS: &str = "nearest-mean, ridge, ridge=LAMBDA, logistic, logistic=C";

/// A head of the runtime: it answers with similarities, which thresholds need.
#[derive(Clone, Copy, Debug, Default)]
struct RuntimeHead(HeadKind);

impl FromStr for RuntimeHead {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.parse() {
            Ok(Head::Runtime(head, _)) => Ok(Self(head)),
            _ => Err(format!(
                "expected a head that can reject sounds: {RUNTIME_HEADS}, with a positive number for \
                 LAMBDA and C"
            )),
        }
    }
}

impl fmt::Display for RuntimeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Head::Runtime(self.0, None).fmt(f)
    }
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        self.tasks.check()?;
        self.output.check()?;
        ensure!(
            self.false_acceptance > 0.0 && self.false_acceptance < 1.0,
            "--false-acceptance must be between 0 and 1, not {}",
            self.false_acceptance
        );
        let mut embedder = Embedder::open(&self.backbone)?;
        let all_sets = embedder.embed(&self.sets.data, &self.cache.open()?)?;
        let space = embedder.space();
        let space = space.as_space();
        let mut results = Vec::new();
        for &shots in &self.shots {
            let settings = OpenSetSettings {
                shape: self.tasks.shape(shots),
                tasks: self.tasks.tasks,
                head: self.head.0,
                shares: self.shares.get(),
                seed: self.tasks.seed,
                false_acceptance: self.false_acceptance,
            };
            let sets = with_shots(&all_sets, shots, &mut embedder.notes);
            for chosen in 0..sets.len() {
                errln!("{}, {shots} shots", sets[chosen].name);
                match open_set(&sets, chosen, &settings) {
                    Ok(result) => results.push(result),
                    // A set that is too small is no reason to lose the others.
                    Err(error) => embedder.notes.push(format!("{shots} examples: {error}.")),
                }
            }
        }
        let parts = space.parts().as_slice().iter();
        let shares: Vec<String> = parts
            .map(|p| format!("{} {:.2}", p.name, p.share))
            .collect();
        self.output.write(&OpenSetReport {
            command: CommandLine::of_this_process().for_document(),
            model: embedder.file.name().to_owned(),
            engine: embedder.file.engine().name().to_owned(),
            checksum: space.backbone().to_string(),
            head: Head::Runtime(self.head.0, self.shares.get()).to_string(),
            ways: self.tasks.ways,
            queries: self.tasks.queries,
            tasks: self.tasks.tasks,
            seed: self.tasks.seed,
            false_acceptance: f64::from(self.false_acceptance * 1e4).round() / 100.0,
            shares: shares.join(", "),
            results,
            notes: embedder.notes,
        })
    }
}
