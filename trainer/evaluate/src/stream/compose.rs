//! Puts the sounds of a cast on a background.

use super::background::background;
use super::cast::{Cast, ClipRef};
use super::level::Activity;
use crate::controls::LoadedSet;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Mean power of the background: -45 dB of full scale.
const BACKGROUND_POWER: f32 = 3.16e-5;
/// Seconds at the beginning without a sound.
const LEAD: f32 = 5.0;
/// Least seconds between two sounds.
const GAP: f32 = 1.0;

/// Settings of the composition of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenery {
    /// Samples a second.
    pub sample_rate: u32,
    /// Length in seconds.
    pub seconds: f32,
    /// Power of a sound, pauses left out, over that of the background, dB.
    pub snr: f32,
}

/// A sound in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The enrolled sound, if it is one.
    pub class: Option<usize>,
    /// The clip in its set.
    pub clip: ClipRef,
    /// Samples of the stream in which it is heard, without pauses at its ends.
    pub extent: Range<u64>,
}

/// A stream and its sounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// The samples.
    pub samples: Vec<f32>,
    /// Its sounds, in order of time.
    pub sounds: Vec<Occurrence>,
}

impl Scenery {
    /// Returns the gain that brings a clip to its level in the stream.
    pub fn gain(&self, clip: &[f32]) -> f32 {
        let power = Activity::of(clip, self.sample_rate).power;
        if power > 0.0 {
            (BACKGROUND_POWER * 10_f32.powf(self.snr / 10.0) / power).sqrt()
        } else {
            0.0
        }
    }

    /// Composes `length` samples of background from the clips of `classes`, each a set and a class in
    /// it.
    pub fn background(
        &self,
        sets: &[LoadedSet],
        classes: &[(usize, usize)],
        length: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        let clips = classes.iter().flat_map(|&(set, class)| {
            let clips = sets[set].candidates.iter().zip(&sets[set].clips);
            clips.filter_map(move |(c, clip)| (c.class == class).then_some(clip.as_slice()))
        });
        let clips: Vec<&[f32]> = clips.collect();
        background(&clips, length, BACKGROUND_POWER, self.sample_rate, rng)
    }
}

/// Composes a stream: puts the sounds of `cast`, in random order with random pauses, over `background`.
/// Sounds that do not fit are left out.
pub fn compose(
    sets: &[LoadedSet],
    cast: &Cast,
    scenery: &Scenery,
    background: Vec<f32>,
    rng: &mut ChaCha8Rng,
) -> Composed {
    let known = cast.heard.iter().enumerate();
    let known = known.flat_map(|(class, clips)| clips.iter().map(move |clip| (Some(class), *clip)));
    let mut order: Vec<_> = known
        .chain(cast.others.iter().map(|clip| (None, *clip)))
        .collect();
    order.shuffle(rng);
    let rate = scenery.sample_rate as f32;
    let samples_of = |clip: ClipRef| sets[clip.set].clips[clip.clip].as_slice();
    let mut room = background.len() as f32 - LEAD * rate;
    order.retain(|(_, clip)| {
        let length = samples_of(*clip).len() as f32 + GAP * rate;
        let fits = length <= room;
        room -= if fits { length } else { 0.0 };
        fits
    });
    // Random parts of the time that is left over: the intervals of a Poisson process.
    let weights: Vec<f32> = (0..=order.len())
        .map(|_| -rng.random_range(1e-6_f32..1.0).ln())
        .collect();
    let pause = room.max(0.0) / weights.iter().sum::<f32>();
    let mut samples = background;
    let mut sounds = Vec::new();
    let mut at = LEAD * rate;
    for ((class, clip), weight) in order.into_iter().zip(&weights) {
        at += GAP * rate + weight * pause;
        let (start, sound) = (at as usize, samples_of(clip));
        let gain = scenery.gain(sound);
        let end = (start + sound.len()).min(samples.len());
        for (to, sample) in samples[start..end].iter_mut().zip(sound) {
            *to += gain * sample;
        }
        let heard = Activity::of(sound, scenery.sample_rate).extent;
        sounds.push(Occurrence {
            class,
            clip,
            extent: (start + heard.start) as u64..(start + heard.end) as u64,
        });
        at += sound.len() as f32;
    }
    Composed { samples, sounds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::cast::tests::{SHAPE, sets};
    use rand::SeedableRng;

    const SCENERY: Scenery = Scenery {
        sample_rate: 1000,
        seconds: 60.0,
        snr: 10.0,
    };

    #[test]
    fn sounds_stand_where_they_are_said_to_at_their_level() {
        let sets = sets();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let cast = Cast::draw(&sets, &[true, true], &[], SHAPE, &mut rng).unwrap();
        let composed = compose(&sets, &cast, &SCENERY, vec![0.0; 60_000], &mut rng);
        assert_eq!(composed.sounds.len(), 2 * 4 + 5);
        let mut end = 5000;
        for sound in &composed.sounds {
            // A second of pause before each.
            assert!(sound.extent.start >= end + 1000, "{sound:?}");
            end = sound.extent.end;
            let heard = &composed.samples[sound.extent.start as usize..end as usize];
            let power = heard.iter().map(|x| x * x).sum::<f32>() / heard.len() as f32;
            let decibels = 10.0 * (power / BACKGROUND_POWER).log10();
            assert!((decibels - 10.0).abs() < 0.1, "{decibels}");
            let enrolled = cast.classes.iter().position(|&(set, class)| {
                set == sound.clip.set && class == sets[set].candidates[sound.clip.clip].class
            });
            assert_eq!(enrolled, sound.class);
        }
        assert!(end <= 60_000);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let sets = sets();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let cast = Cast::draw(&sets, &[true, true], &[], SHAPE, &mut rng).unwrap();
        let composed = compose(&sets, &cast, &SCENERY, vec![0.0; 10_000], &mut rng);
        let last = composed.sounds.last().unwrap();
        assert!((1..=4).contains(&composed.sounds.len()) && last.extent.end <= 10_000);
    }
}
