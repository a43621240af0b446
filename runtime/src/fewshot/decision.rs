//! From scores to a class or *unknown*.

use super::linalg::dot;

/// What a query was recognised as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<'s> {
    /// The recognised class; `None` means *unknown*: `similarity` is below the threshold.
    pub class: Option<u8>,
    /// The class with the best score, the first of equals, recognised or not.
    pub best: u8,
    /// A score per class: see [`super::scores`].
    pub scores: &'s [f32],
    /// Cosine similarity, -1 to 1, of the query and the mean of the best class's examples.
    pub similarity: f32,
}

/// Decides for the class with the best of `scores`, or for *unknown* if `similarity(best)` is below
/// `threshold`. `None` if there is no score.
pub fn decide<'s>(
    scores: &'s [f32],
    threshold: f32,
    similarity: impl FnOnce(u8) -> f32,
) -> Option<Decision<'s>> {
    let first = (0_u8, scores.first()?);
    let (best, _) = (0..=u8::MAX).zip(scores).fold(first, |best, candidate| {
        if candidate.1 > best.1 {
            candidate
        } else {
            best
        }
    });
    let similarity = similarity(best);
    Some(Decision {
        class: (similarity >= threshold).then_some(best),
        best,
        scores,
        similarity,
    })
}

/// Cosine similarity of a unit-length `query` and the mean of the examples of `class` in a support
/// set (`x`, `y` as in [`super::fit`]). Zero if those examples cancel out, or if there are none.
pub fn similarity_to_class(x: &[f32], y: &[u8], class: u8, query: &[f32]) -> f32 {
    let dim = query.len();
    let members = || {
        let examples = x.chunks_exact(dim).zip(y);
        examples.filter(|(_, label)| **label == class)
    };
    // |sum|^2 from the products of pairs, so that the sum itself needs no buffer.
    let (mut along, mut length) = (0.0_f32, 0.0_f32);
    let mut count = 0.0_f32;
    for (i, (a, _)) in members().enumerate() {
        along += dot(a, query);
        length += dot(a, a);
        for (b, _) in members().take(i) {
            length += 2.0 * dot(a, b);
        }
        count += 1.0;
    }
    // Below this, what is left of unit vectors that cancel out is rounding.
    if length > 1e-6 * count * count {
        (along / libm::sqrtf(length)).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// Turns the scores of [`super::HeadKind::Logistic`] into probabilities, in place.
pub fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::expf(*score - largest);
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_best_class_wins_or_is_unknown() {
        let scores = [0.1, 0.7, -3.0, 0.7];
        let known = decide(&scores, 0.2, |_| 0.2).unwrap();
        assert_eq!((known.class, known.best), (Some(1), 1));
        let unknown = decide(&scores, 0.2, |best| f32::from(best) * 0.1).unwrap();
        assert_eq!((unknown.class, unknown.best), (None, 1));
        assert_eq!(decide(&[], 0.0, |_| 1.0), None);
    }

    #[test]
    fn similarity_is_the_cosine_to_the_mean() {
        let x = [1.0, 0.0, 0.0, 1.0, -1.0, 0.0];
        let near = similarity_to_class(&x, &[0, 0, 1], 0, &[0.6, 0.8]);
        assert!((near - 1.4 / 2.0_f32.sqrt()).abs() < 1e-6);
        assert_eq!(similarity_to_class(&x, &[0, 0, 1], 1, &[1.0, 0.0]), -1.0);
        assert_eq!(similarity_to_class(&x, &[0, 1, 0], 0, &[1.0, 0.0]), 0.0);
        assert_eq!(similarity_to_class(&x, &[0, 0, 0], 1, &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let mut scores = [1e4, 1e4 + 1.0, -1e4];
        softmax(&mut scores);
        assert!((scores[1] / scores[0] - core::f32::consts::E).abs() < 1e-5);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
