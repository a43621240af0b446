//! Few-shot accuracy on held-out sets while a run trains.

use super::config::MonitorConfig;
use crate::net::Trunk;
use crate::trunk_backbone::TrunkBackbone;
use anyhow::{Context, Result, anyhow, bail};
use mtslvr_audio::{DecodeCache, LabelledSet};
use mtslvr_evaluate::{EpisodeShape, Head, LoadedSet, TaskSet, embed_clips};
use mtslvr_runtime::frontend::FrontendConfig;
use std::sync::Arc;

/// Most queries of a class in a task.
const QUERIES: usize = 5;

/// The sets and their tasks, the same at every check.
#[derive(Debug)]
pub(super) struct Monitor {
    sets: Vec<(LoadedSet, TaskSet)>,
    frontend: FrontendConfig,
    /// Clean patches of the training audio, for the mean that heads centre by.
    reference: Vec<Vec<f32>>,
}

impl Monitor {
    /// Loads the sets, and draws their tasks from `seed`; `None` if none is configured.
    pub(super) fn open(
        config: &MonitorConfig,
        frontend: FrontendConfig,
        cache: &DecodeCache,
        reference: Vec<Vec<f32>>,
        seed: u64,
    ) -> Result<Option<Self>> {
        if config.sets.is_empty() {
            return Ok(None);
        }
        let shape = EpisodeShape {
            ways: config.ways,
            shots: config.shots,
            queries: QUERIES,
        };
        let mut sets = Vec::new();
        for set in LabelledSet::open_all(&config.sets).context("monitor.sets")? {
            let (loaded, skipped) = LoadedSet::load(&set, frontend.sample_rate, cache, |_| ());
            if let Some(first) = skipped.first() {
                bail!("monitor.sets: {first}");
            }
            let (classes, candidates) = (&loaded.classes, &loaded.candidates);
            let tasks =
                TaskSet::draw(&loaded.name, classes, candidates, shape, config.tasks, seed)?;
            sets.push((loaded, tasks));
        }
        Ok(Some(Self {
            sets,
            frontend,
            reference,
        }))
    }

    /// Accuracy of the trunk as it is, mean over the sets, percent.
    pub(super) fn accuracy(&self, trunk: &Arc<Trunk>) -> Result<f64> {
        let backbone = TrunkBackbone::new(trunk.clone(), self.frontend, &self.reference)?;
        let mut engines = vec![backbone; rayon::current_num_threads()];
        let mut sum = 0.0;
        for (set, tasks) in &self.sets {
            let features = embed_clips(&mut engines, &set.clips, || ())
                .map_err(|(_, error)| anyhow!("set `{}`: {error}", set.name))?;
            let accuracy = tasks.accuracy(&features, Head::default());
            sum += accuracy
                .map_err(|error| anyhow!("set `{}`: {error}", set.name))?
                .mean;
        }
        Ok(sum / self.sets.len() as f64)
    }
}
