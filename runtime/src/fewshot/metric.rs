//! How alike two directions are.

/// Compares directions: a weighted mean of the cosine of their invariant parts and that of their
/// equivariant parts.
///
/// It is the dot product of unit vectors in which the parts have the squared lengths
/// [`Self::shares`], so all that is true of dot products (Gram matrices, distances to means) is
/// true of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    dim: usize,
    invariant_dim: usize,
    shares: [f32; 2],
}

impl Metric {
    /// Both parts of directions of `dim` values count the same; an empty part does not count.
    ///
    /// # Panics
    /// If `invariant_dim` is more than `dim`.
    pub const fn new(dim: usize, invariant_dim: usize) -> Self {
        Self::weighted(dim, invariant_dim, 0.5)
    }

    /// The invariant part has the share `invariant_share`, 0 to 1, the equivariant one the rest; where
    /// one of them is empty the other has all.
    ///
    /// # Panics
    /// If `invariant_dim` is more than `dim`, or the share not from 0 to 1.
    pub const fn weighted(dim: usize, invariant_dim: usize, invariant_share: f32) -> Self {
        assert!(invariant_dim <= dim);
        assert!(invariant_share >= 0.0 && invariant_share <= 1.0);
        let shares = if invariant_dim == 0 {
            [0.0, 1.0]
        } else if invariant_dim == dim {
            [1.0, 0.0]
        } else {
            [invariant_share, 1.0 - invariant_share]
        };
        Self {
            dim,
            invariant_dim,
            shares,
        }
    }

    /// Values of a direction.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// Values of its invariant part, which comes first.
    pub const fn invariant_dim(&self) -> usize {
        self.invariant_dim
    }

    /// How much the invariant and the equivariant part count; they add up to 1.
    pub const fn shares(&self) -> [f32; 2] {
        self.shares
    }

    /// Similarity of two directions, -1 to 1 up to rounding. A part of zeros is unlike everything
    /// (0).
    ///
    /// # Panics
    /// If a direction is shorter than the invariant part.
    pub fn similarity(&self, a: &[i8], b: &[i8]) -> f32 {
        let (a_invariant, a_equivariant) = a.split_at(self.invariant_dim);
        let (b_invariant, b_equivariant) = b.split_at(self.invariant_dim);
        self.shares[0] * cosine(a_invariant, b_invariant)
            + self.shares[1] * cosine(a_equivariant, b_equivariant)
    }

    /// Writes the `n x n` matrix of similarities of `n` directions.
    ///
    /// # Panics
    /// If `gram` is not as long.
    pub fn gram<'d>(&self, directions: impl Iterator<Item = &'d [i8]> + Clone, gram: &mut [f32]) {
        let n = directions.clone().count();
        assert_eq!(gram.len(), n * n, "length of the Gram matrix");
        for (i, a) in directions.clone().enumerate() {
            for (j, b) in directions.clone().take(i + 1).enumerate() {
                let similarity = self.similarity(a, b);
                gram[i * n + j] = similarity;
                gram[j * n + i] = similarity;
            }
        }
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

    #[test]
    fn similarity_is_the_mean_of_the_parts_cosines() {
        let metric = Metric::new(4, 2);
        let (a, b) = ([127, 0, 0, 127], [127, 127, 127, 0]);
        assert!((metric.similarity(&a, &b) - 0.5 * 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(metric.similarity(&a, &a), 1.0);
        assert_eq!(metric.similarity(&[0; 4], &a), 0.0);
        let metric = Metric::weighted(4, 2, 0.75);
        assert!((metric.similarity(&a, &b) - 0.75 * 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(metric.shares(), [0.75, 0.25]);
        for one in [0, 4] {
            let metric = Metric::weighted(4, one, 0.3);
            assert!((metric.similarity(&a, &b) - 1.0 / 6.0_f32.sqrt()).abs() < 1e-6);
        }
    }

    #[test]
    fn a_gram_matrix_is_symmetric_with_ones() {
        let rows: [&[i8]; 3] = [&[127, 3, -9], &[-50, 127, 127], &[127, 127, -127]];
        let metric = Metric::new(3, 1);
        let mut gram = [f32::NAN; 9];
        metric.gram(rows.into_iter(), &mut gram);
        for i in 0..3 {
            assert!((gram[4 * i] - 1.0).abs() < 1e-6);
            for j in 0..3 {
                assert_eq!(gram[3 * i + j].to_bits(), gram[3 * j + i].to_bits());
                assert_eq!(gram[3 * i + j], metric.similarity(rows[j], rows[i]));
            }
        }
    }
}
