//! What is measured: the same sounds and embeddings on the device and on the host that built it.

/// A linear congruential generator (Numerical Recipes); its upper 16 bits.
pub struct Random(u32);

impl Random {
    /// The same numbers for the same seed.
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// The next 16 bits, as a signed number.
    pub fn next(&mut self) -> i16 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as i16
    }
}

/// A sound, sample by sample: three tones that rise, of different loudness, in noise. All of it in
/// integers.
pub struct Sound {
    noise: Random,
    phases: [u32; 3],
    steps: [u32; 3],
}

impl Sound {
    /// From its beginning.
    pub const fn new() -> Self {
        Self {
            noise: Random::new(1),
            phases: [0; 3],
            steps: [60_000_000, 150_000_000, 420_000_000],
        }
    }

    /// The next sample, 16-bit PCM.
    pub fn next(&mut self) -> i16 {
        let mut sample = i32::from(self.noise.next()) / 64;
        for (tone, (phase, step)) in self.phases.iter_mut().zip(&mut self.steps).enumerate() {
            *phase = phase.wrapping_add(*step);
            *step += 2_000;
            // A parabola for each half of the wave, close to a sine.
            let x = (*phase as i32) >> 16;
            let wave = (x * (32_768 - x.abs())) >> 13;
            sample += wave >> (2 + 2 * tone);
        }
        sample.clamp(-32_768, 32_767) as i16
    }
}
