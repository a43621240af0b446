//! Holds the embeddings of a labelled set, for evaluations that use the same clips many times.

use super::controls::LoadedSet;
use super::episodes::Candidate;
use super::features::{ClipFeatures, embed_clips};
use anyhow::{Result, anyhow};
use mtslvr_runtime::backbone::Backbone;

/// A labelled set without its samples.
#[derive(Clone, Debug)]
pub struct EmbeddedSet {
    /// Its name.
    pub name: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Class and group of each clip.
    pub candidates: Vec<Candidate>,
    /// The embedding of each clip.
    pub features: ClipFeatures,
}

impl EmbeddedSet {
    /// Embeds the clips of `set`, one thread for each engine; `progress` is called once a clip.
    ///
    /// # Errors
    /// If an engine fails.
    pub fn of<B>(engines: &mut [B], set: LoadedSet, progress: &(dyn Fn() + Sync)) -> Result<Self>
    where
        B: Backbone + Send,
        B::Error: Send,
    {
        let features = embed_clips(engines, &set.clips, progress)
            .map_err(|(clip, error)| anyhow!("set `{}`, clip {clip}: {error}", set.name))?;
        Ok(Self {
            name: set.name,
            classes: set.classes,
            candidates: set.candidates,
            features,
        })
    }

    /// Returns the set without the classes that have no clip left for a query after `shots` examples,
    /// and the names of these classes.
    pub fn with_shots(&self, shots: usize) -> (Self, Vec<String>) {
        let mut sizes = vec![0; self.classes.len()];
        for candidate in &self.candidates {
            sizes[candidate.class] += 1;
        }
        let (kept, dropped): (Vec<usize>, Vec<usize>) =
            (0..sizes.len()).partition(|&class| sizes[class] > shots);
        let place = |class: usize| kept.iter().position(|&other| other == class);
        let mut rows = Vec::new();
        let mut candidates = Vec::new();
        for (clip, candidate) in self.candidates.iter().enumerate() {
            if let Some(class) = place(candidate.class) {
                rows.extend_from_slice(self.features.row(clip));
                candidates.push(Candidate {
                    class,
                    group: candidate.group.clone(),
                });
            }
        }
        let name = |&class: &usize| self.classes[class].clone();
        let set = Self {
            name: self.name.clone(),
            classes: kept.iter().map(name).collect(),
            candidates,
            features: ClipFeatures {
                rows,
                ..self.features.clone()
            },
        };
        (set, dropped.iter().map(name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_space;
    use mtslvr_runtime::fewshot::Reference;

    #[test]
    fn small_classes_are_left_out_with_their_clips() {
        let classes = [0, 1, 0, 2, 0, 2, 2];
        let set = EmbeddedSet {
            name: "s".into(),
            classes: ["a", "b", "c"].map(String::from).to_vec(),
            candidates: classes
                .map(|class| Candidate { class, group: None })
                .to_vec(),
            features: ClipFeatures {
                space: test_space(&[("features", 1, 1.0)], &[0.0; 1], Reference::assumed(0.5)),
                rows: (0..7).map(|clip| clip as f32).collect(),
            },
        };
        let (kept, dropped) = set.with_shots(2);
        assert_eq!(
            (kept.classes, dropped),
            (vec!["a".into(), "c".into()], vec!["b".to_owned()])
        );
        assert_eq!(kept.features.rows, [0.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let labels: Vec<usize> = kept.candidates.iter().map(|c| c.class).collect();
        assert_eq!(labels, [0, 0, 1, 0, 1, 1]);
    }
}
