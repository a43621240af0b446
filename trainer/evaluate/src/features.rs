//! Computes one feature vector for each clip; every task then works on these.

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::{ClipError, embed_clip};
use mtslvr_runtime::model::Cohort;
use mtslvr_runtime::space::{EmbeddingSpace, OwnedSpace, Part, Parts};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Features of clips, row after row, with the statistics that heads need.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipFeatures {
    /// Describes a row as an embedding: its parts, the mean of the features over audio that is not
    /// evaluated, and how alike unrelated clips are.
    pub space: OwnedSpace,
    /// `clips x dim`.
    pub rows: Vec<f32>,
}

/// Parts of an embedding that a task sees: all of them, or those of some names.
///
/// Its text, on the command line and in tables, is `all`, or the names with `+` between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct FeatureChoice {
    /// Names of the parts; none for all.
    names: Vec<String>,
}

impl FeatureChoice {
    /// Chooses all parts.
    pub const ALL: Self = Self { names: Vec::new() };

    /// Chooses one part.
    pub fn part(name: &str) -> Self {
        Self {
            names: vec![name.to_owned()],
        }
    }

    /// Returns the parts of `parts` that are chosen, with their places in an embedding.
    ///
    /// # Errors
    /// A sentence that names the first chosen part that is missing, and the parts that are there.
    pub fn of<'p, 'm>(
        &self,
        parts: &'p Parts<'m>,
    ) -> Result<Vec<(&'p Part<'m>, Range<usize>)>, String> {
        let is_missing = |name: &&String| parts.range_of(name).is_none();
        if let Some(missing) = self.names.iter().find(is_missing) {
            let names: Vec<&str> = parts.as_slice().iter().map(|part| part.name).collect();
            let names = names.join(", ");
            return Err(format!(
                "the embedding has no part `{missing}`; its parts are {names}"
            ));
        }
        let chosen = |name: &str| self.names.is_empty() || self.names.iter().any(|n| n == name);
        Ok(parts
            .ranges()
            .filter(|(part, _)| chosen(part.name))
            .collect())
    }
}

impl fmt::Display for FeatureChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names[..] {
            [] => f.write_str("all"),
            names => f.write_str(&names.join("+")),
        }
    }
}

impl From<String> for FeatureChoice {
    fn from(text: String) -> Self {
        match text.as_str() {
            "all" => Self::ALL,
            names => Self {
                names: names.split('+').map(str::to_owned).collect(),
            },
        }
    }
}

impl FromStr for FeatureChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl From<FeatureChoice> for String {
    fn from(choice: FeatureChoice) -> Self {
        choice.to_string()
    }
}

impl ClipFeatures {
    /// Returns the length of a row.
    pub fn dim(&self) -> usize {
        self.space.dim()
    }

    /// Returns the number of clips.
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim()
    }

    /// Tells whether there are no clips.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the features of clip `clip`.
    pub fn row(&self, clip: usize) -> &[f32] {
        &self.rows[clip * self.dim()..][..self.dim()]
    }

    /// Keeps the chosen parts. Their shares grow so that they add up to 1 again; chosen parts without
    /// any share get equal ones.
    ///
    /// # Errors
    /// A sentence that names the chosen part that is missing.
    pub fn choose(self, choice: &FeatureChoice) -> Result<Self, String> {
        if *choice == FeatureChoice::ALL {
            return Ok(self);
        }
        let space = self.space.as_space();
        let chosen = choice.of(space.parts())?;
        let shares: f32 = chosen.iter().map(|(part, _)| part.share).sum();
        let share = |part: &Part| match shares > 0.0 {
            true => part.share / shares,
            false => 1.0 / chosen.len() as f32,
        };
        let parts = Parts::new(chosen.iter().map(|(part, _)| Part {
            share: share(part),
            ..**part
        }));
        let parts = parts.expect("some of an embedding's parts, of shares that add up to 1");
        let kept = |row: &[f32]| -> Vec<f32> {
            let parts = chosen.iter().flat_map(|(_, range)| &row[range.clone()]);
            parts.copied().collect()
        };
        let base_mean = kept(space.base_mean());
        let fewer = space.cohort().map(|cohort| {
            let of = |row: &[i8]| -> Vec<i8> {
                let parts = chosen.iter().flat_map(|(_, range)| &row[range.clone()]);
                parts.copied().collect()
            };
            let directions: Vec<i8> = cohort.iter().flat_map(of).collect();
            (directions, weights_of(cohort, &space, &chosen))
        });
        let cohort = fewer.as_ref().and_then(|(directions, weights)| {
            let cohort = Cohort::new(directions, base_mean.len())?;
            Some(cohort.with_weights(weights, chosen.len()).unwrap_or(cohort))
        });
        let fewer = EmbeddingSpace::new(
            space.backbone(),
            *space.frontend(),
            parts,
            &base_mean,
            *space.reference(),
        );
        let fewer = fewer.and_then(|fewer| fewer.with_cohort(cohort));
        Ok(Self {
            space: fewer.expect("a mean for each value").into_owned(),
            rows: self.rows.chunks(self.dim()).flat_map(kept).collect(),
        })
    }
}

/// Returns the columns of the cohort's weights that belong to the `chosen` parts. A direction near which none
/// of them has a weight gets equal ones.
fn weights_of(
    cohort: Cohort<'_>,
    space: &EmbeddingSpace<'_>,
    chosen: &[(&Part<'_>, Range<usize>)],
) -> Vec<u8> {
    let parts = space.parts().as_slice();
    let is_chosen = |part: &Part<'_>| chosen.iter().any(|(chosen, _)| chosen.name == part.name);
    let row = |weights: &[u8]| -> Vec<u8> {
        let kept = parts
            .iter()
            .zip(weights)
            .filter(|(part, _)| is_chosen(part));
        let kept: Vec<u8> = kept.map(|(_, weight)| *weight).collect();
        match kept.iter().all(|&weight| weight == 0) {
            true => vec![1; kept.len()],
            false => kept,
        }
    };
    (0..cohort.len())
        .flat_map(|index| row(cohort.weights_of(index)))
        .collect()
}

/// Embeds `clips` with one thread for each engine. `progress` is called once a finished clip, from
/// any thread.
///
/// # Errors
/// The first failure, with the index of its clip; the other threads then stop.
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
    let space = engine.space().into_owned();
    let dim = space.dim();
    let mut rows = vec![0.0; clips.len() * dim];
    let slots: Vec<Mutex<&mut [f32]>> = rows.chunks_mut(dim).map(Mutex::new).collect();
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
        None => Ok(ClipFeatures { space, rows }),
    }
}

/// Makes a small frontend for tests.
#[cfg(test)]
pub(crate) fn test_frontend() -> mtslvr_runtime::frontend::FrontendConfig {
    mtslvr_runtime::frontend::FrontendConfig {
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
        form: mtslvr_runtime::frontend::FrontendForm::PLAIN,
    }
}

/// Describes made-up features for tests: parts of these names, lengths and shares around `mean`.
#[cfg(test)]
pub(crate) fn test_space(
    parts: &[(&str, usize, f32)],
    mean: &[f32],
    reference: mtslvr_runtime::fewshot::Reference,
) -> OwnedSpace {
    use mtslvr_runtime::space::BackboneId;
    let frontend = test_frontend();
    let parts = parts
        .iter()
        .map(|&(name, len, share)| Part { name, len, share });
    let (id, parts) = (BackboneId::new([0; 32]), Parts::new(parts).unwrap());
    let space = EmbeddingSpace::new(id, frontend, parts, mean, reference);
    space.unwrap().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::fewshot::Reference;

    /// Answers with the patch's mean level and its index in a fixed order; fails on loud ones.
    struct Level(OwnedSpace);

    #[derive(Debug, thiserror::Error)]
    #[error("too loud")]
    struct TooLoud;

    impl Backbone for Level {
        type Error = TooLoud;
        fn space(&self) -> EmbeddingSpace<'_> {
            self.0.as_space()
        }
        fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), TooLoud> {
            let level = patch.iter().sum::<f32>() / patch.len() as f32;
            embedding.copy_from_slice(&[level, 2.0 * level, 3.0 * level]);
            if level < 3.0 { Ok(()) } else { Err(TooLoud) }
        }
    }

    fn engines() -> Vec<Level> {
        let parts = [("first", 1, 0.25), ("second", 2, 0.75)];
        let space = test_space(&parts, &[1.0, 2.0, 3.0], Reference::assumed(0.0));
        vec![Level(space.clone()), Level(space.clone()), Level(space)]
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
        let second = one.clone().choose(&FeatureChoice::part("second")).unwrap();
        assert_eq!((second.dim(), second.row(3)), (2, &one.row(3)[1..]));
        let space = second.space.as_space();
        assert_eq!(space.base_mean(), [2.0, 3.0]);
        assert_eq!(space.parts().as_slice()[0].share, 1.0);
        let cohort = Cohort::new(&[127, 9, 127], 3);
        let with = one.space.as_space().with_cohort(cohort).unwrap();
        let with = ClipFeatures {
            space: with.into_owned(),
            ..one.clone()
        };
        let with = with.choose(&FeatureChoice::part("second")).unwrap();
        assert_eq!(with.space.as_space().cohort(), Cohort::new(&[9, 127], 2));
        let directions = [127, 9, 127, 127, 127, 0];
        let cohort = Cohort::new(&directions, 3).unwrap();
        let cohort = cohort.with_weights(&[200, 55, 255, 0], 2);
        let with = ClipFeatures {
            space: one
                .space
                .as_space()
                .with_cohort(cohort)
                .unwrap()
                .into_owned(),
            ..one.clone()
        };
        let with = with.choose(&FeatureChoice::part("second")).unwrap();
        let weighted = Cohort::new(&[9, 127, 127, 0], 2).unwrap();
        assert_eq!(
            with.space.as_space().cohort(),
            weighted.with_weights(&[55, 1], 1)
        );
        let missing = second.choose(&"second+first".parse().unwrap()).unwrap_err();
        assert!(
            missing.contains("`first`") && missing.contains("second"),
            "{missing}"
        );
    }

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for text in ["all", "first", "second+first"] {
            let choice: FeatureChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("all".parse::<FeatureChoice>(), Ok(FeatureChoice::default()));
        let all = engines().remove(0).0;
        let places = |text: &str| {
            let choice: FeatureChoice = text.parse().unwrap();
            let space = all.as_space();
            let chosen = choice.of(space.parts()).unwrap();
            chosen
                .into_iter()
                .map(|(_, range)| range)
                .collect::<Vec<_>>()
        };
        assert_eq!(places("all"), [0..1, 1..3]);
        // In the embedding's order, whatever the choice's is.
        assert_eq!(places("second+first"), [0..1, 1..3]);
        assert_eq!(places("second"), std::slice::from_ref(&(1..3)));
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
