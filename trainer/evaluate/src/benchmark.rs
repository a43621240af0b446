//! Runs many episodes of one set, the same for a model and its controls.

use super::episodes::{Candidate, Episode, EpisodeError, EpisodeSampler, EpisodeShape};
use super::features::ClipFeatures;
use super::head::Head;
use super::interval::Accuracy;
use mtslvr_runtime::fewshot::FitError;
use rayon::prelude::*;

/// The tasks of one set, drawn once, so that a model and its controls answer the same questions.
#[derive(Clone, Debug)]
pub struct TaskSet {
    /// Classes that tasks are drawn from.
    pub classes: usize,
    /// Clips of those classes.
    pub clips: usize,
    /// Names of the classes that no task can hold.
    pub left_out: Vec<String>,
    /// The tasks.
    pub tasks: Vec<Episode>,
    seed: u64,
}

impl TaskSet {
    /// Draws `tasks` episodes of `shape` from `candidates`.
    ///
    /// # Errors
    /// If the set cannot give such episodes.
    pub fn draw(
        name: &str,
        class_names: &[String],
        candidates: &[Candidate],
        shape: EpisodeShape,
        tasks: usize,
        seed: u64,
    ) -> Result<Self, EpisodeError> {
        let sampler = EpisodeSampler::new(name, class_names, candidates, shape, seed)?;
        Ok(Self {
            classes: sampler.drawable().len(),
            clips: sampler.clips(),
            left_out: sampler.left_out(),
            tasks: (0..tasks as u64)
                .into_par_iter()
                .map(|task| sampler.episode(task))
                .collect::<Result<_, _>>()?,
            seed,
        })
    }

    /// Measures the accuracy of `head` on `features` of the set's clips. A task's accuracy is the mean
    /// over its classes of the share of right answers, so that every class counts the same however many
    /// queries it has.
    ///
    /// # Errors
    /// If the head cannot be fitted.
    pub fn accuracy(&self, features: &ClipFeatures, head: Head) -> Result<Accuracy, FitError> {
        let prepared = head.prepare(features);
        let tasks: Vec<f64> = self
            .tasks
            .par_iter()
            .enumerate()
            .map(|(index, task)| {
                let answers = head.classify(&prepared, task, self.seed ^ index as u64)?;
                let shares = answers.iter().enumerate().map(|(label, answers)| {
                    let right = answers.iter().filter(|&&a| a == label).count();
                    right as f64 / answers.len() as f64
                });
                Ok(shares.sum::<f64>() / answers.len() as f64)
            })
            .collect::<Result<_, _>>()?;
        Ok(Accuracy::over_tasks(&tasks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_space;
    use mtslvr_runtime::fewshot::Reference;

    fn set(separation: f32) -> (TaskSet, ClipFeatures) {
        let names: Vec<String> = (0..6).map(|c| c.to_string()).collect();
        let candidates: Vec<_> = (0..72)
            .map(|i| Candidate {
                class: i % 6,
                group: None,
            })
            .collect();
        let shape = EpisodeShape {
            ways: 5,
            shots: 1,
            queries: 3,
        };
        let rows = (0..72).flat_map(|i| {
            (0..6).map(move |d| {
                let own = if d == i % 6 { separation } else { 0.0 };
                own + ((i * 7 + d * 13) as f32 * 1.7).sin()
            })
        });
        let features = ClipFeatures {
            space: test_space(&[("features", 6, 1.0)], &[0.0; 6], Reference::assumed(0.5)),
            rows: rows.collect(),
        };
        (
            TaskSet::draw("six", &names, &candidates, shape, 200, 1).unwrap(),
            features,
        )
    }

    #[test]
    fn accuracy_is_chance_for_noise_and_full_for_clear_classes() {
        let (tasks, clear) = set(30.0);
        let full = tasks.accuracy(&clear, Head::default()).unwrap();
        assert_eq!((full.mean, full.ci95), (100.0, 0.0));
        let (tasks, noise) = set(0.0);
        let chance = tasks.accuracy(&noise, Head::default()).unwrap();
        assert!((10.0..30.0).contains(&chance.mean), "{}", chance.mean);
    }
}
