//! Similarity of two directions.

use super::FitError;
use crate::space::{MAX_PARTS, Parts};

/// Compares directions: the mean of the cosines of their parts, weighted by the parts' shares.
///
/// It is the dot product of unit vectors in which the parts have their shares as squared lengths, so
/// all that is true of dot products (Gram matrices, distances to means) is true of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Metric {
    /// The first `count` are in use.
    parts: [Span; MAX_PARTS],
    count: usize,
}

/// A part, as far as it is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Span {
    len: usize,
    share: f32,
}

impl Metric {
    /// Compares directions that have these parts.
    pub fn new(parts: &Parts<'_>) -> Self {
        let parts = parts.as_slice();
        Self {
            parts: core::array::from_fn(|at| Span {
                len: parts.get(at).map_or(0, |part| part.len),
                share: parts.get(at).map_or(0.0, |part| part.share),
            }),
            count: parts.len(),
        }
    }

    /// Returns the shares of the parts, zeros behind the last.
    pub fn shares(&self) -> [f32; MAX_PARTS] {
        self.parts.map(|part| part.share)
    }

    /// Compares the same parts with other shares, which add up to 1.
    pub(super) fn with_shares(&self, shares: &[f32; MAX_PARTS]) -> Self {
        Self {
            parts: core::array::from_fn(|at| Span {
                share: shares[at],
                ..self.parts[at]
            }),
            count: self.count,
        }
    }

    /// Returns the number of values of a direction.
    pub fn dim(&self) -> usize {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// Returns the similarity of two directions, -1 to 1 up to rounding. A part of zeros is unlike
    /// everything (0), and so is a part that is missing because a slice is too short.
    pub fn similarity(&self, a: &[i8], b: &[i8]) -> f32 {
        let (mut a, mut b) = (a, b);
        let mut sum = 0.0;
        for part in self.parts.iter().take(self.count) {
            let (a_part, a_rest) = a.split_at(part.len.min(a.len()));
            let (b_part, b_rest) = b.split_at(part.len.min(b.len()));
            sum += part.share * cosine(a_part, b_part);
            (a, b) = (a_rest, b_rest);
        }
        sum
    }

    /// Writes the `n x n` matrix of similarities of `n` directions.
    ///
    /// # Errors
    /// [`FitError::Length`] if `gram` is not `n * n` long.
    pub fn gram<'d>(
        &self,
        directions: impl Iterator<Item = &'d [i8]> + Clone,
        gram: &mut [f32],
    ) -> Result<(), FitError> {
        let n = directions.clone().count();
        let (needed, found) = (n.saturating_mul(n), gram.len());
        if found != needed {
            return Err(FitError::Length { needed, found });
        }
        for (i, a) in directions.clone().enumerate() {
            for (j, b) in directions.clone().take(i + 1).enumerate() {
                let similarity = self.similarity(a, b);
                gram[i * n + j] = similarity;
                gram[j * n + i] = similarity;
            }
        }
        Ok(())
    }
}

/// Sums of products are whole numbers, exact in any order: no vector instruction changes a bit.
fn cosine(a: &[i8], b: &[i8]) -> f32 {
    let (mut along, mut a_square, mut b_square) = (0_i32, 0_i32, 0_i32);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (i32::from(a), i32::from(b));
        along = along.wrapping_add(a * b);
        a_square = a_square.wrapping_add(a * a);
        b_square = b_square.wrapping_add(b * b);
    }
    if a_square == 0 || b_square == 0 {
        return 0.0;
    }
    along as f32 / (libm::sqrtf(a_square as f32) * libm::sqrtf(b_square as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Part;

    /// Compares parts of these lengths and shares.
    fn metric_of(parts: &[(usize, f32)]) -> Metric {
        let names = ["a", "b", "c"].into_iter().zip(parts);
        let parts = names.map(|(name, &(len, share))| Part { name, len, share });
        Metric::new(&Parts::new(parts).unwrap())
    }

    #[test]
    fn similarity_is_the_mean_of_the_parts_cosines() {
        let metric = metric_of(&[(2, 0.5), (2, 0.5)]);
        let (a, b) = ([127, 0, 0, 127], [127, 127, 127, 0]);
        assert!((metric.similarity(&a, &b) - 0.5 * 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(metric.similarity(&a, &a), 1.0);
        assert_eq!(metric.similarity(&[0; 4], &a), 0.0);
        let weighted = metric_of(&[(2, 0.75), (2, 0.25)]);
        assert!((weighted.similarity(&a, &b) - 0.75 * 0.5_f32.sqrt()).abs() < 1e-6);
        let one = metric_of(&[(4, 1.0)]);
        assert!((one.similarity(&a, &b) - 1.0 / 6.0_f32.sqrt()).abs() < 1e-6);
        let three = metric_of(&[(1, 0.5), (2, 0.3), (1, 0.2)]);
        assert!((three.similarity(&a, &b) - 0.5).abs() < 1e-6);
        // A part that is missing is as one of zeros.
        assert_eq!(metric.similarity(&a[..2], &a), 0.5);
    }

    #[test]
    fn a_gram_matrix_is_symmetric_with_ones() {
        let rows: [&[i8]; 3] = [&[127, 3, -9], &[-50, 127, 127], &[127, 127, -127]];
        let metric = metric_of(&[(1, 0.5), (2, 0.5)]);
        let mut gram = [f32::NAN; 9];
        metric.gram(rows.into_iter(), &mut gram).unwrap();
        for i in 0..3 {
            assert!((gram[4 * i] - 1.0).abs() < 1e-6);
            for j in 0..3 {
                assert_eq!(gram[3 * i + j].to_bits(), gram[3 * j + i].to_bits());
                assert_eq!(gram[3 * i + j], metric.similarity(rows[j], rows[i]));
            }
        }
        let (needed, found) = (9, 8);
        let short = metric.gram(rows.into_iter(), &mut gram[1..]);
        assert_eq!(short, Err(FitError::Length { needed, found }));
    }
}
