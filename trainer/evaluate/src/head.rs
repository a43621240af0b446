//! Classifiers of an evaluation: the runtime's own heads, and the published probe.

use super::directions::Directions;
use super::episodes::Episode;
use super::features::ClipFeatures;
use super::linear_probe::LinearProbe;
use mtslvr_runtime::fewshot::{self, FitError, HeadKind, Shares};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::str::FromStr;

/// Classifier of the queries of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// A head of the runtime, on directions from the base mean, and how much each part counts in it:
    /// [`Shares::default_for`] the parts if that is not said.
    Runtime(HeadKind, Option<Shares>),
    /// The published protocol's probe, on features as they come: see [`LinearProbe`].
    Paper,
}

/// Features in the form that a head classifies: see [`Head::prepare`].
#[derive(Clone, Debug)]
pub enum Prepared {
    /// Directions, for a head of the runtime.
    Directions(Directions),
    /// Features as they come, for the published probe.
    Features(ClipFeatures),
}

impl Default for Head {
    fn default() -> Self {
        Self::Runtime(HeadKind::default(), None)
    }
}

/// Names of heads and the heads they stand for, in the order of the help.
pub const HEAD_NAMES: &str = "nearest-mean, ridge, ridge=LAMBDA, logistic, logistic=C, paper";

/// The name is not that of a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no head is called `{found}`; known are {HEAD_NAMES}, with a positive number for LAMBDA and C"
)]
pub struct UnknownHead {
    /// The name that was given.
    pub found: String,
}

/// Weight of the ridge penalty where none is given: the runtime's own, if ridge is its default.
fn default_lambda() -> f32 {
    match HeadKind::default() {
        HeadKind::Ridge { lambda } => lambda,
        _ => 1.0,
    }
}

/// Weight of the data in the logistic head where none is given.
const LOGISTIC: f32 = 10.0;

impl FromStr for Head {
    type Err = UnknownHead;

    fn from_str(text: &str) -> Result<Self, UnknownHead> {
        let unknown = || UnknownHead {
            found: text.to_owned(),
        };
        let (name, parameter) = match text.split_once('=') {
            None => (text, None),
            Some((name, value)) => {
                let value = value.parse::<f32>().ok();
                let positive = value.filter(|v| *v > 0.0 && v.is_finite());
                (name, Some(positive.ok_or_else(unknown)?))
            }
        };
        let runtime = |kind| Ok(Self::Runtime(kind, None));
        match (name, parameter) {
            ("nearest-mean", None) => runtime(HeadKind::NearestMean),
            ("ridge", lambda) => runtime(HeadKind::Ridge {
                lambda: lambda.unwrap_or_else(default_lambda),
            }),
            ("logistic", c) => runtime(HeadKind::Logistic {
                c: c.unwrap_or(LOGISTIC),
            }),
            ("paper", None) => Ok(Self::Paper),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Runtime(kind, shares) = self else {
            return f.write_str("paper");
        };
        match kind {
            HeadKind::NearestMean => f.write_str("nearest-mean"),
            HeadKind::Ridge { lambda } if *lambda == default_lambda() => f.write_str("ridge"),
            HeadKind::Ridge { lambda } => write!(f, "ridge={lambda}"),
            HeadKind::Logistic { c } if *c == LOGISTIC => f.write_str("logistic"),
            HeadKind::Logistic { c } => write!(f, "logistic={c}"),
            other => write!(f, "{other:?}"),
        }?;
        match shares {
            None => Ok(()),
            Some(Shares::Packed) => f.write_str(", packed shares"),
            Some(Shares::Task) => f.write_str(", shares for each task"),
        }
    }
}

impl Head {
    /// Returns this head with other shares of the parts. The published probe knows no parts.
    pub fn with_shares(self, shares: Option<Shares>) -> Self {
        match self {
            Self::Runtime(kind, _) => Self::Runtime(kind, shares),
            Self::Paper => Self::Paper,
        }
    }

    /// Brings features into the form that this head classifies: directions for the runtime's heads,
    /// unchanged for the published probe.
    pub fn prepare(&self, features: &ClipFeatures) -> Prepared {
        match self {
            Self::Runtime(..) => Prepared::Directions(Directions::of(features)),
            Self::Paper => Prepared::Features(features.clone()),
        }
    }

    /// Fits to the support of `episode` and classifies its queries: the labels given, in the
    /// layout of [`Episode::queries`].
    ///
    /// `features` come from [`Self::prepare`]; `seed` orders the published probe's passes.
    ///
    /// # Errors
    /// If the runtime's head cannot be fitted.
    ///
    /// # Panics
    /// If the episode has more than 256 ways, or if `prepared` is another head's.
    pub fn classify(
        &self,
        prepared: &Prepared,
        episode: &Episode,
        seed: u64,
    ) -> Result<Vec<Vec<usize>>, FitError> {
        let ways = episode.support.len();
        let support = || {
            let labelled = (0_u8..).zip(&episode.support);
            labelled.flat_map(|(label, clips)| clips.iter().map(move |clip| (label, *clip)))
        };
        let labels: Vec<u8> = support().map(|(label, _)| label).collect();
        let answer = |classify: &mut dyn FnMut(usize) -> usize| -> Vec<Vec<usize>> {
            let mut class =
                |clips: &Vec<usize>| -> Vec<usize> { clips.iter().map(|&c| classify(c)).collect() };
            episode.queries.iter().map(&mut class).collect()
        };
        match (*self, prepared) {
            (Self::Runtime(kind, shares), Prepared::Directions(directions)) => {
                let n = labels.len();
                let rows = support().map(|(_, clip)| directions.row(clip));
                let mut gram = vec![0.0; n * n];
                let default = Shares::default_for(&directions.metric);
                let metric = match shares.unwrap_or(default) {
                    Shares::Packed => directions.metric,
                    Shares::Task => {
                        let labelled = labels.iter().copied().zip(rows.clone());
                        let lambda = kind.penalty();
                        let cohort = directions.cohort();
                        let packed = &directions.metric;
                        fewshot::suited_to(packed, cohort, labelled, lambda, &mut gram)
                    }
                };
                metric.gram(rows.clone(), &mut gram)?;
                let (mut dual, mut bias) = (vec![0.0; ways * n], vec![0.0; ways]);
                let mut scratch = vec![0.0; fewshot::fit_scratch_len(kind, n, ways)];
                fewshot::fit(kind, &mut gram, &labels, &mut dual, &mut bias, &mut scratch)?;
                let mut scores = vec![0.0; ways];
                Ok(answer(&mut |query| {
                    let query = directions.row(query);
                    let similarities = rows.clone().map(|row| metric.similarity(row, query));
                    fewshot::scores(&dual, &bias, similarities, &mut scores)
                        .expect("a coefficient for each class and example");
                    fewshot::best_score(&scores).unwrap_or(0)
                }))
            }
            (Self::Paper, Prepared::Features(features)) => {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let rows = support().flat_map(|(_, clip)| features.row(clip));
                let x: Vec<f32> = rows.copied().collect();
                let probe = LinearProbe::fit(&x, &labels, ways, features.dim(), &mut rng);
                Ok(answer(&mut |query| probe.classify(features.row(query))))
            }
            _ => panic!("the features were prepared for another head than {self}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_space;
    use mtslvr_runtime::fewshot::Reference;

    #[test]
    fn names_read_back() {
        for name in [
            "nearest-mean",
            "ridge",
            "ridge=0.25",
            "logistic",
            "logistic=3",
            "paper",
        ] {
            assert_eq!(name.parse::<Head>().unwrap().to_string(), name);
        }
        for wrong in [
            "",
            "svm",
            "ridge=-1",
            "ridge=x",
            "paper=1",
            "logistic=inf",
            "nearest-mean=2",
        ] {
            let error = wrong.parse::<Head>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")) && error.contains("nearest-mean"));
        }
    }

    #[test]
    fn every_head_tells_apart_what_points_elsewhere() {
        // Three classes along three axes, four clips each, at different loudness.
        let rows = (0..12).flat_map(|i| {
            let mut row = [0.5f32; 3];
            row[i / 4] += 1.0 + i as f32 * 0.1;
            row
        });
        let features = ClipFeatures {
            space: test_space(&[("features", 3, 1.0)], &[0.5; 3], Reference::assumed(0.5)),
            rows: rows.collect(),
        };
        let episode = Episode {
            classes: vec![0, 1, 2],
            support: vec![vec![0], vec![4], vec![8]],
            queries: vec![vec![1, 2, 3], vec![5, 6], vec![9]],
        };
        for name in ["nearest-mean", "ridge", "logistic", "paper"] {
            let head: Head = name.parse().unwrap();
            let answers = head
                .classify(&head.prepare(&features), &episode, 1)
                .unwrap();
            assert_eq!(answers, [vec![0; 3], vec![1; 2], vec![2]], "{name}");
        }
    }
}
