//! Centres of ordinary audio: the cohort that a packed model brings along.

use mtslvr_runtime::fewshot::{Metric, direction};
use mtslvr_runtime::space::Parts;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// Number of centres where nobody says otherwise. With 64 instead of 32, no more sounds are told from
/// strangers.
pub const DEFAULT_CENTRES: usize = 32;

/// Most centres of a cohort. Every decision is compared with all of them.
pub const MOST_CENTRES: usize = 1024;

/// Rounds of k-means; after these, hardly a direction changes its centre.
const ROUNDS: usize = 30;

/// Seed of the first centres: the same directions give the same cohort.
const SEED: u64 = 0x6d74_736c_7672;

/// Finds up to `count` centres of `directions` by k-means in the similarity of the heads
/// ([`Metric`]), and returns them as directions one after the other.
///
/// A part of a centre is the mean of the unit vectors of the directions that are nearest to it, which is
/// what is most like them on average (spherical k-means, Dhillon and Modha 2001). The first centres are
/// drawn as k-means++ does (Arthur and Vassilvitskii 2007), deterministically.
pub fn centres(directions: &[Vec<i8>], parts: &Parts<'_>, count: usize) -> Vec<i8> {
    let space = Space {
        metric: Metric::new(parts),
        parts: *parts,
        directions,
    };
    let mut centres = space.first_centres(count.min(directions.len()));
    let mut nearest = Vec::new();
    for _ in 0..ROUNDS {
        let found = space.nearest(&centres);
        if found == nearest {
            break;
        }
        nearest = found;
        space.move_to_means(&mut centres, &nearest);
    }
    centres.concat()
}

/// The directions that centres are sought of.
struct Space<'s> {
    metric: Metric,
    parts: Parts<'s>,
    directions: &'s [Vec<i8>],
}

impl Space<'_> {
    /// Draws directions that are far from each other: each with a probability that grows with its distance
    /// from those drawn before.
    fn first_centres(&self, count: usize) -> Vec<Vec<i8>> {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut centres: Vec<Vec<i8>> = Vec::new();
        // The square of the distance of unit vectors is twice what their similarity lacks of 1.
        let mut lacking = vec![1.0_f64; self.directions.len()];
        for _ in 0..count {
            let total: f64 = lacking.iter().sum();
            let mut left = random.random::<f64>() * total;
            let drawn = lacking.iter().position(|lacking| {
                left -= lacking;
                left < 0.0
            });
            // Where nothing is left to tell them apart, any will do.
            let centre = self.directions[drawn.unwrap_or(centres.len())].clone();
            for (lacking, direction) in lacking.iter_mut().zip(self.directions) {
                let similarity = f64::from(self.metric.similarity(&centre, direction));
                *lacking = lacking.min((1.0 - similarity).max(0.0));
            }
            centres.push(centre);
        }
        centres
    }

    /// Returns the place of the nearest centre of each direction, the first of equals.
    fn nearest(&self, centres: &[Vec<i8>]) -> Vec<usize> {
        let nearest = |direction: &Vec<i8>| {
            let mut best = (0, f32::NEG_INFINITY);
            for (place, centre) in centres.iter().enumerate() {
                let similarity = self.metric.similarity(centre, direction);
                if similarity > best.1 {
                    best = (place, similarity);
                }
            }
            best.0
        };
        self.directions.par_iter().map(nearest).collect()
    }

    /// Moves each centre to the mean of its directions. One that has none, or whose directions cancel out,
    /// stays where it is.
    fn move_to_means(&self, centres: &mut [Vec<i8>], nearest: &[usize]) {
        let dim = self.parts.dim();
        let ranges: Vec<Range<usize>> = self.parts.ranges().map(|(_, range)| range).collect();
        for (place, centre) in centres.iter_mut().enumerate() {
            let mut mean = vec![0.0_f64; dim];
            let own = self.directions.iter().zip(nearest);
            for (direction, _) in own.filter(|(_, nearest)| **nearest == place) {
                for range in &ranges {
                    let values = &direction[range.clone()];
                    let square: f64 = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
                    let scale = 1.0 / square.sqrt().max(1.0);
                    for (mean, value) in mean[range.clone()].iter_mut().zip(values) {
                        *mean += scale * f64::from(*value);
                    }
                }
            }
            let mean: Vec<f32> = mean.into_iter().map(|value| value as f32).collect();
            let mut moved = vec![0; dim];
            if direction(&mean, &vec![0.0; dim], &self.parts, &mut moved).is_ok() {
                *centre = moved;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::model::Cohort;
    use mtslvr_runtime::space::Part;
    use proptest::prelude::*;

    fn parts() -> Parts<'static> {
        let part = |name, share| Part {
            name,
            len: 2,
            share,
        };
        Parts::new([part("a", 0.6), part("b", 0.4)]).unwrap()
    }

    /// A direction whose parts point at these angles.
    fn at(degrees: [f32; 2]) -> Vec<i8> {
        let pairs = degrees.map(|degrees| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            [cos, sin]
        });
        let mut values = vec![0; 4];
        direction(pairs.as_flattened(), &[0.0; 4], &parts(), &mut values).unwrap();
        values
    }

    #[test]
    fn clusters_give_their_means() {
        let middles = [[0.0, 90.0], [120.0, 0.0], [240.0, 200.0]];
        let directions: Vec<Vec<i8>> = (0..60)
            .map(|i| {
                let [a, b] = middles[i % 3];
                let stray = (i / 3) as f32 - 9.5;
                at([a + stray, b - stray])
            })
            .collect();
        let found = centres(&directions, &parts(), 3);
        let cohort = Cohort::new(&found, 4).unwrap();
        assert_eq!(cohort.len(), 3);
        let metric = Metric::new(&parts());
        for middle in middles {
            let middle = at(middle);
            let nearest = cohort.iter().map(|c| metric.similarity(c, &middle));
            assert!(nearest.fold(f32::MIN, f32::max) > 0.999, "{middle:?}");
        }
    }

    #[test]
    fn there_are_no_more_centres_than_directions() {
        let directions = [at([0.0, 0.0]), at([0.0, 0.0]), at([90.0, 0.0])];
        assert_eq!(centres(&directions, &parts(), 32).len(), 3 * 4);
        assert!(centres(&directions, &parts(), 0).is_empty());
        assert!(centres(&[], &parts(), 32).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Any directions give as many centres, each of them a direction, and twice the same ones.
        #[test]
        fn centres_are_directions(
            degrees in prop::collection::vec(prop::array::uniform2(0.0_f32..360.0), 1..40),
            count in 1_usize..12,
        ) {
            let directions: Vec<Vec<i8>> = degrees.iter().map(|degrees| at(*degrees)).collect();
            let found = centres(&directions, &parts(), count);
            prop_assert_eq!(found.len(), 4 * count.min(directions.len()));
            for part in found.chunks_exact(2) {
                prop_assert_eq!(part.iter().map(|v| v.unsigned_abs()).max(), Some(127));
            }
            prop_assert_eq!(centres(&directions, &parts(), count), found);
        }
    }
}
