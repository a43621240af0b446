//! A sound and the quiet around it, made up for firmwares to listen to.

use mtslvr_audio::Noise;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Samples a second.
pub const RATE: u32 = 16_000;

/// Makes quiet noise.
pub fn quiet(samples: u32, seed: u64) -> Vec<f32> {
    let mut noise = Noise::new(&mut ChaCha8Rng::seed_from_u64(seed));
    (0..samples).map(|_| 1e-3 * noise.normal()).collect()
}

/// Adds a sawtooth with a whistle that dies away, 0.7 seconds long, from the sample `at` on.
pub fn add_sound(samples: &mut [f32], at: u32) {
    for i in 0..RATE * 7 / 10 {
        let time = i as f32 / RATE as f32;
        let whistle = (280.0 * std::f32::consts::TAU * time).sin() * (1.0 - time / 0.7);
        let sample = 0.25 * ((i % 61) as f32 / 61.0 - 0.5) + 0.12 * whistle;
        samples[(at + i) as usize] += sample;
    }
}

/// Makes ten seconds of quiet noise in which the sound is heard three times, at 3, 6 and 8 seconds.
pub fn stream() -> Vec<f32> {
    let mut samples = quiet(10 * RATE, 5);
    for second in [3, 6, 8] {
        add_sound(&mut samples, second * RATE);
    }
    samples
}
