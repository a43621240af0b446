//! `mtslvr eval bias`: measures how much the invariant and the equivariant part should count.

use super::report::{Embedder, ReportOutput, with_shots};
use super::tasks::{SetChoice, TaskChoice};
use crate::backbone::BackboneChoice;
use crate::cache::CacheChoice;
use crate::command_line::CommandLine;
use crate::examples::examples;
use crate::lists::{COMMA, SEVERAL};
use anyhow::{Result, ensure};
use mtslvr_evaluate::{
    BiasReport, BiasResult, BiasSettings, CHOICES, EmbeddedSet, SHARES, bias, compared_parts,
};
use mtslvr_runtime::fewshot::HeadKind;
use std::path::PathBuf;

/// Measure how much the invariant and equivariant parts should count
///
/// Tries shares of the invariant part from 0 to 1 in the similarity, each fixed for all tasks, and rules
/// that choose a share for each task from its examples. The classifier is the ridge head.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.long_help(JSON_HELP)), after_help = examples!(
    "Write the report on the shipped edge-s" =>
        "mtslvr eval bias --data labelled --report bias.md",
    "Report the sets apart that you chose the share on" =>
        "mtslvr eval bias --data labelled --choose-on proxy --tasks 300",
))]
pub(super) struct Args {
    #[command(flatten, next_help_heading = "Backbone")]
    backbone: BackboneChoice,
    #[command(flatten, next_help_heading = "Tasks")]
    sets: SetChoice,
    /// Labelled sets that the share may be chosen on, reported apart [default: none]
    #[arg(long, value_name = "DIR", num_args = SEVERAL, help_heading = "Tasks")]
    choose_on: Vec<PathBuf>,
    /// Numbers of examples of each class, each measured
    #[arg(
        long,
        value_name = "N",
        num_args = SEVERAL,
        value_delimiter = COMMA,
        default_value = "1,3,5,10",
        help_heading = "Tasks"
    )]
    shots: Vec<usize>,
    #[command(flatten, next_help_heading = "Tasks")]
    tasks: TaskChoice,
    #[command(flatten, next_help_heading = "Tasks")]
    cache: CacheChoice,
    /// Weight of the ridge head's penalty, above 0
    #[arg(
        long,
        value_name = "LAMBDA",
        default_value_t = default_lambda(),
        help_heading = "Classifier"
    )]
    lambda: f32,
    #[command(flatten, next_help_heading = "Output")]
    output: ReportOutput,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
File to write the figures to as JSON, or - for standard output [default: none]

With `-` the report itself is written only where --report says. Accuracies are in percent. Fields:
  command, model, engine, checksum (CRC-32 of the model's file): what made the report
  lambda, ways, queries, tasks, seed: as they were given
  shares: shares of the invariant part that were tried
  choices: names of the rules that choose a share for each task
  notes: sentences on what is missing
  results, chosen_on: for each set of --data, and of --choose-on (name), and each number of examples (shots)
    fixed: accuracy with each of shares
    chosen: accuracy with each of choices
    ci95: half of the 95 % interval at the share of exported models
    unrounded: accuracy at that share with embeddings that are not rounded to int8
    gain, gain_ci95: difference to plain concatenation at that share, and half of its 95 % interval";

/// Returns the runtime's own weight of the penalty.
fn default_lambda() -> f32 {
    match HeadKind::default() {
        HeadKind::Ridge { lambda } => lambda,
        _ => 1.0,
    }
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        self.tasks.check()?;
        self.output.check()?;
        ensure!(
            self.lambda > 0.0 && self.lambda.is_finite(),
            "--lambda must be above 0, not {}",
            self.lambda
        );
        let mut embedder = Embedder::open(&self.backbone)?;
        let space = embedder.space();
        let space = space.as_space();
        ensure!(
            compared_parts(space.parts()).is_some(),
            "{}: the model lacks the invariant or the equivariant part, so there is no share to \
             measure; expected a model with both",
            embedder.file.name()
        );
        let cache = self.cache.open()?;
        let sets = embedder.embed(&self.sets.data, &cache)?;
        let others = match &self.choose_on[..] {
            [] => Vec::new(),
            folders => embedder.embed(folders, &cache)?,
        };
        let results = self.measure(&sets, &mut embedder.notes);
        let chosen_on = self.measure(&others, &mut embedder.notes);
        self.output.write(&BiasReport {
            command: CommandLine::of_this_process().for_document(),
            model: embedder.file.name().to_owned(),
            engine: embedder.file.engine().name().to_owned(),
            checksum: space.backbone().to_string(),
            lambda: self.lambda,
            ways: self.tasks.ways,
            queries: self.tasks.queries,
            tasks: self.tasks.tasks,
            seed: self.tasks.seed,
            shares: SHARES,
            choices: CHOICES,
            results,
            chosen_on,
            notes: embedder.notes,
        })
    }

    /// Measures every set at every number of examples; a set that is too small is noted.
    fn measure(&self, sets: &[EmbeddedSet], notes: &mut Vec<String>) -> Vec<BiasResult> {
        let mut results = Vec::new();
        for &shots in &self.shots {
            let settings = BiasSettings {
                shape: self.tasks.shape(shots),
                tasks: self.tasks.tasks,
                lambda: self.lambda,
                seed: self.tasks.seed,
            };
            for set in &with_shots(sets, shots, notes) {
                errln!("{}, {shots} shots", set.name);
                match bias(set, &settings) {
                    Ok(result) => results.push(result),
                    Err(error) => notes.push(format!("{shots} examples: {error}.")),
                }
            }
        }
        results
    }
}
