//! `mtslvr eval --open-set` and `--bias`: reports that ask many things of the same embeddings.

use super::Args;
use crate::{progress, sets};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::LabelledSet;
use mtslvr_evaluate::{
    BiasReport, BiasResult, BiasSettings, CHOICES, EmbeddedSet, EpisodeShape, Head, OpenSetReport,
    OpenSetSettings, SHARES, bias, compared_parts, open_set,
};
use mtslvr_pack::{BackboneFile, ModelSource};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::HeadKind;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

/// What is asked about and with what.
struct Subject {
    file: BackboneFile,
    sets: Vec<EmbeddedSet>,
    /// Sets that settings may be chosen on.
    others: Vec<EmbeddedSet>,
    notes: Vec<String>,
}

/// Examples of each class where `--shots` does not say.
const OPEN_SET_SHOTS: [usize; 3] = [1, 5, 10];
const BIAS_SHOTS: [usize; 4] = [1, 3, 5, 10];

pub(super) fn run_open_set(args: &Args) -> Result<()> {
    let Head::Runtime(head) = args.head else {
        bail!("--open-set needs a head of the runtime, not {}", args.head);
    };
    let mut subject = Subject::load(args)?;
    let shots = args.shots_or(&OPEN_SET_SHOTS);
    let space = subject.sets[0].features.space.clone();
    let space = space.as_space();
    let parts = space.parts().as_slice().iter();
    let shares: Vec<String> = parts.map(|p| format!("{} {}", p.name, p.share)).collect();
    let mut results = Vec::new();
    for &shots in &shots {
        let settings = OpenSetSettings {
            shape: args.shape(shots),
            tasks: args.tasks,
            head,
            seed: args.seed,
            false_acceptance: args.false_acceptance,
        };
        let (sets, notes) = with_shots(&subject.sets, shots);
        subject.notes.extend(notes);
        for chosen in 0..sets.len() {
            eprintln!("{}, {shots} shots", sets[chosen].name);
            match open_set(&sets, chosen, &settings) {
                Ok(result) => results.push(result),
                Err(error) => subject.notes.push(format!("{shots} examples: {error}.")),
            }
        }
    }
    let report = OpenSetReport {
        model: subject.file.name().to_owned(),
        engine: subject.file.engine().name().to_owned(),
        checksum: space.backbone().to_string(),
        head: args.head.to_string(),
        ways: args.ways,
        queries: args.queries,
        tasks: args.tasks,
        seed: args.seed,
        false_acceptance: f64::from(args.false_acceptance * 1e4).round() / 100.0,
        shares: shares.join(", "),
        results,
        notes: subject.notes,
    };
    write(args, &report)
}

pub(super) fn run_bias(args: &Args) -> Result<()> {
    let Head::Runtime(HeadKind::Ridge { lambda }) = args.head else {
        bail!("--bias needs the ridge head, not {}", args.head);
    };
    let mut subject = Subject::load(args)?;
    let space = subject.sets[0].features.space.clone();
    let space = space.as_space();
    ensure!(
        compared_parts(space.parts()).is_some(),
        "{} does not have both invariant and equivariant features: there is nothing to choose",
        subject.file.name()
    );
    let shots = args.shots_or(&BIAS_SHOTS);
    let mut evaluate = |sets: &[EmbeddedSet]| -> Vec<BiasResult> {
        let mut results = Vec::new();
        for &shots in &shots {
            let settings = BiasSettings {
                shape: args.shape(shots),
                tasks: args.tasks,
                lambda,
                seed: args.seed,
            };
            let (sets, notes) = with_shots(sets, shots);
            subject.notes.extend(notes);
            for set in &sets {
                eprintln!("{}, {shots} shots", set.name);
                match bias(set, &settings) {
                    Ok(result) => results.push(result),
                    Err(error) => subject.notes.push(format!("{shots} examples: {error}.")),
                }
            }
        }
        results
    };
    let results = evaluate(&subject.sets);
    let chosen_on = evaluate(&subject.others);
    let report = BiasReport {
        model: subject.file.name().to_owned(),
        engine: subject.file.engine().name().to_owned(),
        checksum: space.backbone().to_string(),
        lambda,
        ways: args.ways,
        queries: args.queries,
        tasks: args.tasks,
        seed: args.seed,
        shares: SHARES,
        choices: CHOICES,
        results,
        chosen_on,
        notes: subject.notes,
    };
    write(args, &report)
}

impl Args {
    /// The model that a report is about.
    fn one_model(&self) -> Result<ModelSource> {
        match &self.models[..] {
            [] => Ok(ModelSource::default()),
            [model] => Ok(model.clone()),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                bail!(
                    "--model names {} models ({}); expected one with --open-set or --bias: make a \
                     report of each",
                    names.len(),
                    names.join(", ")
                )
            }
        }
    }

    fn shots_or(&self, default: &[usize]) -> Vec<usize> {
        if self.shots.is_empty() {
            default.to_vec()
        } else {
            self.shots.clone()
        }
    }

    fn shape(&self, shots: usize) -> EpisodeShape {
        EpisodeShape {
            ways: self.ways,
            shots,
            queries: self.queries,
        }
    }
}

impl Subject {
    fn load(args: &Args) -> Result<Self> {
        let file = BackboneFile::open(&args.one_model()?, args.engine)?;
        let mut engines = file.backbones()?;
        let rate = engines[0].space().frontend().sample_rate;
        let cache = args.cache.open()?;
        let mut notes = Vec::new();
        let mut embed = |folders: &[PathBuf]| -> Result<Vec<EmbeddedSet>> {
            let mut sets = Vec::new();
            for set in &LabelledSet::open_all(folders)? {
                let (loaded, skipped) = sets::load(set, rate, &cache);
                notes.extend(sets::missing(set, skipped));
                let clips = loaded.clips.len() as u64;
                let bar = progress::files(clips, &format!("embedding {}", set.name));
                sets.push(EmbeddedSet::of(&mut engines, loaded, &|| bar.inc(1))?);
                bar.finish_and_clear();
            }
            Ok(sets)
        };
        let sets = embed(&args.data)?;
        let others = match &args.choose_on[..] {
            [] => Vec::new(),
            folders => embed(folders)?,
        };
        Ok(Self {
            file,
            sets,
            others,
            notes,
        })
    }
}

/// The sets without classes that are too small, and notes that say so.
fn with_shots(sets: &[EmbeddedSet], shots: usize) -> (Vec<EmbeddedSet>, Vec<String>) {
    let mut notes = Vec::new();
    let sets = sets.iter().map(|set| {
        let (kept, dropped) = set.with_shots(shots);
        if !dropped.is_empty() {
            let list = dropped.join(", ");
            notes.push(format!(
                "{}: at {shots} examples without {list}, which have too few clips.",
                set.name
            ));
        }
        kept
    });
    (sets.collect(), notes)
}

/// Writes Markdown to `--report` or standard output, and JSON where it was asked for.
fn write(args: &Args, report: &(impl Display + Serialize)) -> Result<()> {
    let save = |path: &PathBuf, text: String| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut json_to_standard_output = false;
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(report)? + "\n";
        json_to_standard_output = path.as_os_str() == "-";
        if json_to_standard_output {
            // A reader that closes the pipe early has had what it wanted.
            let _ = write!(std::io::stdout(), "{json}");
        } else {
            save(path, json)?;
        }
    }
    match &args.report {
        Some(path) => save(path, report.to_string())?,
        None if json_to_standard_output => {}
        None => print!("{report}"),
    }
    Ok(())
}
