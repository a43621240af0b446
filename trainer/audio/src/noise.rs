//! Random samples in large numbers.

use rand::{Rng, RngExt};

/// A cheap stream of random samples, seeded from a generator of good quality: sounds and noise
/// need millions of numbers that are uncorrelated to the ear, not to a cryptographer.
///
/// The generator is SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// Starts a stream, seeded from `rng`.
    pub fn new(rng: &mut impl Rng) -> Self {
        Self {
            state: rng.random(),
        }
    }

    /// Starts the stream of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number uniform in [-1, 1).
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        (self.next() >> 32) as u32 as i32 as f32 * (1.0 / 2_147_483_648.0)
    }

    /// Returns a nearly normal number of mean 0 and deviation 1. It is the sum of four uniform numbers,
    /// so that none exceeds 3.5.
    #[inline]
    pub fn normal(&mut self) -> f32 {
        let bits = self.next();
        let part = |shift: u32| (bits >> shift) as u16 as i16 as i32;
        // The variance of a uniform 16-bit integer is 2^32 / 12.
        const GAIN: f32 = 1.732_050_8 / 65_536.0;
        ((part(0) + part(16) + part(32) + part(48)) as f32 + 2.0) * GAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut noise = Noise::new(&mut ChaCha8Rng::seed_from_u64(5));
        const COUNT: usize = 200_000;
        let moments = |draw: &mut dyn FnMut() -> f32| {
            let values: Vec<_> = (0..COUNT).map(|_| f64::from(draw())).collect();
            let mean = values.iter().sum::<f64>() / COUNT as f64;
            let square = values.iter().map(|x| x * x).sum::<f64>() / COUNT as f64;
            (mean, square)
        };
        let (mean, square) = moments(&mut || noise.normal());
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.02);
        let (mean, square) = moments(&mut || noise.uniform());
        assert!(mean.abs() < 0.01 && (square - 1.0 / 3.0).abs() < 0.01);
    }
}
