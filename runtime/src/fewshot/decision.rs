//! From scores to a class or *unknown*.

use super::ClassId;

/// A query's class, or *unknown*, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decision<'s> {
    /// The recognised class. `None` means *unknown*: `similarity` is below the threshold, the best
    /// class is not there to be recognised (negatives, background), or one of the negatives is more
    /// like the query than every example of the best class.
    pub class: Option<ClassId>,
    /// The class with the best score, the first of equals, recognised or not.
    pub best: ClassId,
    /// A score for each class, in the order of [`SupportSet::classes`](super::SupportSet::classes):
    /// see [`super::scores`]; negative infinity for a class that is disabled.
    pub scores: &'s [f32],
    /// Similarity, -1 to 1, of the query and the mean of the best class's examples; less the query's
    /// [`Metric::level`](super::Metric::level) if the backbone brings a cohort along, so that a sound
    /// that is like ordinary sounds must be the more like its class.
    pub similarity: f32,
    /// Smallest similarity at which the query would belong to the best class.
    pub threshold: f32,
    /// Probability, 0 to 1, that a sound of none of the classes is as like the best of them; among the
    /// strangers for which the learner is calibrated ([`Calibration`](super::Calibration)).
    pub chance: f32,
}

/// Returns the place of the best of `scores`, the first of equals; `None` if there is no score.
pub fn best_score(scores: &[f32]) -> Option<usize> {
    let first = (0, scores.first()?);
    let best = scores.iter().enumerate().fold(first, |best, candidate| {
        if candidate.1 > best.1 {
            candidate
        } else {
            best
        }
    });
    Some(best.0)
}

/// Turns the scores of [`super::HeadKind::Logistic`] into probabilities, in place.
pub fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::expf(*score - largest);
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_best() {
        assert_eq!(best_score(&[0.1, 0.7, -3.0, 0.7]), Some(1));
        assert_eq!(best_score(&[f32::NEG_INFINITY]), Some(0));
        assert_eq!(best_score(&[]), None);
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let mut scores = [1e4, 1e4 + 1.0, -1e4];
        softmax(&mut scores);
        assert!((scores[1] / scores[0] - core::f32::consts::E).abs() < 1e-5);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
