//! Compares a sound with a cohort: how ordinary it is, and which direction is most like it.

use super::Metric;
use crate::model::Cohort;

/// Number of directions whose similarities are averaged: the ones nearest to a query.
const NEAREST: usize = 4;

impl Metric {
    /// Returns how ordinary `query` is, -1 to 1: the mean of its similarities to the 4 directions of `cohort`
    /// that are most like it, or to all if there are fewer.
    ///
    /// It takes `3 len dim` multiply-accumulates of int8 values.
    pub fn level(&self, cohort: &Cohort<'_>, query: &[i8]) -> f32 {
        // In descending order.
        let mut nearest = [f32::NEG_INFINITY; NEAREST];
        for direction in cohort.iter() {
            let mut similarity = self.similarity(direction, query);
            for place in &mut nearest {
                if similarity > *place {
                    core::mem::swap(place, &mut similarity);
                }
            }
        }
        let count = cohort.len().min(NEAREST);
        nearest.iter().take(count).sum::<f32>() / count as f32
    }

    /// Returns the index of the direction of `cohort` that is most like `query`, the first of equals.
    ///
    /// It takes `3 len dim` multiply-accumulates of int8 values.
    pub fn nearest(&self, cohort: &Cohort<'_>, query: &[i8]) -> usize {
        let (mut index, mut best) = (0, f32::NEG_INFINITY);
        for (at, direction) in cohort.iter().enumerate() {
            let similarity = self.similarity(direction, query);
            if similarity > best {
                (index, best) = (at, similarity);
            }
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::test_space::parts;
    use proptest::prelude::*;

    #[test]
    fn fewer_directions_than_are_averaged_all_count() {
        let metric = Metric::new(&parts(&[2]));
        let level = |directions: &[i8], query: &[i8]| {
            metric.level(&Cohort::new(directions, 2).unwrap(), query)
        };
        assert_eq!(level(&[127, 0], &[127, 0]), 1.0);
        assert_eq!(level(&[127, 0, 0, 127], &[127, 0]), 0.5);
        assert_eq!(level(&[127, 0, -127, 0], &[127, 0]), 0.0);
    }

    #[test]
    fn the_first_of_equals_is_the_nearest() {
        let metric = Metric::new(&parts(&[2]));
        let cohort = Cohort::new(&[127, 0, 0, 127, 0, 127], 2).unwrap();
        assert_eq!(metric.nearest(&cohort, &[20, 127]), 1);
        assert_eq!(metric.nearest(&cohort, &[127, -20]), 0);
        assert_eq!(metric.nearest(&cohort, &[0, 0]), 0);
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
                metric.level(&Cohort::new(rows.as_flattened(), 4).unwrap(), &query)
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
