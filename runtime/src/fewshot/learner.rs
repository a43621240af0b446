//! Support set, fitted head and decision in one object.

use super::storage::{HeadMut, StorageMut};
use super::strangers::Impostors;
use super::{
    Calibration, Decision, DirectionError, FitError, HeadKind, Metric, Role, SupportError,
    SupportSet, best_class, direction, fit, fit_scratch_len, scores,
};
use crate::space::EmbeddingSpace;

/// Learns named sounds from embeddings and recognises them.
///
/// What it knows is in the [`Storage`](super::Storage) that it was lent. [`Self::fit`] needs scratch
/// memory beside that, which may be in use for something else between fits, such as the backbone's
/// arena.
///
/// ```
/// use mtslvr_runtime::fewshot::{HeadKind, Learner, Storage};
/// # use mtslvr_runtime::fewshot::Reference;
/// # use mtslvr_runtime::frontend::FrontendConfig;
/// # use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
///
/// let mut storage = Storage::<4, 16, 3>::new(); // 4 classes, 16 examples in all, 3 values each
/// # let parts = Parts::new([
/// #     Part { name: "invariant", len: 2, share: 0.5 },
/// #     Part { name: "equivariant", len: 1, share: 0.5 },
/// # ])?;
/// # let frontend = FrontendConfig {
/// #     sample_rate: 16_000, window: 256, hop: 128, mels: 16, frames: 20,
/// #     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// # };
/// # let (id, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// # let base_mean = [0.0, 0.5, 0.5];
/// // With a packed model: let space = model.space();
/// # let space = EmbeddingSpace::new(id, frontend, parts, &base_mean, reference).unwrap();
/// let mut sounds = Learner::new(storage.lend(), HeadKind::Ridge { lambda: 1.0 }, space)?;
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
#[derive(Debug)]
pub struct Learner<'b> {
    kind: HeadKind,
    metric: Metric,
    support: SupportSet<'b>,
    head: HeadMut<'b>,
    query: &'b mut [i8],
    calibration: Calibration,
    fitted: Option<Fitted>,
}

/// How much of [`HeadMut`] is in use.
#[derive(Clone, Copy, Debug)]
struct Fitted {
    classes: usize,
    examples: usize,
    impostors: Impostors,
}

/// Why an example could not be enrolled.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EnrolError {
    /// The embedding has no direction.
    Embedding(DirectionError),
    /// The support set cannot take it.
    Support(SupportError),
}

/// Why a query could not be classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassifyError {
    /// The head was not fitted since what is enrolled last changed, or nothing is enrolled.
    NotFitted,
    /// The embedding has no direction.
    Embedding(DirectionError),
    /// The room for scores is less than the number of classes.
    ScoresTooShort {
        /// Enrolled classes.
        needed: usize,
        /// Room that was given.
        found: usize,
    },
}

impl<'b> Learner<'b> {
    /// A learner that knows nothing, for embeddings of `space`; they must be as long as `storage`
    /// has room for.
    pub fn new(
        storage: StorageMut<'b>,
        kind: HeadKind,
        space: EmbeddingSpace<'b>,
    ) -> Result<Self, DirectionError> {
        if space.dim() != storage.query.len() {
            return Err(DirectionError::Length);
        }
        Ok(Self {
            kind,
            metric: Metric::new(space.parts()),
            support: SupportSet::new(storage.classes, storage.directions, space),
            head: storage.head,
            query: storage.query,
            calibration: Calibration::default(),
            fitted: None,
        })
    }

    /// What has been enrolled.
    pub fn support(&self) -> &SupportSet<'b> {
        &self.support
    }

    /// What has been enrolled, to change it. [`Self::fit`] is due afterwards.
    ///
    /// After removing something, a fit gives the bits that it would give had that never been there.
    pub fn support_mut(&mut self) -> &mut SupportSet<'b> {
        self.fitted = None;
        &mut self.support
    }

    /// Describes the embeddings that it learns from.
    pub fn space(&self) -> &EmbeddingSpace<'b> {
        self.support.space()
    }

    /// How directions are compared.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Adds an example, a backbone's embedding, to the sound called `name`, making the class if it
    /// is new, and returns the class's number. [`Self::fit`] is due afterwards.
    pub fn enrol(&mut self, name: &str, embedding: &[f32]) -> Result<u8, EnrolError> {
        self.turn(embedding).map_err(EnrolError::Embedding)?;
        self.fitted = None;
        let class = self.support.enrol(name, self.query);
        class.map_err(EnrolError::Support)
    }

    /// Adds an example to the class that is there for `role`, [`Role::Negatives`] or
    /// [`Role::Background`]. [`Self::fit`] is due afterwards.
    pub fn enrol_role(&mut self, role: Role, embedding: &[f32]) -> Result<u8, EnrolError> {
        self.turn(embedding).map_err(EnrolError::Embedding)?;
        self.fitted = None;
        let class = self.support.enrol_role(role, self.query);
        class.map_err(EnrolError::Support)
    }

    /// Least similarity at which a query belongs to a class that has no threshold of its own: what
    /// the user has set, or what [`Self::calibration`] makes of the classes at the last fit (before
    /// any, of a single one).
    pub fn default_threshold(&self) -> f32 {
        let own = self.support.default_threshold();
        own.unwrap_or_else(|| {
            self.impostors()
                .threshold(self.space().reference(), &self.calibration)
        })
    }

    /// How the threshold is calibrated of classes for which none was set.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Sets [`Self::calibration`]; no new fit is needed. It is not a part of what is taught: snapshots
    /// do not hold it.
    pub fn set_calibration(&mut self, calibration: Calibration) {
        self.calibration = calibration;
    }

    fn impostors(&self) -> Impostors {
        self.fitted
            .map_or(Impostors::NONE, |fitted| fitted.impostors)
    }

    /// Sets [`Self::default_threshold`]: see [`SupportSet::set_default_threshold`]; no new fit is
    /// needed.
    pub fn set_default_threshold(&mut self, threshold: Option<f32>) -> Result<(), SupportError> {
        self.support.set_default_threshold(threshold)
    }

    /// Sets a class's own threshold: see [`SupportSet::set_threshold`]; no new fit is needed.
    pub fn set_class_threshold(
        &mut self,
        class: u8,
        threshold: Option<f32>,
    ) -> Result<(), SupportError> {
        self.support.set_threshold(class, threshold)
    }

    /// Length in `f32` of the scratch buffer that [`Self::fit`] needs now.
    pub fn scratch_len(&self) -> usize {
        let [classes, examples] = self.taking_part();
        Self::scratch_len_for(self.kind, classes, examples)
    }

    /// Length in `f32` of the scratch buffer that [`Self::fit`] needs for as many classes and
    /// examples as there are, or fewer.
    pub const fn scratch_len_for(kind: HeadKind, classes: usize, examples: usize) -> usize {
        examples * examples + fit_scratch_len(kind, examples, classes)
    }

    /// Classes and examples that are enabled.
    fn taking_part(&self) -> [usize; 2] {
        let enabled = self.support.classes().iter().filter(|c| c.is_enabled());
        let examples = enabled.clone().map(|class| class.examples());
        [enabled.count(), examples.sum()]
    }

    /// Fits the head to what has been enrolled and is enabled.
    pub fn fit(&mut self, scratch: &mut [f32]) -> Result<(), FitError> {
        self.fitted = None;
        let [classes, examples] = self.taking_part();
        let (needed, found) = (self.scratch_len(), scratch.len());
        if found < needed {
            return Err(FitError::ScratchTooShort { needed, found });
        }
        let (gram, scratch) = scratch.split_at_mut(examples * examples);
        let labels = &mut self.head.labels[..examples];
        let enabled = enabled_classes(&self.support);
        let label = (0..=u8::MAX).zip(enabled.clone());
        let own = label.flat_map(|(label, class)| self.support.examples(class).map(move |_| label));
        labels.iter_mut().zip(own).for_each(|(to, from)| *to = from);
        let rows = enabled.flat_map(|class| self.support.examples(class));
        self.metric.gram(rows, gram);
        for (class, length) in (0..=u8::MAX).zip(&mut self.head.lengths[..classes]) {
            *length = length_of_sum(gram, labels, class);
        }
        // A bit for each enabled class, by its place among those, that can be recognised.
        let mut sounds = [0_u64; 4];
        for (label, class) in enabled_classes(&self.support).enumerate() {
            let is_sound = self.support.classes()[usize::from(class)].role() == Role::Sound;
            sounds[label / 64] |= u64::from(is_sound) << (label % 64);
        }
        let is_sound = |label: u8| sounds[usize::from(label / 64)] >> (label % 64) & 1 == 1;
        let impostors = Impostors::of(
            gram,
            labels,
            &self.head.lengths[..classes],
            is_sound,
            self.support.space().reference(),
        );
        fit(
            self.kind,
            gram,
            labels,
            &mut self.head.duals[..classes * examples],
            &mut self.head.biases[..classes],
            scratch,
        )?;
        self.fitted = Some(Fitted {
            classes,
            examples,
            impostors,
        });
        Ok(())
    }

    /// The fitted head: a row of dual coefficients, one per example, for each class, and biases; see
    /// [`fit`]. Of classes that are enabled. `None` before a fit.
    pub fn head(&self) -> Option<(&[f32], &[f32])> {
        let Fitted {
            classes, examples, ..
        } = self.fitted?;
        Some((
            &self.head.duals[..classes * examples],
            &self.head.biases[..classes],
        ))
    }

    /// Classifies a backbone's embedding. `scores_room` needs a value per class; the scores in the
    /// decision are there, negative infinity for a class that is disabled.
    pub fn classify<'s>(
        &mut self,
        embedding: &[f32],
        scores_room: &'s mut [f32],
    ) -> Result<Decision<'s>, ClassifyError> {
        self.turn(embedding).map_err(ClassifyError::Embedding)?;
        self.classify_direction(self.query, scores_room)
    }

    /// [`Self::classify`] for what [`direction`] made of an embedding.
    ///
    /// # Panics
    /// If `query` is not as long as the backbone's embeddings.
    pub fn classify_direction<'s>(
        &self,
        query: &[i8],
        scores_room: &'s mut [f32],
    ) -> Result<Decision<'s>, ClassifyError> {
        assert_eq!(query.len(), self.metric.dim(), "length of the query");
        let (duals, biases) = self.head().ok_or(ClassifyError::NotFitted)?;
        let (needed, found) = (self.support.class_count(), scores_room.len());
        let scores_room = scores_room
            .get_mut(..needed)
            .ok_or(ClassifyError::ScoresTooShort { needed, found })?;
        let rows = enabled_classes(&self.support).flat_map(|class| self.support.examples(class));
        let similarities = rows.map(|example| self.metric.similarity(example, query));
        scores(
            duals,
            biases,
            similarities,
            &mut scores_room[..biases.len()],
        );
        // From their places among the enabled classes to those among all, which are no lower: the
        // last goes first.
        let mut from = biases.len();
        for (to, class) in self.support.classes().iter().enumerate().rev() {
            scores_room[to] = if class.is_enabled() {
                from -= 1;
                scores_room[from]
            } else {
                f32::NEG_INFINITY
            };
        }
        let best = best_class(scores_room).ok_or(ClassifyError::NotFitted)?;
        let class = &self.support.classes()[usize::from(best)];
        let similarity = self.similarity_to_class(best, query);
        let threshold = class
            .threshold()
            .unwrap_or_else(|| self.default_threshold());
        let known = class.role() == Role::Sound
            && similarity >= threshold
            && !self.is_nearer_to_a_negative(best, query);
        Ok(Decision {
            class: known.then_some(best),
            best,
            scores: scores_room,
            similarity,
            threshold,
            chance: self.impostors().chance(
                self.space().reference(),
                self.calibration.strangers,
                similarity,
            ),
        })
    }

    /// Similarity of `query` and the mean of an enabled class's examples; zero if those cancel out.
    fn similarity_to_class(&self, class: u8, query: &[i8]) -> f32 {
        let rank = enabled_classes(&self.support)
            .take_while(|other| *other != class)
            .count();
        self.cosine_to_sum(class, query, self.head.lengths[rank])
    }

    /// [`Self::similarity_to_class`] for the query that was last made a direction, without a fit.
    pub(super) fn query_similarity(&self, class: u8) -> f32 {
        let examples = self.support.examples(class);
        let count = examples.len() as f32;
        let square = examples
            .clone()
            .flat_map(|a| examples.clone().map(move |b| (a, b)));
        let square = square.map(|(a, b)| self.metric.similarity(a, b)).sum();
        self.cosine_to_sum(class, self.query, root_of_square(square, count))
    }

    /// Cosine of `query` and the sum of a class's examples, which has the length `length`.
    fn cosine_to_sum(&self, class: u8, query: &[i8], length: f32) -> f32 {
        if length > 0.0 {
            let examples = self.support.examples(class);
            let along: f32 = examples.map(|x| self.metric.similarity(x, query)).sum();
            (along / length).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// Whether one of the negatives is more like `query` than every example of `class`.
    fn is_nearer_to_a_negative(&self, class: u8, query: &[i8]) -> bool {
        let nearest = |class| {
            let similarities = self.support.examples(class);
            let similarities = similarities.map(|x| self.metric.similarity(x, query));
            similarities.fold(f32::NEG_INFINITY, f32::max)
        };
        let negatives = self.support.find_role(Role::Negatives);
        let enabled = |class: &u8| self.support.classes()[usize::from(*class)].is_enabled();
        let negatives = negatives.filter(enabled);
        negatives.is_some_and(|negatives| nearest(negatives) > nearest(class))
    }

    /// Makes `self.query` the direction of `embedding`.
    pub(super) fn turn(&mut self, embedding: &[f32]) -> Result<(), DirectionError> {
        let space = self.support.space();
        direction(embedding, space.base_mean(), space.parts(), self.query)
    }
}

/// Numbers of the classes that take part.
fn enabled_classes(support: &SupportSet<'_>) -> impl Iterator<Item = u8> + Clone {
    let classes = (0..=u8::MAX).zip(support.classes());
    classes.filter_map(|(number, class)| class.is_enabled().then_some(number))
}

/// Length of the sum of a class's examples as unit vectors, from the Gram matrix of all; zero if
/// they cancel out.
fn length_of_sum(gram: &[f32], labels: &[u8], class: u8) -> f32 {
    let own = |values: &[f32]| -> f32 {
        let members = values
            .iter()
            .zip(labels)
            .filter(|(_, label)| **label == class);
        members.map(|(value, _)| value).sum()
    };
    let rows = gram.chunks_exact(labels.len().max(1)).zip(labels);
    let members = rows.filter(|(_, label)| **label == class);
    let count = members.clone().count() as f32;
    let square: f32 = members.map(|(row, _)| own(row)).sum();
    root_of_square(square, count)
}

/// Length of a sum of `count` unit vectors, from its square; zero if they cancel out.
fn root_of_square(square: f32, count: f32) -> f32 {
    // Below this, what is left of unit vectors that cancel out is rounding.
    if square > 1e-6 * count * count {
        libm::sqrtf(square)
    } else {
        0.0
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
mod tests;
