//! The plan of an experiment: its TOML file, and the runs that follow from it.

use crate::train::RunConfig;
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::read_regular;
use mtslvr_evaluate::Head;
use mtslvr_pack::SLVR_FILE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// An experiment file: variants of one configuration, each trained from several seeds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Heading of the tables.
    pub title: String,
    /// The preset that variants start from.
    pub preset: String,
    /// Changed in every variant, each `table.key=value` as after `--set`.
    #[serde(default)]
    pub settings: Vec<String>,
    /// Seeds of the variants that name none of their own.
    pub seeds: Vec<u64>,
    /// Length of the variants' training.
    pub compute: Compute,
    /// Measurements of each.
    #[serde(default)]
    pub evaluate: EvaluationPlan,
    /// The variants, in the order of the tables.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
    /// Files of the variants' teachers, each `NAME=FILE` as after `--teacher`: of the variants that have
    /// a teacher of that name.
    #[serde(skip)]
    pub teachers: Vec<String>,
}

/// Length of each variant's training.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, tag = "match", rename_all = "kebab-case")]
pub enum Compute {
    /// The same number of steps: a variant with two paths then computes about twice as much.
    Steps {
        /// Optimiser steps.
        steps: u64,
    },
    /// The same multiply-accumulates in the trunk: the costliest variant takes `steps`, a cheaper one
    /// as many more as its forward pass is cheaper. It also sees as many more sounds.
    Macs {
        /// Optimiser steps of the costliest variant.
        steps: u64,
    },
    /// The same time; not repeatable.
    Minutes {
        /// Minutes of training.
        minutes: f64,
    },
}

/// Measurements of each trained network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationPlan {
    /// Classes in a task.
    pub ways: usize,
    /// Examples of each class; the first is the tables' main one.
    pub shots: Vec<usize>,
    /// Most queries of a class in a task.
    pub queries: usize,
    /// Tasks a set.
    pub tasks: usize,
    /// Decides the tasks: they are the same for every variant and seed.
    pub seed: u64,
    /// The head of the main tables.
    pub head: String,
    /// Heads that are compared on all parts of the embedding.
    pub heads: Vec<String>,
    /// Whether each path's features are measured alone.
    pub ablation: bool,
    /// Whether the packed model is measured beside the float one.
    pub int8: bool,
    /// Clips, spread over the sets, on which invariance to each operator is measured; 0: none.
    pub invariance_clips: usize,
}

impl Default for EvaluationPlan {
    fn default() -> Self {
        Self {
            ways: 5,
            shots: vec![1],
            queries: 5,
            tasks: 1000,
            seed: 1,
            head: Head::default().to_string(),
            heads: Vec::new(),
            ablation: true,
            int8: false,
            invariance_clips: 300,
        }
    }
}

/// One row of the tables.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name of the variant.
    pub name: String,
    /// Variants of one group stand together, and are compared with its first.
    #[serde(default)]
    pub group: String,
    /// Changed beside the plan's own settings.
    #[serde(default)]
    pub settings: Vec<String>,
    /// Seeds, in place of the plan's.
    pub seeds: Option<Vec<u64>>,
    /// Preset, in place of the plan's.
    pub preset: Option<String>,
    /// Steps, in place of the plan's, where compute is matched by steps.
    pub steps: Option<u64>,
    /// An earlier variant whose packed model, of its first seed, teaches this one's paths. The teacher is
    /// called as its folder, without the seed.
    pub taught_by: Option<String>,
}

/// One training run of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Index of its variant.
    pub variant: usize,
    /// The seed.
    pub seed: u64,
    /// Name of its folder.
    pub folder: String,
    /// The whole configuration.
    pub config: RunConfig,
}

impl Plan {
    /// Reads an experiment file, applies `settings` to every variant, after its own, and names the
    /// files of their `teachers`.
    ///
    /// # Errors
    /// If the file cannot be read, or a value in it cannot be used.
    pub fn read(path: &Path, settings: &[String], teachers: &[String]) -> Result<Self> {
        let name = path.display();
        let reading = || format!("cannot read {name}");
        let text = String::from_utf8(read_regular(path).with_context(reading)?);
        let text = text.with_context(reading)?;
        let mut plan: Self = toml::from_str(&text).with_context(|| format!("in {name}"))?;
        for variant in &mut plan.variants {
            variant.settings.extend_from_slice(settings);
        }
        plan.teachers = teachers.to_vec();
        plan.check().with_context(|| format!("in {name}"))?;
        Ok(plan)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.variants.is_empty(), "there is no [[variant]]");
        let mut labels = BTreeSet::new();
        for variant in &self.variants {
            let label = variant.label();
            if let Some(teacher) = &variant.taught_by {
                ensure!(
                    labels.contains(&folder_name(teacher)),
                    "variant {label:?} is taught by {teacher:?}, and no variant before it is called so"
                );
            }
            if let Some(steps) = variant.steps
                && !matches!(self.compute, Compute::Steps { .. })
            {
                bail!(
                    "variant {label:?} has steps = {steps}; expected none where compute is not matched by steps"
                );
            }
            ensure!(
                labels.insert(folder_name(&label)),
                "two variants are called {label:?}, as far as a folder's name can tell"
            );
            ensure!(
                !self.seeds_of(variant).is_empty(),
                "variant {label:?} has no seeds"
            );
        }
        let evaluate = &self.evaluate;
        ensure!(
            !evaluate.shots.is_empty() && evaluate.tasks > 0,
            "[evaluate] needs at least one entry in shots, and tasks of at least 1"
        );
        evaluate.main_head()?;
        evaluate.compared_heads()?;
        Ok(())
    }

    /// Sentences that say how compute is matched, and where it is not.
    pub fn compute_sentence(&self) -> String {
        let mut text = self.compute.sentence();
        let own = |variant: &Variant| Some(format!("{} ({})", variant.label(), variant.steps?));
        let own: Vec<String> = self.variants.iter().filter_map(own).collect();
        if !own.is_empty() {
            text += &format!(" But for: {}.", own.join("; "));
        }
        if self.variants.iter().any(|v| v.taught_by.is_some()) {
            text += " A teacher's passes are not counted.";
        }
        text
    }

    fn seeds_of<'p>(&'p self, variant: &'p Variant) -> &'p [u64] {
        variant.seeds.as_deref().unwrap_or(&self.seeds)
    }

    /// Every run, each in a folder of its own in `out`: all variants of the first seed, then of the
    /// second, and so on, so that an experiment that is cut short has compared all variants at least
    /// once.
    ///
    /// # Errors
    /// If a configuration cannot be used, the variants differ in their sample rate, or no variant has a
    /// teacher that is named.
    pub fn cells(&self, out: &Path) -> Result<Vec<Cell>> {
        let configs = self.variants.iter().map(|variant| {
            self.config(variant, out)
                .with_context(|| format!("variant {:?}", variant.label()))
        });
        let mut configs: Vec<RunConfig> = configs.collect::<Result<_>>()?;
        let rate = configs[0].frontend.sample_rate;
        if let Some(other) = configs.iter().find(|c| c.frontend.sample_rate != rate) {
            bail!(
                "the variants' frontend.sample_rate are {rate} and {}; recordings are loaded once, at one rate",
                other.frontend.sample_rate
            );
        }
        for teacher in &self.teachers {
            let name = teacher.split('=').next().unwrap_or_default();
            let mut configs = configs.iter();
            ensure!(
                configs.any(|config| config.objective.teachers.contains_key(name)),
                "--teacher {teacher}: no variant has a teacher {name}"
            );
        }
        let costs: Vec<u64> = configs.iter().map(forward_macs).collect();
        let costliest = costs.iter().copied().max().unwrap_or(1);
        for ((variant, config), cost) in self.variants.iter().zip(&mut configs).zip(costs) {
            match self.compute {
                Compute::Steps { steps } => config.train.steps = variant.steps.unwrap_or(steps),
                Compute::Macs { steps } => {
                    let more = costliest as f64 / cost.max(1) as f64;
                    config.train.steps = (steps as f64 * more).round() as u64;
                }
                Compute::Minutes { minutes } => {
                    (config.train.steps, config.train.minutes) = (0, minutes);
                }
            }
            config.check()?;
        }
        let rounds = self.variants.iter().map(|v| self.seeds_of(v).len());
        let mut cells = Vec::new();
        for round in 0..rounds.max().unwrap_or(0) {
            for (index, variant) in self.variants.iter().enumerate() {
                let Some(&seed) = self.seeds_of(variant).get(round) else {
                    continue;
                };
                let mut config = configs[index].clone();
                config.train.seed = seed;
                cells.push(Cell {
                    variant: index,
                    seed,
                    folder: folder(&variant.label(), seed),
                    config,
                });
            }
        }
        Ok(cells)
    }

    /// The configuration of `variant`, but for what compute and the seed decide.
    fn config(&self, variant: &Variant, out: &Path) -> Result<RunConfig> {
        let preset = variant.preset.as_ref().unwrap_or(&self.preset);
        let preset = RunConfig::preset(preset)?.to_toml()?;
        let settings = [&self.settings[..], &variant.settings].concat();
        let mut config = RunConfig::from_toml(&preset, &settings)?;
        if let Some(label) = &variant.taught_by {
            let called_so = |v: &&Variant| folder_name(&v.label()) == folder_name(label);
            let teacher = self.variants.iter().find(called_so);
            let seed = self.seeds_of(teacher.context("no such teacher")?)[0];
            let model = out.join(folder(label, seed)).join(SLVR_FILE);
            let name = folder_name(label);
            let teacher = config.objective.teachers.entry(name).or_default();
            teacher.model = Some(model.display().to_string());
        }
        let known = |teacher: &&String| {
            let name = teacher.split_once('=').map(|(name, _)| name);
            // What is not of the form is named by the configuration.
            name.is_none_or(|name| config.objective.teachers.contains_key(name))
        };
        let named: Vec<String> = self.teachers.iter().filter(known).cloned().collect();
        config.name_teachers(&named)?;
        Ok(config)
    }
}

/// Multiply-accumulates of one forward pass over one patch.
pub fn forward_macs(config: &RunConfig) -> u64 {
    let (frames, mels) = (config.frontend.frames, config.frontend.mels);
    config.backbone.forward_macs(frames.into(), mels.into())
}

impl Compute {
    /// A sentence that says how compute is matched.
    fn sentence(&self) -> String {
        match self {
            Self::Steps { steps } => format!(
                "Every variant took {steps} steps; one with two paths computes about twice as much in a step."
            ),
            Self::Macs { steps } => format!(
                "Compute is matched by the multiply-accumulates of the trunk's forward passes: the costliest variant \
                 took {steps} steps, a cheaper one as many more as its pass over a patch is cheaper, and so saw more \
                 sounds."
            ),
            Self::Minutes { minutes } => {
                format!("Compute is matched by time: every variant trained for {minutes} minutes.")
            }
        }
    }
}

impl Variant {
    /// Group and name.
    pub fn label(&self) -> String {
        match self.group.as_str() {
            "" => self.name.clone(),
            group => format!("{group}: {}", self.name),
        }
    }
}

impl EvaluationPlan {
    /// Returns the head of the main tables.
    ///
    /// # Errors
    /// If the plan names an unknown head.
    pub fn main_head(&self) -> Result<Head> {
        self.head.parse().context("[evaluate] head")
    }

    /// Returns the heads that are compared, without the main one.
    ///
    /// # Errors
    /// If the plan names an unknown head.
    pub fn compared_heads(&self) -> Result<Vec<Head>> {
        let main = self.main_head()?;
        let heads: Vec<Head> = self
            .heads
            .iter()
            .map(|name| name.parse().context("[evaluate] heads"))
            .collect::<Result<_>>()?;
        Ok(heads.into_iter().filter(|head| *head != main).collect())
    }
}

/// Returns the name of the run of a variant and a seed.
fn folder(label: &str, seed: u64) -> String {
    format!("{}-{seed}", folder_name(label))
}

/// Letters and digits as they are, all else as single dashes.
fn folder_name(label: &str) -> String {
    let mut name = String::new();
    for c in label.to_lowercase().chars() {
        if c.is_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
title = "a test"
preset = "edge-s"
settings = ["train.batch=8", "backbone.adapters.kind=parallel"]
seeds = [1, 2]
compute = { match = "macs", steps = 100 }

[[variant]]
group = "SimCLR"
name = "contrastive only"
settings = ["backbone.adapters.kind=none", 'objective.tasks=["contrastive"]']

[[variant]]
group = "SimCLR"
name = "parallel"
seeds = [2, 3, 4]
"#;

    fn plan(text: &str) -> Result<Plan> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        std::fs::write(&path, text).unwrap();
        Plan::read(&path, &["train.warmup=0.1".to_owned()], &[])
    }

    #[test]
    fn cells_go_seed_by_seed_with_compute_matched() {
        let cells = plan(PLAN).unwrap().cells(Path::new("out")).unwrap();
        let folders: Vec<&str> = cells.iter().map(|cell| cell.folder.as_str()).collect();
        let expected = [
            "simclr-contrastive-only-1",
            "simclr-parallel-2",
            "simclr-contrastive-only-2",
            "simclr-parallel-3",
            "simclr-parallel-4",
        ];
        assert_eq!(folders, expected);
        let [alone, both] = [&cells[0].config, &cells[1].config];
        assert_eq!((alone.train.seed, alone.train.batch), (1, 8));
        assert_eq!((both.train.steps, both.train.warmup), (100, 0.1));
        let work = |config: &RunConfig| (config.train.steps * forward_macs(config)) as f64;
        assert!((work(alone) / work(both) - 1.0).abs() < 0.01);
        assert!((150..200).contains(&alone.train.steps));
    }

    #[test]
    fn a_variant_may_learn_from_an_earlier_one_and_differ_in_preset_and_steps() {
        let text = r#"
title = "a test"
preset = "edge-m"
seeds = [7, 8]
compute = { match = "steps", steps = 100 }

[[variant]]
name = "the teacher"
seeds = [3]
steps = 900

[[variant]]
name = "student"
preset = "edge-s"
taught_by = "the teacher"
settings = ["objective.teachers.the-teacher.weight=20.0"]
"#;
        let plan = plan(text).unwrap();
        let cells = plan.cells(Path::new("out")).unwrap();
        let steps: Vec<u64> = cells.iter().map(|cell| cell.config.train.steps).collect();
        assert_eq!(steps, [900, 100, 100]);
        let teacher = |cell: &Cell| {
            let teacher = cell.config.objective.teachers.get("the-teacher")?;
            assert_eq!(teacher.weight, 20.0);
            teacher.model.clone()
        };
        assert_eq!(teacher(&cells[0]), None);
        let model = Path::new("out").join("the-teacher-3").join("model.slvr");
        for cell in &cells[1..] {
            assert_eq!(teacher(cell).as_deref(), model.to_str());
            let edge_s = RunConfig::preset("edge-s").unwrap();
            assert_eq!(cell.config.backbone, edge_s.backbone);
        }
        let sentence = plan.compute_sentence();
        assert!(sentence.contains("the teacher (900)"), "{sentence}");
        assert!(
            sentence.contains("A teacher's passes are not counted"),
            "{sentence}"
        );
    }

    #[test]
    fn files_of_teachers_go_to_the_variants_that_have_them() {
        let text = PLAN.replace(
            "seeds = [2, 3, 4]",
            "settings = ['objective.teachers.big={ weight = 3.0 }']",
        );
        let mut plan = plan(&text).unwrap();
        plan.teachers = vec!["big=edge-m".to_owned()];
        let cells = plan.cells(Path::new("out")).unwrap();
        let model = |cell: &Cell| cell.config.objective.teachers.get("big")?.model.clone();
        assert_eq!(model(&cells[0]), None);
        assert_eq!(model(&cells[1]).as_deref(), Some("edge-m"));
        for (teacher, said) in [("bag=edge-m", "no variant"), ("big", "NAME=FILE")] {
            plan.teachers = vec![teacher.to_owned()];
            let error = plan.cells(Path::new("out")).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let error = |from: &str, to: &str| {
            let plan = plan(&PLAN.replace(from, to));
            format!(
                "{:#}",
                plan.and_then(|plan| plan.cells(Path::new("out")))
                    .unwrap_err()
            )
        };
        assert!(error("\"parallel\"", "\"contrastive: only\"").contains("two variants"));
        assert!(error("[2, 3, 4]", "[]").contains("no seeds"));
        assert!(error("train.batch=8", "train.bath=8").contains("bath"));
        assert!(error("edge-s", "edge-z").contains("edge-s, edge-m"));
        assert!(error("match = \"macs\"", "match = \"luck\"").contains("luck"));
        let head = error("compute = {", "evaluate = { head = \"svm\" }\ncompute = {");
        assert!(head.contains("svm"), "{head}");
        let rate = error(
            "seeds = [2, 3, 4]",
            "settings = [\"frontend.sample_rate=8000\", \"frontend.f_max=4000.0\"]",
        );
        assert!(rate.contains("sample_rate"), "{rate}");
        let variant = |line: &str| error("seeds = [2, 3, 4]", line);
        let teacher = variant("taught_by = \"SimCLR: series\"");
        assert!(teacher.contains("SimCLR: series"), "{teacher}");
        let steps = variant("steps = 9");
        assert!(steps.contains("steps = 9") && steps.contains("SimCLR: parallel"));
    }
}
