//! Support set, fitted head and decision in one object of a size known at compile time.

use super::{
    Decision, FitError, HeadKind, NormaliseError, SupportError, SupportSet, decide, fit,
    fit_scratch_len, normalise, scores, similarity_to_class,
};

/// Learns named sounds from embeddings and recognises them.
///
/// It holds all it needs but the scratch buffer of [`Self::fit`], which may be memory that is used
/// for something else between fits, such as the backbone's arena. `size_of::<Learner<..>>()` is
/// about `4 * DIM * (EXAMPLES + CLASSES)` bytes; put a large one in a `static`.
///
/// ```
/// use mtslvr_runtime::fewshot::{HeadKind, Learner};
///
/// type Sounds<'m> = Learner<'m, 4, 16, 3>; // 4 classes, 16 examples in all, 3 values each
/// let base_mean = [0.0, 0.5, 0.5]; // both of these and the threshold come with the model
/// let invariant_dim = 2;
/// let mut sounds = Sounds::new(HeadKind::Ridge { lambda: 1.0 }, &base_mean, invariant_dim, 0.5);
///
/// sounds.enrol("doorbell", &[1.0, 0.5, 2.0])?;
/// sounds.enrol("kettle", &[-0.5, 2.0, -1.0])?;
/// sounds.enrol("doorbell", &[1.0, 0.7, 1.5])?;
/// let mut scratch = vec![0.0; sounds.scratch_len()];
/// sounds.fit(&mut scratch)?;
///
/// let mut scores = [0.0; 4];
/// let decision = sounds.classify(&[0.9, 0.4, 3.0], &mut scores)?;
/// assert_eq!(decision.class, Some(0));
/// assert_eq!(sounds.support().name(0)?, "doorbell");
/// let decision = sounds.classify(&[-1.0, -3.0, 2.0], &mut scores)?;
/// assert_eq!(decision.class, None); // like neither
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Learner<'m, const CLASSES: usize, const EXAMPLES: usize, const DIM: usize> {
    kind: HeadKind,
    base_mean: &'m [f32],
    invariant_dim: usize,
    threshold: f32,
    support: SupportSet<CLASSES, EXAMPLES, DIM>,
    weights: [[f32; DIM]; CLASSES],
    bias: [f32; CLASSES],
    fitted: bool,
}

/// Why an example could not be enrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnrolError {
    /// The embedding has no direction.
    Embedding(NormaliseError),
    /// The support set cannot take it.
    Support(SupportError),
}

/// Why a query could not be classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassifyError {
    /// The head was not fitted since the support set last changed, or nothing is enrolled.
    NotFitted,
    /// The embedding has no direction.
    Embedding(NormaliseError),
    /// The room for scores is less than the number of classes.
    ScoresTooShort {
        /// Enrolled classes.
        needed: usize,
        /// Room that was given.
        found: usize,
    },
}

impl<'m, const CLASSES: usize, const EXAMPLES: usize, const DIM: usize>
    Learner<'m, CLASSES, EXAMPLES, DIM>
{
    /// A learner that knows nothing. `base_mean` and `invariant_dim` are the backbone's;
    /// `threshold` is the least cosine similarity to a class's mean at which a query belongs to the
    /// class, the backbone's `rejection_similarity` to begin with.
    ///
    /// A base mean that is not `DIM` values long shows as [`NormaliseError::Length`] when used.
    pub const fn new(
        kind: HeadKind,
        base_mean: &'m [f32],
        invariant_dim: usize,
        threshold: f32,
    ) -> Self {
        Self {
            kind,
            base_mean,
            invariant_dim,
            threshold,
            support: SupportSet::new(),
            weights: [[0.0; DIM]; CLASSES],
            bias: [0.0; CLASSES],
            fitted: false,
        }
    }

    /// What has been enrolled.
    pub fn support(&self) -> &SupportSet<CLASSES, EXAMPLES, DIM> {
        &self.support
    }

    /// Adds an example, a backbone's embedding, to the class called `name`, making the class if it
    /// is new, and returns the class's number. [`Self::fit`] is due afterwards.
    pub fn enrol(&mut self, name: &str, embedding: &[f32]) -> Result<u8, EnrolError> {
        let example = self.normalised(embedding).map_err(EnrolError::Embedding)?;
        let class = self
            .support
            .enrol(name, &example)
            .map_err(EnrolError::Support)?;
        self.fitted = false;
        Ok(class)
    }

    /// Removes a class with its examples; classes after it move down by one. [`Self::fit`] is due
    /// afterwards, and gives the bits that it would give had the class never been enrolled.
    pub fn remove(&mut self, class: u8) -> Result<(), SupportError> {
        self.support.remove(class)?;
        self.fitted = false;
        Ok(())
    }

    /// Removes an example, counted within its class; with its last example goes the class.
    /// [`Self::fit`] is due afterwards.
    pub fn remove_example(&mut self, class: u8, example: usize) -> Result<(), SupportError> {
        self.support.remove_example(class, example)?;
        self.fitted = false;
        Ok(())
    }

    /// Least similarity to a class's mean at which a query is not *unknown*.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Sets [`Self::threshold`]; no new fit is needed.
    pub fn set_threshold(&mut self, threshold: f32) {
        self.threshold = threshold;
    }

    /// Length in `f32` of the scratch buffer that [`Self::fit`] needs now. The capacities' own
    /// need, never exceeded, is `fit_scratch_len(kind, EXAMPLES, DIM, CLASSES)`.
    pub fn scratch_len(&self) -> usize {
        let support = &self.support;
        fit_scratch_len(
            self.kind,
            support.labels().len(),
            DIM,
            support.class_count(),
        )
    }

    /// Fits the head to what has been enrolled.
    pub fn fit(&mut self, scratch: &mut [f32]) -> Result<(), FitError> {
        let classes = self.support.class_count();
        self.fitted = false;
        fit(
            self.kind,
            self.support.examples(),
            self.support.labels(),
            classes,
            DIM,
            self.weights[..classes].as_flattened_mut(),
            &mut self.bias[..classes],
            scratch,
        )?;
        self.fitted = true;
        Ok(())
    }

    /// Weights of the fitted head, `DIM` values a class, and biases; `None` before a fit.
    pub fn head(&self) -> Option<(&[f32], &[f32])> {
        let classes = self.support.class_count();
        self.fitted.then(|| {
            (
                self.weights[..classes].as_flattened(),
                &self.bias[..classes],
            )
        })
    }

    /// Classifies a backbone's embedding. `scores_room` needs a value per enrolled class; the scores
    /// in the decision are there.
    pub fn classify<'s>(
        &self,
        embedding: &[f32],
        scores_room: &'s mut [f32],
    ) -> Result<Decision<'s>, ClassifyError> {
        let (weights, bias) = self.head().ok_or(ClassifyError::NotFitted)?;
        let (needed, found) = (bias.len(), scores_room.len());
        let scores_room = scores_room
            .get_mut(..needed)
            .ok_or(ClassifyError::ScoresTooShort { needed, found })?;
        let query = self
            .normalised(embedding)
            .map_err(ClassifyError::Embedding)?;
        scores(weights, bias, &query, scores_room);
        let (x, y) = (self.support.examples(), self.support.labels());
        let similarity = |class| similarity_to_class(x, y, class, &query);
        decide(scores_room, self.threshold, similarity).ok_or(ClassifyError::NotFitted)
    }

    /// Centred with the base mean, at unit length.
    fn normalised(&self, embedding: &[f32]) -> Result<[f32; DIM], NormaliseError> {
        let mut out = [0.0; DIM];
        normalise(embedding, self.base_mean, self.invariant_dim, &mut out)?;
        Ok(out)
    }
}

impl core::fmt::Display for EnrolError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Embedding(error) => error.fmt(f),
            Self::Support(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EnrolError {}

impl core::fmt::Display for ClassifyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotFitted => f.write_str("nothing is enrolled, or fit was not called since"),
            Self::Embedding(error) => error.fmt(f),
            Self::ScoresTooShort { needed, found } => {
                write!(
                    f,
                    "there is room for {found} scores and {needed} are needed"
                )
            }
        }
    }
}

impl core::error::Error for ClassifyError {}

#[cfg(test)]
mod tests {
    use super::*;

    type Small<'m> = Learner<'m, 3, 6, 4>;

    fn embedding(seed: u32) -> [f32; 4] {
        [1.0, 2.0, 3.0, 4.0].map(|k: f32| (k * (seed as f32 + 0.7)).sin())
    }

    fn bits(learner: &Small) -> Vec<u32> {
        let (weights, bias) = learner.head().unwrap();
        weights.iter().chain(bias).map(|v| v.to_bits()).collect()
    }

    #[test]
    fn removing_gives_the_bits_of_never_having_enrolled() {
        for kind in [
            HeadKind::NearestMean,
            HeadKind::Ridge { lambda: 0.3 },
            HeadKind::Logistic { c: 3.0 },
        ] {
            let mean = [0.1; 4];
            let mut with = Small::new(kind, &mean, 2, 0.0);
            let mut without = with.clone();
            let mut scratch = [f32::NAN; 400];
            for (i, name) in ["a", "b", "c", "b", "a", "c"].into_iter().enumerate() {
                with.enrol(name, &embedding(i as u32)).unwrap();
                with.fit(&mut scratch).unwrap();
                if name != "b" {
                    without.enrol(name, &embedding(i as u32)).unwrap();
                }
            }
            with.remove(1).unwrap();
            assert_eq!(with.head(), None);
            with.fit(&mut scratch).unwrap();
            without.fit(&mut scratch).unwrap();
            assert_eq!(bits(&with), bits(&without));
        }
    }

    #[test]
    fn each_step_tells_what_is_missing() {
        let mean = [0.0; 4];
        let mut learner = Small::new(HeadKind::Ridge { lambda: 1.0 }, &mean, 2, 0.0);
        let mut scores = [0.0; 3];
        let query = embedding(0);
        assert_eq!(
            learner.classify(&query, &mut scores),
            Err(ClassifyError::NotFitted)
        );
        assert_eq!(learner.fit(&mut []), Err(FitError::NoExamples));
        assert_eq!(
            learner.enrol("silence", &[0.0; 4]),
            Err(EnrolError::Embedding(NormaliseError::Degenerate))
        );
        learner.enrol("a", &embedding(0)).unwrap();
        let needed = learner.scratch_len();
        assert_eq!(
            learner.fit(&mut vec![0.0; needed - 1]),
            Err(FitError::ScratchTooShort {
                needed,
                found: needed - 1
            })
        );
        assert_eq!(
            learner.classify(&query, &mut scores),
            Err(ClassifyError::NotFitted)
        );
        learner.fit(&mut vec![0.0; needed]).unwrap();
        assert_eq!(
            learner.classify(&query, &mut []),
            Err(ClassifyError::ScoresTooShort {
                needed: 1,
                found: 0
            })
        );
        assert_eq!(
            learner.classify(&[f32::NAN; 4], &mut scores),
            Err(ClassifyError::Embedding(NormaliseError::NotFinite))
        );
        // A single class is recognised by similarity alone.
        let decision = learner.classify(&query, &mut scores).unwrap();
        assert_eq!((decision.class, decision.scores.len()), (Some(0), 1));
        assert!((decision.similarity - 1.0).abs() < 1e-6);
        learner.set_threshold(0.5);
        let opposite = query.map(|value| -value);
        assert_eq!(
            learner.classify(&opposite, &mut scores).unwrap().class,
            None
        );
    }
}
