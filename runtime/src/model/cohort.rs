//! Directions of ordinary sounds, packed with a model: what a query is compared with beside the
//! sounds that were taught.

use crate::fewshot::Metric;

/// Number of directions whose similarities are averaged: the ones nearest to a query.
const NEAREST: usize = 4;

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

    /// Returns how ordinary `query` is, -1 to 1: the mean of its similarities to the 4 directions that
    /// are most like it, or to all if there are fewer.
    ///
    /// It takes `3 len dim` multiply-accumulates of int8 values.
    pub fn level(&self, metric: &Metric, query: &[i8]) -> f32 {
        // In descending order.
        let mut nearest = [f32::NEG_INFINITY; NEAREST];
        for direction in self.iter() {
            let mut similarity = metric.similarity(direction, query);
            for place in &mut nearest {
                if similarity > *place {
                    core::mem::swap(place, &mut similarity);
                }
            }
        }
        let count = self.len().min(NEAREST);
        nearest.iter().take(count).sum::<f32>() / count as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::test_space::parts;
    use proptest::prelude::*;

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
    fn fewer_directions_than_are_averaged_all_count() {
        let metric = Metric::new(&parts(&[2]));
        let level = |directions: &[i8], query: &[i8]| {
            Cohort::new(directions, 2).unwrap().level(&metric, query)
        };
        assert_eq!(level(&[127, 0], &[127, 0]), 1.0);
        assert_eq!(level(&[127, 0, 0, 127], &[127, 0]), 0.5);
        assert_eq!(level(&[127, 0, -127, 0], &[127, 0]), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// The level is the mean of the largest similarities, whatever the order of the directions.
        #[test]
        fn the_nearest_directions_count(
            mut rows in prop::collection::vec(prop::array::uniform4(-127_i8..=127), 1..40),
            query in prop::array::uniform4(-127_i8..=127),
        ) {
            let metric = Metric::new(&parts(&[2, 2]));
            let level = |rows: &[[i8; 4]]| {
                Cohort::new(rows.as_flattened(), 4).unwrap().level(&metric, &query)
            };
            let mut all: Vec<f32> = rows.iter().map(|row| metric.similarity(row, &query)).collect();
            all.sort_by(|a, b| b.total_cmp(a));
            all.truncate(NEAREST);
            let expected = all.iter().sum::<f32>() / all.len() as f32;
            let found = level(&rows);
            prop_assert_eq!(found, expected);
            rows.reverse();
            prop_assert_eq!(level(&rows), found);
            prop_assert!((-1.0001..=1.0001).contains(&found));
        }
    }
}
