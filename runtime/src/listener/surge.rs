//! Finds a sound that begins over a fainter one.
//!
//! A gust of wind, a wave or a car in the street opens the gate and keeps it open. A sound that begins
//! meanwhile would be cut where the gust begins, and be unlike its examples.

use super::config::frames_in;

/// Smallest rise above the loudest frame so far with which another sound begins, dB.
const RISE: f32 = 9.0;

/// Seconds after which another sound may begin: an attack belongs to its sound.
const ATTACK: f32 = 0.3;

/// Follows the loudest frame of the sound that is heard.
#[derive(Debug)]
pub(super) struct Surge {
    /// How far the loudest frame stands out, dB.
    loudest: f32,
    /// Frames of the sound.
    frames: u32,
    /// Frames of [`ATTACK`].
    attack: u32,
}

impl Surge {
    pub fn new(frames_per_second: f32) -> Self {
        Self {
            loudest: 0.0,
            frames: 0,
            attack: frames_in(ATTACK, frames_per_second),
        }
    }

    /// Forgets the sound: the next frame is the first of another.
    pub fn reset(&mut self) {
        self.frames = 0;
    }

    /// Takes a frame of the sound that is heard, by how far it stands out, dB. Tells whether another sound begins
    /// with it.
    pub fn push(&mut self, level: f32) -> bool {
        let begins = self.frames >= self.attack && level >= self.loudest + RISE;
        if begins || self.frames == 0 {
            self.frames = 0;
            self.loudest = level;
        } else if level > self.loudest {
            self.loudest = level;
        }
        self.frames = self.frames.saturating_add(1);
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of `levels`, at 50 frames a second, with which a sound begins over another.
    fn begin(levels: impl IntoIterator<Item = f32>) -> Vec<usize> {
        let mut surge = Surge::new(50.0);
        let begins = levels.into_iter().map(|level| surge.push(level));
        begins
            .enumerate()
            .filter_map(|(place, begins)| begins.then_some(place))
            .collect()
    }

    /// Frames of each level.
    fn steps(levels: &[(usize, f32)]) -> Vec<f32> {
        let step = |(frames, level): &(usize, f32)| vec![*level; *frames];
        levels.iter().flat_map(step).collect()
    }

    #[test]
    fn a_sound_begins_over_a_fainter_one() {
        assert_eq!(begin(steps(&[(40, 6.0), (20, 15.0)])), [40]);
        assert_eq!(begin(steps(&[(40, 6.0), (20, 14.9)])), []);
        // Each is louder than the one before; a fourth that is as loud as the third is no new sound.
        let rising = steps(&[(40, 6.0), (40, 16.0), (40, 27.0), (20, 8.0), (20, 27.0)]);
        assert_eq!(begin(rising), [40, 80]);
    }

    #[test]
    fn an_attack_belongs_to_its_sound() {
        assert_eq!(begin(steps(&[(14, 6.0), (40, 30.0)])), []);
        assert_eq!(begin(steps(&[(15, 6.0), (40, 30.0)])), [15]);
        // A sound that swells, 1 dB a frame, is one sound.
        assert_eq!(begin((0_u8..60).map(f32::from)), []);
    }

    #[test]
    fn the_sound_before_a_pause_does_not_count() {
        let mut surge = Surge::new(50.0);
        for _ in 0..40 {
            surge.push(6.0);
        }
        surge.reset();
        assert!(!surge.push(30.0));
    }
}
