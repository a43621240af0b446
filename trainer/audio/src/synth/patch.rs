//! Describes a sound by numbers, and renders it.

use super::event::Event;
use super::knobs::Knobs;
use super::room;
use super::voice::{Family, Voice};
use crate::noise::Noise;
use rand::{Rng, RngExt};

/// Parameters of how voices are played and recorded.
const GESTURE: usize = 17;

const ONSET: usize = 0;
const REPEATED: usize = 1;
const INTERVAL: usize = 2;
const UNEVEN: usize = 3;
const MELODY: usize = 4;
const DYNAMICS: usize = 5;
const LAYER_DELAY: usize = 6;
const LAYER_LEVEL: usize = 7;
const ROOM: usize = 8;
const ROOM_TIME: usize = 9;
const ROOM_COLOUR: usize = 10;
const DRIVE: usize = 11;
const BANDWIDTH: usize = 12;
const LOUDNESS: usize = 13;
const BACKGROUND: usize = 14;
const BACKGROUND_COLOUR: usize = 15;
const BURSTS: usize = 16;

/// The background stays this far (dB) below the sound's peak.
const LEAST_HEADROOM: f32 = 25.0;

/// A sound: one to three voices and how they are played, in parameters in [0, 1].
///
/// A patch is a class of sounds: every [`render`](Self::render) differs a little in onset, pitch,
/// level and detail, as the same door or bird does from one time to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    voices: Vec<Voice>,
    gesture: Knobs<GESTURE>,
}

/// Entry of a voice.
struct Entry {
    /// Seconds until its first event.
    onset: f32,
    level: f32,
    /// Factor on its frequencies.
    transpose: f32,
}

impl Patch {
    /// Draws any sound.
    pub fn random(rng: &mut impl Rng) -> Self {
        let family = Family::ALL[rng.random_range(0..Family::ALL.len())];
        Self::random_of(family, rng)
    }

    /// Draws a sound whose main voice is of `family`.
    pub fn random_of(family: Family, rng: &mut impl Rng) -> Self {
        let mut noise = Noise::new(rng);
        let layers = match rng.random_range(0..10) {
            0..6 => 1,
            6..9 => 2,
            _ => 3,
        };
        let voices = (0..layers)
            .map(|layer| Voice {
                family: match layer {
                    0 => family,
                    _ => Family::ALL[rng.random_range(0..Family::ALL.len())],
                },
                knobs: Knobs::random(&mut noise),
            })
            .collect();
        Self {
            voices,
            gesture: Knobs::random(&mut noise),
        }
    }

    /// Returns the family of the main voice.
    pub fn family(&self) -> Family {
        self.voices[0].family
    }

    /// Draws a sound near this one: moves each parameter by a normal number times `share`, and clips it
    /// to [0, 1]. A share of 0 gives the same sound, 0.05 a sound of its class, 0.25 a relative.
    pub fn perturb(&self, share: f32, rng: &mut impl Rng) -> Self {
        let mut noise = Noise::new(rng);
        let voices = self
            .voices
            .iter()
            .map(|voice| Voice {
                family: voice.family,
                knobs: voice.knobs.perturb(share, &mut noise),
            })
            .collect();
        Self {
            voices,
            gesture: self.gesture.perturb(share, &mut noise),
        }
    }

    /// Renders `samples` samples at `sample_rate` Hz, below full scale, over a background that is never
    /// silent. Onset, pitch, level and the details of each event vary with `rng`; the same patch and
    /// numbers give the same samples.
    pub fn render(&self, samples: usize, sample_rate: u32, rng: &mut impl Rng) -> Vec<f32> {
        let rate = sample_rate as f32;
        let gesture = &self.gesture;
        let mut noise = Noise::new(rng);
        let mut out = vec![0.0; samples];

        // A quarter of a semitone up or down, most of the time.
        let transpose = (0.02 * noise.normal()).exp2();
        let seconds = samples as f32 / rate;
        let onset = gesture.linear(ONSET, 0.0, 0.3) * seconds.min(1.0)
            + 0.08 * noise.uniform().abs() * seconds.min(1.0);
        let delay = gesture.linear(LAYER_DELAY, 0.0, 0.25);
        let level = gesture.ratio(LAYER_LEVEL, 0.2, 1.2);
        for (layer, voice) in self.voices.iter().enumerate() {
            let entry = Entry {
                onset: onset + delay * layer as f32,
                level: level.powi(layer as i32),
                transpose,
            };
            self.play(voice, entry, rate, &mut noise, &mut out);
        }

        self.record(rate, &mut noise, &mut out);
        out
    }

    /// Adds the events of `voice` to `out`.
    fn play(&self, voice: &Voice, entry: Entry, rate: f32, noise: &mut Noise, out: &mut [f32]) {
        let gesture = &self.gesture;
        let repeated = gesture.raw(REPEATED) > 0.5;
        let interval = gesture.ratio(INTERVAL, 0.07, 0.7);
        let uneven = 0.5 * gesture.raw(UNEVEN).powi(2);
        // Steps between events in semitones, and back to the start every few events.
        let step = (gesture.linear(MELODY, -1.0, 1.0).powi(3) * 7.0).round();
        let phrase = 2 + (gesture.raw(BURSTS) * 6.0) as usize;
        let dynamics = 0.6 * gesture.raw(DYNAMICS);
        // At most two events of a voice sound at once.
        let longest = if repeated {
            2.0 * interval
        } else {
            f32::INFINITY
        };

        let mut event = Vec::new();
        let mut start = entry.onset;
        for count in 0.. {
            let first = (start * rate) as usize;
            if first >= out.len() {
                break;
            }
            let place = if repeated { count % phrase } else { 0 };
            let pitch =
                entry.transpose * (step * place as f32 / 12.0 + 0.01 * noise.normal()).exp2();
            let seconds = voice.seconds().min(longest) * (0.08 * noise.normal()).exp2();
            let length = ((seconds * rate) as usize).max(64);
            event.clear();
            event.resize(length, 0.0);
            voice.render(
                &mut Event {
                    rate,
                    transpose: pitch,
                    noise,
                },
                &mut event,
            );
            let gain = entry.level
                * (1.0 - dynamics * place as f32 / phrase as f32)
                * (0.15 * noise.normal()).exp2();
            for (out, sample) in out[first..].iter_mut().zip(&event) {
                *out += gain * sample;
            }
            if !repeated {
                break;
            }
            let rest = if place + 1 == phrase {
                1.0 + gesture.raw(BURSTS)
            } else {
                1.0
            };
            start += (interval * rest * (1.0 + uneven * noise.normal())).max(0.03);
        }
    }

    /// Puts the played sound into a room, and gives it the level and the background of a recording.
    fn record(&self, rate: f32, noise: &mut Noise, out: &mut [f32]) {
        let gesture = &self.gesture;
        normalise(out, 1.0);
        if gesture.raw(DRIVE) > 0.6 {
            room::saturate(out, 4.0 * gesture.beyond(DRIVE, 0.6));
        }
        if gesture.raw(ROOM) > 0.35 {
            let amount = 1.5 * gesture.beyond(ROOM, 0.35).powi(2);
            let seconds = gesture.ratio(ROOM_TIME, 0.12, 2.0);
            let cutoff = gesture.ratio(ROOM_COLOUR, 700.0, 6000.0);
            room::reverberate(out, amount, seconds, cutoff, rate);
        }
        if gesture.raw(BANDWIDTH) < 0.4 {
            room::dull(
                out,
                (1200.0 * (1.0 + 12.0 * gesture.raw(BANDWIDTH))).min(0.45 * rate),
                rate,
            );
        }
        let peak_db = (gesture.linear(LOUDNESS, -34.0, -1.0) + 2.5 * noise.normal()).min(-0.5);
        normalise(out, decibels(peak_db));
        let floor_db = gesture.linear(BACKGROUND, -84.0, -38.0) + 2.0 * noise.normal();
        let floor_db = floor_db.min(peak_db - LEAST_HEADROOM);
        let colour = gesture.raw(BACKGROUND_COLOUR);
        room::background(out, decibels(floor_db), colour, rate, noise);
        for sample in out.iter_mut() {
            *sample = sample.clamp(-1.0, 1.0);
        }
    }
}

/// Converts a level in dB to an amplitude.
fn decibels(level: f32) -> f32 {
    10f32.powf(level / 20.0)
}

/// Scales `samples` to the peak `peak`; silence stays silence.
fn normalise(samples: &mut [f32], peak: f32) {
    let found = samples
        .iter()
        .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    if found > 1e-9 {
        let gain = peak / found;
        for sample in samples {
            *sample *= gain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Noise;
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Mean log power in 20 bands over the clip: a crude timbre.
    fn timbre(samples: &[f32]) -> Vec<f32> {
        let mut planner = realfft::RealFftPlanner::new();
        let fft = planner.plan_fft_forward(512);
        let mut bands = [0.0f32; 20];
        for frame in samples.chunks_exact(512) {
            let mut spectrum = fft.make_output_vec();
            fft.process(&mut frame.to_vec(), &mut spectrum).unwrap();
            for (bin, value) in spectrum.iter().enumerate().skip(1) {
                let band = ((bin as f32).ln() / 257f32.ln() * 20.0) as usize;
                bands[band.min(19)] += value.norm_sqr();
            }
        }
        let log: Vec<f32> = bands.iter().map(|power| (power + 1e-6).ln()).collect();
        let mean = log.iter().sum::<f32>() / 20.0;
        log.iter().map(|value| value - mean).collect()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
    }

    #[test]
    fn every_family_sounds_and_stays_in_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for family in Family::ALL {
            for rate in [8_000, 16_000, 44_100] {
                for _ in 0..6 {
                    let sound = Patch::random_of(family, &mut rng).render(8_000, rate, &mut rng);
                    assert_eq!(sound.len(), 8_000);
                    assert!(sound.iter().all(|sample| sample.abs() <= 1.0));
                    let peak = sound.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
                    assert!(peak > 0.004, "{family:?} at {rate} Hz peaks at {peak}");
                    let background = sound
                        .windows(400)
                        .all(|part| part.iter().any(|x| *x != 0.0));
                    assert!(background, "digital silence");
                }
            }
        }
    }

    #[test]
    fn the_generator_decides_every_sample() {
        let patch = Patch::random(&mut ChaCha8Rng::seed_from_u64(1));
        let render = |seed| patch.render(4_000, 16_000, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(render(5), render(5));
        assert_ne!(render(5), render(6));
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        assert_eq!(patch.perturb(0.0, &mut rng), patch);
        assert_ne!(patch.perturb(0.1, &mut rng), patch);
    }

    #[test]
    fn clips_of_a_class_are_closer_than_classes() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let clip = |patch: &Patch, rng: &mut ChaCha8Rng| {
            timbre(&patch.perturb(0.05, rng).render(16_000, 16_000, rng))
        };
        let (mut right, mut all) = (0, 0);
        for _ in 0..10 {
            let classes: Vec<_> = (0..5).map(|_| Patch::random(&mut rng)).collect();
            let support: Vec<_> = classes.iter().map(|patch| clip(patch, &mut rng)).collect();
            for (class, patch) in classes.iter().enumerate() {
                for _ in 0..3 {
                    let query = clip(patch, &mut rng);
                    let nearest = (0..5).min_by(|&a, &b| {
                        distance(&query, &support[a]).total_cmp(&distance(&query, &support[b]))
                    });
                    right += usize::from(nearest == Some(class));
                    all += 1;
                }
            }
        }
        // By chance a fifth; a class must be recognisable even by so crude a measure.
        assert!(right * 10 > all * 6, "{right} of {all}");
        println!("{right} of {all} by timbre alone");
    }

    #[test]
    fn perturbed_parameters_stay_in_range() {
        let mut noise = Noise::new(&mut ChaCha8Rng::seed_from_u64(9));
        let knobs = Knobs::<16>::random(&mut noise).perturb(3.0, &mut noise);
        assert!((0..16).all(|index| (0.0..=1.0).contains(&knobs.raw(index))));
    }
}
