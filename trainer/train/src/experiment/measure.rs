//! The accuracies of one network on the labelled sets.

use super::cell::Measurement;
use super::plan::EvaluationPlan;
use anyhow::{Error, Result, anyhow, bail};
use mtslvr_audio::{DecodeCache, LabelledSet};
use mtslvr_evaluate::{
    ClipFeatures, EpisodeShape, FeatureChoice, Head, LoadedSet, TaskSet, embed_clips,
};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::space::Parts;

/// The labelled sets, and how clips are loaded.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    /// The sets.
    pub sets: Vec<LabelledSet>,
    /// Cache of their decoded recordings.
    pub cache: DecodeCache,
    /// Hz.
    pub sample_rate: u32,
}

impl Sets {
    /// The clips of set `index`; a clip that cannot be read is an error, as figures of different
    /// cells would not be of the same clips.
    pub fn load(&self, index: usize) -> Result<LoadedSet> {
        let set = &self.sets[index];
        let (loaded, skipped) = LoadedSet::load(set, self.sample_rate, &self.cache, |_| ());
        match skipped.first() {
            None => Ok(loaded),
            Some(first) => bail!(
                "set `{}`: {} clips cannot be read, the first: {first}",
                set.name,
                skipped.len()
            ),
        }
    }
}

/// The features of a set's clips.
pub(super) fn features<B>(engines: &mut [B], set: &LoadedSet) -> Result<ClipFeatures>
where
    B: Backbone + Send,
    B::Error: Send,
{
    embed_clips(engines, &set.clips, || ()).map_err(|(clip, error)| {
        let class = &set.classes[set.candidates[clip].class];
        anyhow!(
            "set `{}`: a clip of class `{class}` cannot be embedded: {error}",
            set.name
        )
    })
}

/// Which figures are wanted of some features.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// `float` or `int8`.
    pub engine: &'static str,
    /// Shots, heads and parts.
    pub combinations: Vec<(usize, Head, FeatureChoice)>,
}

impl Wanted {
    /// Everything that the plan asks of the float network, whose embeddings have these `parts`.
    pub fn all(plan: &EvaluationPlan, parts: &Parts<'_>) -> Result<Self> {
        let (main, others) = (plan.main_head()?, plan.compared_heads()?);
        let mut combinations = Vec::new();
        for &shots in &plan.shots {
            combinations.push((shots, main, FeatureChoice::ALL));
            combinations.extend(others.iter().map(|&head| (shots, head, FeatureChoice::ALL)));
            if plan.ablation && parts.as_slice().len() > 1 {
                let each = parts.as_slice().iter();
                let each = each.map(|part| FeatureChoice::part(part.name));
                combinations.extend(each.map(|part| (shots, main, part)));
            }
        }
        Ok(Self {
            engine: "float",
            combinations,
        })
    }

    /// Returns the questions to the packed network and to a control: the main head at the main shots, or at
    /// all of them.
    pub fn main(plan: &EvaluationPlan, engine: &'static str, all_shots: bool) -> Result<Self> {
        let head = plan.main_head()?;
        let count = if all_shots { plan.shots.len() } else { 1 };
        let shots = plan.shots.iter().take(count);
        Ok(Self {
            engine,
            combinations: shots.map(|&s| (s, head, FeatureChoice::ALL)).collect(),
        })
    }
}

/// Measures `wanted` on one set; a note where the set cannot give such tasks.
pub(super) fn measure(
    plan: &EvaluationPlan,
    set: &LoadedSet,
    features: &ClipFeatures,
    wanted: &Wanted,
    measurements: &mut Vec<Measurement>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let mut shots: Vec<usize> = wanted.combinations.iter().map(|c| c.0).collect();
    shots.dedup();
    for shots in shots {
        let shape = EpisodeShape {
            ways: plan.ways,
            shots,
            queries: plan.queries,
        };
        let tasks = TaskSet::draw(
            &set.name,
            &set.classes,
            &set.candidates,
            shape,
            plan.tasks,
            plan.seed,
        );
        let tasks = match tasks {
            Ok(tasks) => tasks,
            Err(error) => {
                let note = format!("{shots} shots: {error}.");
                if !notes.contains(&note) {
                    notes.push(note);
                }
                continue;
            }
        };
        for (_, head, choice) in wanted.combinations.iter().filter(|c| c.0 == shots) {
            let chosen = features.clone().choose(choice).map_err(Error::msg)?;
            let accuracy = tasks
                .accuracy(&chosen, *head)
                .map_err(|error| anyhow!("set `{}`, head {head}: {error}", set.name))?;
            measurements.push(Measurement {
                set: set.name.clone(),
                shots,
                head: head.to_string(),
                features: choice.clone(),
                engine: wanted.engine.to_owned(),
                accuracy: accuracy.mean,
                ci95: accuracy.ci95,
            });
        }
    }
    Ok(())
}
