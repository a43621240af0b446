//! `mtslvr eval`: few-shot accuracy of a backbone, beside controls; and reports on more than that.

mod reports;

use super::cache::Cache;
use super::progress;
use crate::audio::LabelledSet;
use crate::evaluate::{
    Controls, EpisodeShape, Evaluation, FeatureChoice, HEAD_NAMES, Head, LoadedSet, Settings,
    evaluate_set,
};
use crate::export::inspect::Inspection;
use crate::export::{BackboneFile, Engine, ONNX_FILE, SLVR_FILE};
use crate::net::BackboneSpec;
use crate::train::RunFolder;
use anyhow::{Context, Result, bail, ensure};
use mtslvr_runtime::backbone::Backbone;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Measure how well a backbone learns classes from a few examples, beside an MFCC and a random-weights control
///
/// Tasks are drawn from labelled sets: N classes, K examples of each, and queries to classify.
/// Where a manifest.csv gives groups (speaker, kit, recording), a task keeps each group on one side.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An .onnx file, a .slvr file or a run folder
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
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
    /// Which of the embedding's halves the classifier sees
    #[arg(long, value_enum, default_value_t)]
    features: FeatureChoice,
    /// Decides the tasks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What runs the backbone [default: packed for a .slvr, tract for an .onnx or a run folder]
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    #[command(flatten)]
    cache: Cache,
    /// Write the figures as JSON to this file, or to standard output (`-`; the table then goes to
    /// standard error)
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

/// What a report says where clips of a set could not be read.
fn missing(set: &LabelledSet, skipped: usize) -> Option<String> {
    (skipped > 0).then(|| {
        format!(
            "{}: {skipped} of {} clips could not be read and are missing.",
            set.name,
            set.clips.len()
        )
    })
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
        let file = BackboneFile::read(&self.model, self.engine)?;
        let mut engines = (0..rayon::current_num_threads())
            .map(|_| file.backbone())
            .collect::<Result<Vec<_>, _>>()?;
        let frontend = *engines[0].frontend();
        let spec = trunk_of(&self.model, file.engine());
        let settings = Settings {
            shape: EpisodeShape {
                ways: self.ways,
                shots,
                queries: self.queries,
            },
            tasks: self.tasks,
            head: self.head,
            features: self.features,
            seed: self.seed,
        };
        let mut controls = Controls::new(&frontend, spec.as_ref(), self.seed)?;
        let mut notes = controls.notes.clone();
        let mut results = Vec::new();
        for set in &sets {
            let bar = progress::files(set.clips.len() as u64, &format!("reading {}", set.name));
            let (loaded, skipped) = LoadedSet::load(set, frontend.sample_rate, &cache, |done| {
                bar.set_position(done as u64);
            });
            bar.finish_and_clear();
            for file in &skipped {
                eprintln!("skipped: {file}");
            }
            notes.extend(missing(set, skipped.len()));
            let steps = (loaded.clips.len() * controls.rounds()) as u64;
            let bar = progress::files(steps, &format!("embedding {}", set.name));
            let result = evaluate_set(&mut engines, &mut controls, &loaded, &settings, &|| {
                bar.inc(1);
            })?;
            bar.finish_and_clear();
            if !result.left_out.is_empty() {
                notes.push(format!(
                    "{}: no task holds {}, whose clips are all of one group.",
                    set.name,
                    result.left_out.join(", ")
                ));
            }
            eprintln!(
                "{}: {:.1} ± {:.1}",
                result.name, result.accuracy, result.ci95
            );
            results.push(result);
        }
        let evaluation = Evaluation::new(
            self.model.display().to_string(),
            file.engine().name().to_owned(),
            self.features.name().to_owned(),
            self.queries,
            self.seed,
            results,
            notes,
        );
        self.write(&evaluation)
    }

    fn write(&self, evaluation: &Evaluation) -> Result<()> {
        let json = serde_json::to_string_pretty(evaluation)?;
        match &self.json {
            Some(path) if path.as_os_str() == "-" => {
                eprint!("{evaluation}");
                // A reader that closes the pipe early has had what it wanted.
                let _ = writeln!(std::io::stdout(), "{json}");
            }
            Some(path) => {
                std::fs::write(path, json + "\n")
                    .with_context(|| format!("cannot write {}", path.display()))?;
                print!("{evaluation}");
            }
            None => print!("{evaluation}"),
        }
        Ok(())
    }
}

/// Shape of the model's trunk, where it is known: from the run's configuration, or from what the
/// exporter wrote into the model.
fn trunk_of(model: &Path, engine: Engine) -> Option<BackboneSpec> {
    if model.is_dir()
        && let Ok((config, _)) = RunFolder::new(model).load()
    {
        return Some(config.backbone);
    }
    let file = match engine {
        _ if !model.is_dir() => model.to_owned(),
        Engine::Packed => model.join(SLVR_FILE),
        _ => model.join(ONNX_FILE),
    };
    let inspection = Inspection::of_file(&file).ok()?;
    BackboneSpec::from_provenance(&inspection.provenance)
}
