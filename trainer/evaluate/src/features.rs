//! One feature vector a clip, computed once; every task then works on these.

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::{ClipError, embed_clip};
use mtslvr_runtime::fewshot::{EmbeddingSpace, Reference};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Features of clips, row after row, with what heads centre them by.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipFeatures {
    /// Length of a row.
    pub dim: usize,
    /// How many leading values of a row are normalised on their own, apart from the rest.
    pub first_half: usize,
    /// Mean of the features over audio that is not evaluated; `dim` values.
    pub centre: Vec<f32>,
    /// How rows are compared once they are directions, and how alike those of unrelated clips are.
    pub reference: Reference,
    /// `clips x dim`.
    pub rows: Vec<f32>,
}

/// Which of an embedding's halves a task sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum FeatureChoice {
    /// Invariant and equivariant features side by side.
    #[default]
    Both,
    /// The contrastive path's alone.
    Invariant,
    /// The predictive path's alone.
    Equivariant,
}

impl FeatureChoice {
    /// The name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Invariant => "invariant",
            Self::Equivariant => "equivariant",
        }
    }

    /// Where the chosen values lie in an embedding of `dim` values whose first `first_half` are the
    /// invariant ones.
    pub fn range(self, first_half: usize, dim: usize) -> Range<usize> {
        match self {
            Self::Both => 0..dim,
            Self::Invariant => 0..first_half,
            Self::Equivariant => first_half..dim,
        }
    }
}

impl ClipFeatures {
    /// Number of clips.
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim.max(1)
    }

    /// Whether there are no clips.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The features of clip `clip`.
    pub fn row(&self, clip: usize) -> &[f32] {
        &self.rows[clip * self.dim..][..self.dim]
    }

    /// The chosen half, or all; `None` if nothing is left, as of a backbone with one path that is
    /// asked for its equivariant features.
    pub fn choose(self, choice: FeatureChoice) -> Option<Self> {
        if choice == FeatureChoice::Both {
            return Some(self);
        }
        let kept = choice.range(self.first_half, self.dim);
        (!kept.is_empty()).then(|| Self {
            dim: kept.len(),
            first_half: kept.len(),
            centre: self.centre[kept.clone()].to_vec(),
            reference: self.reference,
            rows: self
                .rows
                .chunks(self.dim)
                .flat_map(|row| &row[kept.clone()])
                .copied()
                .collect(),
        })
    }
}

/// Embeds `clips` with one thread for each engine. `progress` is called once a finished clip, from
/// any thread.
///
/// # Errors
/// The first failure, with the index of its clip. The other threads then stop.
///
/// # Panics
/// If there is no engine.
pub fn embed_clips<B>(
    engines: &mut [B],
    clips: &[impl AsRef<[f32]> + Sync],
    progress: impl Fn() + Sync,
) -> Result<ClipFeatures, (usize, ClipError<B::Error>)>
where
    B: Backbone + Send,
    B::Error: Send,
{
    let engine = engines.first().expect("at least one engine");
    let (dim, first_half) = (engine.embedding_dim(), engine.invariant_dim());
    let centre = engine.base_mean().to_vec();
    let reference = EmbeddingSpace::of(engine, 0).reference;
    let mut rows = vec![0.0; clips.len() * dim];
    let slots: Vec<Mutex<&mut [f32]>> = rows.chunks_mut(dim.max(1)).map(Mutex::new).collect();
    let (next, stop, failure) = (
        AtomicUsize::new(0),
        AtomicBool::new(false),
        Mutex::new(None),
    );
    std::thread::scope(|scope| {
        for engine in engines {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let clip = next.fetch_add(1, Ordering::Relaxed);
                    let Some(samples) = clips.get(clip) else {
                        break;
                    };
                    match embed_clip(engine, samples.as_ref()) {
                        Ok(embedding) => {
                            let mut slot = slots[clip].lock().expect("only this thread holds it");
                            slot.copy_from_slice(&embedding);
                            progress();
                        }
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            let mut failure = failure.lock().expect("nothing panics holding it");
                            failure.get_or_insert((clip, error));
                        }
                    }
                }
            });
        }
    });
    drop(slots);
    match failure.into_inner().expect("nothing panicked holding it") {
        Some(failure) => Err(failure),
        None => Ok(ClipFeatures {
            dim,
            first_half,
            centre,
            reference,
            rows,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::frontend::FrontendConfig;

    /// Answers with the patch's mean level and its index in a fixed order; fails on loud ones.
    struct Level(FrontendConfig);

    impl Backbone for Level {
        type Error = &'static str;
        fn frontend(&self) -> &FrontendConfig {
            &self.0
        }
        fn invariant_dim(&self) -> usize {
            1
        }
        fn equivariant_dim(&self) -> usize {
            2
        }
        fn base_mean(&self) -> &[f32] {
            &[1.0, 2.0, 3.0]
        }
        fn rejection_similarity(&self) -> f32 {
            0.0
        }
        fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), &'static str> {
            let level = patch.iter().sum::<f32>() / patch.len() as f32;
            embedding.copy_from_slice(&[level, 2.0 * level, 3.0 * level]);
            if level < 3.0 { Ok(()) } else { Err("too loud") }
        }
    }

    fn engines() -> Vec<Level> {
        let config = FrontendConfig {
            sample_rate: 8000,
            window: 64,
            hop: 32,
            mels: 8,
            frames: 10,
            f_min: 50.0,
            f_max: 3900.0,
            floor: 1e-6,
            mean: 0.0,
            scale: 1.0,
        };
        vec![Level(config), Level(config), Level(config)]
    }

    #[test]
    fn rows_keep_the_order_of_the_clips() {
        let clips: Vec<Vec<f32>> = (0..20)
            .map(|i| vec![if i % 2 == 0 { 0.0 } else { 1e-3 * i as f32 }; 500])
            .collect();
        let one = embed_clips(&mut engines()[..1], &clips, || ()).unwrap();
        let three = embed_clips(&mut engines(), &clips, || ()).unwrap();
        assert_eq!(one, three);
        assert_eq!(one.len(), 20);
        assert!(one.row(19)[0] > one.row(17)[0] && one.row(17)[0] > one.row(0)[0]);
        let half = one.clone().choose(FeatureChoice::Equivariant).unwrap();
        assert_eq!((half.dim, half.row(3)), (2, &one.row(3)[1..]));
        assert_eq!(half.centre, [2.0, 3.0]);
        assert!(half.choose(FeatureChoice::Equivariant).is_none());
    }

    #[test]
    fn a_failure_names_its_clip() {
        let loud: Vec<f32> = (0..500).map(|i| 300.0 * (i as f32).sin()).collect();
        let clips = vec![vec![0.0; 500], loud];
        let (clip, _) = embed_clips(&mut engines(), &clips, || ()).unwrap_err();
        assert_eq!(clip, 1);
        let (clip, error) = embed_clips(&mut engines(), &[vec![]], || ()).unwrap_err();
        assert!(clip == 0 && matches!(error, ClipError::Empty));
    }
}
