//! Extrapolates how often the sounds of a place score higher than a threshold.

/// Most scores that a tail is fitted to.
const TOP: usize = 10;

/// Least scale of a tail: scores of one kind of sound differ by this much.
const LEAST_SCALE: f32 = 0.02;

/// The upper tail of the scores that the sounds of a place have for a class: the number of sounds above a score falls
/// off exponentially. The tail is fitted to the upper half of the scores, or to the ten highest if that is fewer.
///
/// ```
/// use mtslvr_runtime::fewshot::ScoreTail;
/// let mut tail = ScoreTail::EMPTY;
/// [0.3, 0.1, 0.4].into_iter().for_each(|score| tail.push(score));
/// // One such sound in as long a time as these three took, and one in ten times as long.
/// let [often, seldom] = [1.0, 0.1].map(|count| tail.exceeded(count).unwrap());
/// assert!(often < seldom);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScoreTail {
    /// The highest scores, in descending order.
    top: [f32; TOP],
    count: u32,
}

/// The threshold of a class for a place.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PlaceThreshold {
    /// The threshold that the place asks for: see [`ScoreTail::threshold`].
    pub wanted: f32,
    /// The threshold to set: no higher than the class's own sounds allow.
    pub threshold: f32,
}

/// A tail that falls off exponentially.
#[derive(Clone, Copy, Debug)]
struct Fitted {
    /// The score that `count` scores reach.
    from: f32,
    count: f32,
    /// Mean excess of those.
    scale: f32,
}

impl ScoreTail {
    /// Tail of no scores.
    pub const EMPTY: Self = Self {
        top: [0.0; TOP],
        count: 0,
    };

    /// Counts a sound with this score, -1 to 1.
    pub fn push(&mut self, score: f32) {
        let kept = self.kept();
        let mut lower = score;
        for other in self.top.iter_mut().take(kept) {
            if lower > *other {
                core::mem::swap(other, &mut lower);
            }
        }
        if let Some(free) = self.top.get_mut(kept) {
            *free = lower;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Returns the number of sounds.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn kept(&self) -> usize {
        (self.count as usize).min(TOP)
    }

    /// Returns the highest score; `None` if there is none.
    pub fn highest(&self) -> Option<f32> {
        (self.count > 0).then_some(self.top[0])
    }

    fn fitted(&self) -> Option<Fitted> {
        let count = (self.count.div_ceil(2) as usize).min(TOP);
        let top = self.top.get(..count)?;
        let from = *top.last()?;
        let count = count as f32;
        let excess: f32 = top.iter().map(|score| score - from).sum();
        Some(Fitted {
            from,
            count,
            scale: (excess / count).max(LEAST_SCALE),
        })
    }

    /// Returns the score that `count` sounds exceed, above 0, in as long a time as these took; `None` if there are no
    /// sounds.
    pub fn exceeded(&self, count: f32) -> Option<f32> {
        let tail = self.fitted()?;
        Some(tail.from + tail.scale * libm::logf(tail.count / count.max(1e-9)))
    }

    /// Returns the number of sounds above `score` to expect in as long a time as these took, no more than the tail
    /// has; `None` if there are no sounds.
    pub fn count_above(&self, score: f32) -> Option<f32> {
        let tail = self.fitted()?;
        let along = (score - tail.from) / tail.scale;
        Some(tail.count * libm::expf(-along).min(1.0))
    }

    /// Returns the threshold that `allowed` sounds exceed in as long a time as these took, at most 1. It is no lower
    /// than `derived` ([`Learner::derived_threshold`](super::Learner::derived_threshold)), because the place may have
    /// sounds that were not heard.
    pub fn threshold(&self, allowed: f32, derived: f32) -> f32 {
        let wanted = self.exceeded(allowed).unwrap_or(f32::NEG_INFINITY);
        wanted.max(derived).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tail(scores: impl IntoIterator<Item = f32>) -> ScoreTail {
        let mut tail = ScoreTail::EMPTY;
        scores.into_iter().for_each(|score| tail.push(score));
        tail
    }

    #[test]
    fn it_goes_on_as_it_began() {
        // The expected order statistics of 1000 exponential scores with a mean of 0.1.
        let scores = (0..1000).map(|rank| 0.1 * (1000.0 / (rank as f32 + 0.5)).ln());
        let tail = tail(scores);
        for count in [5.0_f32, 1.0, 0.1] {
            let expected = 0.1 * (1000.0_f32 / count).ln();
            let exceeded = tail.exceeded(count).unwrap();
            assert!((exceeded - expected).abs() < 0.1, "{count}");
            assert!((tail.count_above(exceeded).unwrap() / count - 1.0).abs() < 0.01);
        }
    }

    #[test]
    fn no_sounds_say_nothing() {
        let none = ScoreTail::EMPTY;
        let nothing = (none.exceeded(1.0), none.count_above(0.0), none.highest());
        assert_eq!(nothing, (None, None, None));
        assert_eq!(none.threshold(1.0, 0.4), 0.4);
        // A single sound is not exceeded by half of one.
        assert!(tail([0.3]).exceeded(0.5).unwrap() > 0.3);
        assert_eq!(tail([0.3]).threshold(0.1, 0.7), 0.7);
        assert_eq!(tail([0.999]).threshold(1e-6, 0.7), 1.0);
    }

    proptest! {
        #[test]
        fn the_order_of_the_sounds_does_not_matter(
            mut scores in prop::collection::vec(-1.0_f32..1.0, 1..40),
            allowed in 0.001_f32..20.0,
        ) {
            let as_heard = tail(scores.clone());
            scores.sort_by(f32::total_cmp);
            prop_assert_eq!(as_heard, tail(scores.clone()));
            prop_assert_eq!(as_heard.highest(), scores.last().copied());
            prop_assert_eq!(as_heard.count() as usize, scores.len());
            let stricter = as_heard.threshold(allowed / 2.0, -1.0);
            prop_assert!(stricter >= as_heard.threshold(allowed, -1.0));
        }
    }
}
