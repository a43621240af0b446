//! Directions of ordinary sounds, packed with a model. A query is compared with them as well as with
//! the sounds that were taught.

/// Directions of ordinary sounds: int8, as [`crate::fewshot::direction`] makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cohort<'a> {
    directions: &'a [i8],
    dim: usize,
}

impl<'a> Cohort<'a> {
    /// Takes directions of `dim` values, one after the other. `None` unless they are whole and there
    /// is one.
    pub fn new(directions: &'a [i8], dim: usize) -> Option<Self> {
        let whole = directions.len().checked_rem(dim) == Some(0);
        (whole && !directions.is_empty()).then_some(Self { directions, dim })
    }

    /// Returns the number of directions, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a cohort is never empty")]
    pub fn len(&self) -> usize {
        self.directions.len() / self.dim
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
        self.directions.chunks_exact(self.dim)
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
}
