//! Directions of ordinary sounds, packed with a model. A query is compared with them as well as with
//! the sounds that were taught.

/// Directions of ordinary sounds: int8, as [`crate::fewshot::direction`] makes them. Each may say how much
/// the parts of an embedding should count when sounds near it are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cohort<'a> {
    directions: &'a [i8],
    dim: usize,
    /// Rows of `parts` weights, one for each direction; empty if there are none.
    weights: &'a [u8],
    parts: usize,
}

impl<'a> Cohort<'a> {
    /// Takes directions of `dim` values, one after the other. `None` unless they are whole and there
    /// is one.
    pub fn new(directions: &'a [i8], dim: usize) -> Option<Self> {
        let whole = directions.len().checked_rem(dim) == Some(0);
        (whole && !directions.is_empty()).then_some(Self {
            directions,
            dim,
            weights: &[],
            parts: 0,
        })
    }

    /// Adds weights of the parts that suit sounds near each direction: a row of `parts` for each, one row
    /// after the other. `None` unless there is one row for each direction and none is all zeros.
    pub fn with_weights(self, weights: &'a [u8], parts: usize) -> Option<Self> {
        let fits = parts > 0 && self.len().checked_mul(parts) == Some(weights.len());
        let counts = |row: &[u8]| row.iter().any(|&weight| weight > 0);
        (fits && weights.chunks_exact(parts).all(counts)).then_some(Self {
            weights,
            parts,
            ..self
        })
    }

    /// Returns the weights of the parts, a row for each direction; empty if there are none.
    pub fn weights(&self) -> &'a [u8] {
        self.weights
    }

    /// Returns the weights of the parts at direction `index`; empty if there are none.
    pub fn weights_of(&self, index: usize) -> &'a [u8] {
        let from = index.saturating_mul(self.parts);
        let row = from..from.saturating_add(self.parts);
        self.weights.get(row).unwrap_or(&[])
    }

    /// Returns the number of directions, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a cohort is never empty")]
    pub fn len(&self) -> usize {
        self.directions.len() / self.dim.max(1)
    }

    /// Returns the number of values of a direction.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns all values, one direction after the other.
    pub fn as_slice(&self) -> &'a [i8] {
        self.directions
    }

    /// Returns the directions.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [i8]> + use<'a> {
        self.directions.chunks_exact(self.dim.max(1))
    }

    /// Returns direction `index`; `None` if there is no such direction.
    pub fn get(&self, index: usize) -> Option<&'a [i8]> {
        self.iter().nth(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_directions_make_a_cohort() {
        assert_eq!(Cohort::new(&[], 2), None);
        assert_eq!(Cohort::new(&[1, 2, 3], 2), None);
        assert_eq!(Cohort::new(&[1, 2], 0), None);
        let values = [1, 2, 3, 4];
        let cohort = Cohort::new(&values, 2).unwrap();
        assert_eq!((cohort.len(), cohort.dim()), (2, 2));
        assert_eq!(cohort.get(1), Some(&values[2..]));
        assert_eq!(cohort.get(2), None);
    }

    #[test]
    fn every_direction_has_a_row_of_weights_or_none_has() {
        let cohort = Cohort::new(&[1, 2, 3, 4], 2).unwrap();
        assert_eq!(cohort.weights_of(0), []);
        for (weights, parts) in [
            (&[1, 2, 3][..], 2),
            (&[], 0),
            (&[1, 2], 2),
            (&[1, 0, 0, 0], 2),
        ] {
            assert_eq!(cohort.with_weights(weights, parts), None, "{weights:?}");
        }
        let weighted = cohort.with_weights(&[1, 0, 2, 3], 2).unwrap();
        assert_eq!(weighted.weights_of(1), [2, 3]);
        assert_eq!(weighted.weights_of(2), []);
        assert_eq!(weighted.weights_of(usize::MAX), []);
    }
}
