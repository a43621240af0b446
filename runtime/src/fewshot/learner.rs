//! Support set, fitted head and decision in one object.

use super::class_scores::ClassScores;
use super::gram::Gram;
use super::score_tail::{PlaceThreshold, ScoreTail};
use super::storage::{HeadMut, StorageMut};
use super::strangers::StrangerStatistics;
use super::{
    Calibration, Class, ClassId, Decision, DirectionError, FitError, HeadKind, Metric, Role,
    Shares, SupportError, SupportSet, best_score, direction, fit, fit_scratch_len, scores,
    suited_to,
};
use crate::model::Cohort;
use crate::space::EmbeddingSpace;

/// Learns named sounds from embeddings and recognises them.
///
/// It keeps everything in the [`Storage`](super::Storage) that it was lent. [`Self::fit`] needs scratch
/// memory beside that, which may be in use for something else between fits, such as the backbone's
/// arena.
///
/// ```
/// use mtslvr_runtime::fewshot::{HeadKind, Learner, Storage};
/// # use mtslvr_runtime::fewshot::Reference;
/// # use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
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
/// #     form: FrontendForm::PLAIN,
/// # };
/// # let (id, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// # let base_mean = [0.0, 0.5, 0.5];
/// // With a packed model: let space = model.space();
/// # let space = EmbeddingSpace::new(id, frontend, parts, &base_mean, reference).unwrap();
/// let mut sounds = Learner::new(storage.lend(), HeadKind::Ridge { lambda: 1.0 }, space)?;
///
/// let doorbell = sounds.enrol("doorbell", &[1.0, 0.5, 2.0])?;
/// sounds.enrol("kettle", &[-0.5, 2.0, -1.0])?;
/// sounds.enrol("doorbell", &[1.0, 0.7, 1.5])?;
/// let mut scratch = vec![0.0; sounds.scratch_len()];
/// sounds.fit(&mut scratch)?;
///
/// let mut scores = [0.0; 4];
/// let decision = sounds.classify(&[0.9, 0.4, 3.0], &mut scores)?;
/// assert_eq!(decision.class, Some(doorbell));
/// assert_eq!(sounds.support().name(doorbell)?, "doorbell");
/// let decision = sounds.classify(&[-1.0, -3.0, 2.0], &mut scores)?;
/// assert_eq!(decision.class, None); // like neither
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Learner<'b> {
    kind: HeadKind,
    shares: Shares,
    /// Compares by the packed shares.
    metric: Metric,
    support: SupportSet<'b>,
    head: HeadMut<'b>,
    query: &'b mut [i8],
    calibration: Calibration,
    fitted: Option<Fitted>,
}

/// Results of a fit that are not in [`HeadMut`], and how much of that is in use.
#[derive(Clone, Copy, Debug)]
struct Fitted {
    classes: usize,
    examples: usize,
    /// Compares by the shares of the head.
    metric: Metric,
    strangers: StrangerStatistics,
}

/// Explains why an example could not be enrolled.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EnrolError {
    /// The embedding has no direction.
    #[error(transparent)]
    Embedding(#[from] DirectionError),
    /// The support set cannot take the example.
    #[error(transparent)]
    Support(#[from] SupportError),
}

/// Explains why a query could not be classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClassifyError {
    /// The head was not fitted since the support set last changed, or nothing is enrolled.
    #[error("nothing is enrolled, or fit was not called since the last change")]
    NotFitted,
    /// The embedding has no direction.
    #[error(transparent)]
    Embedding(#[from] DirectionError),
    /// There is room for fewer scores than there are classes.
    #[error("there is room for {found} scores and {needed} are needed")]
    ScoresTooShort {
        /// Enrolled classes.
        needed: usize,
        /// Scores that there is room for.
        found: usize,
    },
}

impl<'b> Learner<'b> {
    /// Makes a learner that knows nothing, for embeddings of `space`.
    ///
    /// # Errors
    /// [`DirectionError::Length`] if embeddings are not as long as `storage` has room for.
    pub fn new(
        storage: StorageMut<'b>,
        kind: HeadKind,
        space: EmbeddingSpace<'b>,
    ) -> Result<Self, DirectionError> {
        if space.dim() != storage.query.len() {
            return Err(DirectionError::Length);
        }
        let metric = Metric::new(space.parts());
        Ok(Self {
            kind,
            shares: Shares::default_for(&metric),
            metric,
            support: SupportSet::new(storage.classes, storage.directions, &space),
            head: storage.head,
            query: storage.query,
            calibration: Calibration::default(),
            fitted: None,
        })
    }

    /// Returns what has been enrolled.
    pub fn support(&self) -> &SupportSet<'b> {
        &self.support
    }

    /// Returns what has been enrolled, to change it. [`Self::fit`] is due afterwards.
    ///
    /// After something was removed, a fit gives the bits that it would give had that never been there.
    pub fn support_mut(&mut self) -> &mut SupportSet<'b> {
        self.fitted = None;
        &mut self.support
    }

    /// Describes the embeddings that it learns from.
    pub fn space(&self) -> &EmbeddingSpace<'b> {
        self.support.space()
    }

    /// Returns how directions are compared to tell whether a query is like its class at all: by the
    /// shares packed with the backbone.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Returns how directions are compared to tell the classes apart: by the shares that
    /// [`Self::shares`] stands for. `None` before a fit.
    pub fn head_metric(&self) -> Option<&Metric> {
        self.fitted.as_ref().map(|fitted| &fitted.metric)
    }

    /// Returns how much each part counts when classes are told apart: [`Shares::default_for`] the parts,
    /// unless [`Self::set_shares`] says otherwise.
    pub fn shares(&self) -> Shares {
        self.shares
    }

    /// Sets [`Self::shares`]. [`Self::fit`] is due afterwards. Snapshots do not hold it.
    pub fn set_shares(&mut self, shares: Shares) {
        self.shares = shares;
        self.fitted = None;
    }

    /// Adds an example, a backbone's embedding, to the sound called `name` and returns its class, which
    /// is made if it is new. [`Self::fit`] is due afterwards.
    ///
    /// # Errors
    /// [`EnrolError`]; nothing has then changed.
    pub fn enrol(&mut self, name: &str, embedding: &[f32]) -> Result<ClassId, EnrolError> {
        self.set_query(embedding)?;
        self.fitted = None;
        Ok(self.support.enrol(name, self.query)?)
    }

    /// Adds an example to the class that is there for `role`, [`Role::Negatives`] or
    /// [`Role::Background`]. [`Self::fit`] is due afterwards.
    ///
    /// # Errors
    /// [`EnrolError`]; nothing has then changed.
    pub fn enrol_role(&mut self, role: Role, embedding: &[f32]) -> Result<ClassId, EnrolError> {
        self.set_query(embedding)?;
        self.fitted = None;
        Ok(self.support.enrol_role(role, self.query)?)
    }

    /// Returns the smallest similarity at which a query belongs to a class: its own threshold if the user
    /// has set one, or that of all classes ([`SupportSet::default_threshold`]) if the user has set that.
    /// Otherwise [`Self::calibration`] derives it from the examples at the last fit: see [`Calibration`].
    /// Before a fit, and for a class that takes no part, it is as for a single example.
    pub fn threshold(&self, class: ClassId) -> f32 {
        self.threshold_at(self.place_of(class))
    }

    /// Returns the threshold that [`Self::calibration`] derives for a class at the last fit, whatever the user has
    /// set. Before a fit, and for a class that takes no part, it is as for a single example.
    pub fn derived_threshold(&self, class: ClassId) -> f32 {
        self.derived_threshold_at(self.place_of(class))
    }

    /// Returns the threshold of a class in a place whose sounds have the scores of `tail`, so that `allowed` of them
    /// exceed it in as long a time. It is no higher than [`Self::own_score`], unless what is derived is: half of the
    /// class's own sounds are left, because a higher one would be no use, and the place may have had the sound itself.
    pub fn place_threshold(
        &self,
        class: ClassId,
        tail: &ScoreTail,
        allowed: f32,
    ) -> PlaceThreshold {
        let derived = self.derived_threshold(class);
        let wanted = tail.threshold(allowed, derived);
        let own = self.own_score(class);
        PlaceThreshold {
            wanted,
            threshold: own.map_or(wanted, |own| wanted.min(own.max(derived))),
        }
    }

    /// Returns the mean score that the examples of a class have when each is left out of it once: half of the class's
    /// own sounds are to be expected below it. `None` for a single example, for a class that takes no part, and before
    /// a fit.
    pub fn own_score(&self, class: ClassId) -> Option<f32> {
        self.scores_at(self.place_of(class))?.own()
    }

    /// Returns the place of a class; behind the last if there is no such class.
    fn place_of(&self, class: ClassId) -> usize {
        let mut classes = self.support.classes().iter();
        let place = classes.position(|other| other.id() == class);
        place.unwrap_or(self.support.class_count())
    }

    /// Returns the threshold of the class at `place`.
    fn threshold_at(&self, place: usize) -> f32 {
        let class = self.support.classes().get(place);
        let set = class.and_then(Class::threshold);
        set.or(self.support.default_threshold())
            .unwrap_or_else(|| self.derived_threshold_at(place))
    }

    fn derived_threshold_at(&self, place: usize) -> f32 {
        let scores = self.scores_at(place).unwrap_or(&ClassScores::NONE);
        let reference = self.space().reference();
        self.strangers()
            .threshold(scores, reference, self.calibration)
    }

    /// Returns the scores of the class at `place` at the last fit, if it took part.
    fn scores_at(&self, place: usize) -> Option<&ClassScores> {
        let class = self.support.classes().get(place);
        let took_part = self.fitted.is_some() && class.is_some_and(Class::is_enabled);
        let rank = took_part.then(|| self.rank(place))?;
        self.head.scores.get(rank)
    }

    /// Returns the number of classes that take part and come before `place`.
    fn rank(&self, place: usize) -> usize {
        enabled_places(&self.support)
            .take_while(|other| *other != place)
            .count()
    }

    /// Returns how the threshold of classes for which none was set is calibrated.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Sets [`Self::calibration`]; no new fit is needed. Snapshots do not hold it.
    pub fn set_calibration(&mut self, calibration: Calibration) {
        self.calibration = calibration;
    }

    fn strangers(&self) -> StrangerStatistics {
        self.fitted
            .map_or(StrangerStatistics::NONE, |fitted| fitted.strangers)
    }

    /// Sets the threshold of all classes that have none of their own; no new fit is needed.
    ///
    /// # Errors
    /// Those of [`SupportSet::set_default_threshold`].
    pub fn set_default_threshold(&mut self, threshold: Option<f32>) -> Result<(), SupportError> {
        self.support.set_default_threshold(threshold)
    }

    /// Sets a class's own threshold; no new fit is needed.
    ///
    /// # Errors
    /// Those of [`SupportSet::set_threshold`].
    pub fn set_class_threshold(
        &mut self,
        class: ClassId,
        threshold: Option<f32>,
    ) -> Result<(), SupportError> {
        self.support.set_threshold(class, threshold)
    }

    /// Returns the length in `f32` of the scratch buffer that [`Self::fit`] needs now.
    pub fn scratch_len(&self) -> usize {
        let [classes, examples] = self.taking_part();
        Self::scratch_len_for(self.kind, classes, examples)
    }

    /// Returns the length in `f32` of the scratch buffer that [`Self::fit`] needs for up to as many
    /// classes and examples.
    pub const fn scratch_len_for(kind: HeadKind, classes: usize, examples: usize) -> usize {
        let gram = examples.saturating_mul(examples);
        gram.saturating_add(fit_scratch_len(kind, examples, classes))
    }

    /// Counts the classes and examples that are enabled.
    fn taking_part(&self) -> [usize; 2] {
        let enabled = self.support.classes().iter().filter(|c| c.is_enabled());
        let examples = enabled.clone().map(Class::examples);
        [enabled.count(), examples.sum()]
    }

    /// Fits the head to what has been enrolled and is enabled.
    ///
    /// # Errors
    /// [`FitError`]; the learner then classifies nothing.
    pub fn fit(&mut self, scratch: &mut [f32]) -> Result<(), FitError> {
        self.fitted = None;
        let [classes, examples] = self.taking_part();
        let (needed, found) = (self.scratch_len(), scratch.len());
        if found < needed {
            return Err(FitError::ScratchTooShort { needed, found });
        }
        let (packed, cohort) = (self.metric, self.space().cohort());
        let (gram, scratch) = scratch.split_at_mut(examples * examples);
        let labels = &mut self.head.labels[..examples];
        let enabled = enabled_places(&self.support);
        let label = (0..=u8::MAX).zip(enabled.clone());
        let own =
            label.flat_map(|(label, place)| self.support.examples_at(place).map(move |_| label));
        labels.iter_mut().zip(own).for_each(|(to, from)| *to = from);
        let rows = enabled.flat_map(|place| self.support.examples_at(place));
        packed.gram(rows.clone(), gram)?;
        for (class, length) in (0..=u8::MAX).zip(&mut self.head.lengths[..classes]) {
            *length = length_of_sum(gram, labels, class);
        }
        // The coefficients are not fitted yet: their room holds the levels meanwhile.
        let levels = &mut self.head.duals[..examples];
        for (to, example) in levels.iter_mut().zip(rows.clone()) {
            *to = level(cohort, &packed, example);
        }
        let similarities = Gram::new(gram, labels, &self.head.lengths[..classes]);
        let roles = Roles::of(&self.support);
        let strangers = StrangerStatistics::of(
            &similarities,
            |label| roles.of_label(label) == Role::Sound,
            levels,
            self.support.space().reference(),
        );
        for (label, scores) in (0..=u8::MAX).zip(&mut self.head.scores[..classes]) {
            *scores = ClassScores::of(&similarities, label, |label| roles.of_label(label), levels);
        }
        let metric = match self.shares {
            Shares::Packed => packed,
            Shares::Task => {
                let labelled = labels.iter().copied().zip(rows.clone());
                let metric = suited_to(&packed, cohort, labelled, self.kind.penalty(), gram);
                metric.gram(rows, gram)?;
                metric
            }
        };
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
            metric,
            strangers,
        });
        Ok(())
    }

    /// Returns how ordinary the last [`Self::set_query`] is.
    pub(super) fn query_level(&self) -> f32 {
        level(self.space().cohort(), &self.metric, self.query)
    }

    /// Returns the fitted head of the classes that are enabled: a row of dual coefficients, one for each
    /// example, for each class, and biases; see [`fit`]. `None` before a fit.
    pub fn head(&self) -> Option<(&[f32], &[f32])> {
        let Fitted {
            classes, examples, ..
        } = self.fitted?;
        Some((
            self.head.duals.get(..classes * examples)?,
            self.head.biases.get(..classes)?,
        ))
    }

    /// Classifies a backbone's embedding. `scores_room` needs a value for each class; the scores in the
    /// decision are written there.
    ///
    /// # Errors
    /// [`ClassifyError`].
    pub fn classify<'s>(
        &mut self,
        embedding: &[f32],
        scores_room: &'s mut [f32],
    ) -> Result<Decision<'s>, ClassifyError> {
        self.set_query(embedding)?;
        self.classify_direction(self.query, scores_room)
    }

    /// Classifies the [`direction`] of an embedding, as [`Self::classify`] does.
    ///
    /// # Errors
    /// [`ClassifyError`], also if `query` is not as long as an embedding.
    pub fn classify_direction<'s>(
        &self,
        query: &[i8],
        scores_room: &'s mut [f32],
    ) -> Result<Decision<'s>, ClassifyError> {
        if query.len() != self.support.dim() {
            return Err(DirectionError::Length.into());
        }
        let (duals, biases) = self.head().ok_or(ClassifyError::NotFitted)?;
        let metric = self.head_metric().ok_or(ClassifyError::NotFitted)?;
        let (needed, found) = (self.support.class_count(), scores_room.len());
        let scores_room = scores_room
            .get_mut(..needed)
            .ok_or(ClassifyError::ScoresTooShort { needed, found })?;
        let enabled = enabled_places(&self.support);
        let rows = enabled.flat_map(|place| self.support.examples_at(place));
        let similarities = rows.map(|example| metric.similarity(example, query));
        let fitted = scores_room
            .get_mut(..biases.len())
            .ok_or(ClassifyError::NotFitted)?;
        // Whatever was fitted has these lengths.
        scores(duals, biases, similarities, fitted).map_err(|_| ClassifyError::NotFitted)?;
        // From their places among the enabled classes to those among all, which are no lower: the
        // last goes first.
        let mut from = biases.len();
        for (to, class) in self.support.classes().iter().enumerate().rev() {
            let score = if class.is_enabled() {
                from = from.saturating_sub(1);
                scores_room.get(from).copied().unwrap_or_default()
            } else {
                f32::NEG_INFINITY
            };
            if let Some(to) = scores_room.get_mut(to) {
                *to = score;
            }
        }
        let best = best_score(scores_room).ok_or(ClassifyError::NotFitted)?;
        let class = self.support.classes().get(best);
        let class = class.ok_or(ClassifyError::NotFitted)?;
        let level = level(self.space().cohort(), &self.metric, query);
        let similarity = (self.similarity_to_class(best, query) - level).clamp(-1.0, 1.0);
        let threshold = self.threshold_at(best);
        let known = class.role() == Role::Sound
            && similarity >= threshold
            && !self.is_nearer_to_a_negative(best, query);
        Ok(Decision {
            class: known.then_some(class.id()),
            best: class.id(),
            scores: scores_room,
            similarity,
            threshold,
            chance: self
                .strangers()
                .chance(self.space().reference(), self.calibration, similarity),
        })
    }

    /// Returns the similarity of `query` and the mean of the examples of the class at `place`, which is
    /// enabled; zero if those cancel out.
    fn similarity_to_class(&self, place: usize, query: &[i8]) -> f32 {
        let length = self.head.lengths.get(self.rank(place));
        self.cosine_to_sum(place, query, length.copied().unwrap_or_default())
    }

    /// Returns the similarity of the last [`Self::set_query`] and the mean of the examples of the class
    /// at `place`; it needs no fit.
    pub(super) fn query_similarity(&self, place: usize) -> f32 {
        let examples = self.support.examples_at(place);
        let count = examples.len() as f32;
        let square = examples
            .clone()
            .flat_map(|a| examples.clone().map(move |b| (a, b)));
        let square = square.map(|(a, b)| self.metric.similarity(a, b)).sum();
        self.cosine_to_sum(place, self.query, root_of_square(square, count))
    }

    /// Returns the cosine of `query` and the sum of a class's examples, which has the length `length`.
    fn cosine_to_sum(&self, place: usize, query: &[i8], length: f32) -> f32 {
        if length > 0.0 {
            let examples = self.support.examples_at(place);
            let along: f32 = examples.map(|x| self.metric.similarity(x, query)).sum();
            (along / length).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// Tells whether one of the negatives is more like `query` than every example of the class at
    /// `place`.
    fn is_nearer_to_a_negative(&self, place: usize, query: &[i8]) -> bool {
        let nearest = |place| {
            let similarities = self.support.examples_at(place);
            let similarities = similarities.map(|x| self.metric.similarity(x, query));
            similarities.fold(f32::NEG_INFINITY, f32::max)
        };
        let mut classes = self.support.classes().iter();
        let negatives =
            classes.position(|class| class.role() == Role::Negatives && class.is_enabled());
        negatives.is_some_and(|negatives| nearest(negatives) > nearest(place))
    }

    /// Makes `self.query` the direction of `embedding`.
    pub(super) fn set_query(&mut self, embedding: &[f32]) -> Result<(), DirectionError> {
        let space = self.support.space();
        direction(embedding, space.base_mean(), space.parts(), self.query)
    }
}

/// The role of each class that takes part, by its label.
struct Roles {
    /// A bit for each label.
    sounds: [u64; 4],
    background: [u64; 4],
}

impl Roles {
    fn of(support: &SupportSet<'_>) -> Self {
        let mut roles = Self {
            sounds: [0; 4],
            background: [0; 4],
        };
        for (label, place) in enabled_places(support).enumerate() {
            let bits = match support.classes()[place].role() {
                Role::Sound => &mut roles.sounds,
                Role::Background => &mut roles.background,
                Role::Negatives => continue,
            };
            bits[label / 64] |= 1 << (label % 64);
        }
        roles
    }

    fn of_label(&self, label: u8) -> Role {
        let is_set = |bits: &[u64; 4]| bits[usize::from(label / 64)] >> (label % 64) & 1 == 1;
        if is_set(&self.sounds) {
            Role::Sound
        } else if is_set(&self.background) {
            Role::Background
        } else {
            Role::Negatives
        }
    }
}

/// Returns how ordinary a direction is, zero if the backbone brings no cohort along.
fn level(cohort: Option<Cohort<'_>>, metric: &Metric, direction: &[i8]) -> f32 {
    cohort.map_or(0.0, |cohort| metric.level(&cohort, direction))
}

/// Returns the places of the classes that take part.
fn enabled_places(support: &SupportSet<'_>) -> impl Iterator<Item = usize> + Clone {
    let classes = support.classes().iter().enumerate();
    classes.filter_map(|(place, class)| class.is_enabled().then_some(place))
}

/// Returns the length of the sum of a class's examples as unit vectors, from the Gram matrix of all; zero if
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

/// Returns the length of a sum of `count` unit vectors, from its square; zero if they cancel out.
fn root_of_square(square: f32, count: f32) -> f32 {
    // Below this, what is left of unit vectors that cancel out is rounding.
    if square > 1e-6 * count * count {
        libm::sqrtf(square)
    } else {
        0.0
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Learner<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let fitted = self.fitted.is_some();
        defmt::write!(
            f,
            "Learner {{ support: {}, fitted: {} }}",
            self.support,
            fitted
        );
    }
}

#[cfg(test)]
mod tests;
