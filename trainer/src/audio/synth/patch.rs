//! A sound as numbers.

use super::super::Noise;
use super::knobs::Knobs;
use super::room;
use super::voice::{Event, Family, Voice};
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

impl Patch {
    /// Any sound.
    pub fn random(rng: &mut impl Rng) -> Self {
        let family = Family::ALL[rng.random_range(0..Family::ALL.len())];
        Self::random_of(family, rng)
    }

    /// A sound whose main voice is of `family`.
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

    /// Family of the main voice.
    pub fn family(&self) -> Family {
        self.voices[0].family
    }

    /// A sound near this one: each parameter moved by a normal number times `share`, clipped to
    /// [0, 1]. With 0 it is the same sound, with 0.05 a sound of its class, with 0.25 a relative.
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

    /// The sound as `samples` samples at `sample_rate` Hz, below full scale, over a background that
    /// is never silent. The patch and what `rng` gives decide every sample; onset, pitch, level and
    /// the details of each event vary with `rng`.
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
            let onset = onset + delay * layer as f32;
            let level = level.powi(layer as i32);
            self.play(voice, onset, level, transpose, rate, &mut noise, &mut out);
        }

        self.record(rate, &mut noise, &mut out);
        out
    }

    /// Adds the events of `voice` to `out`, from `onset` seconds on.
    #[allow(clippy::too_many_arguments)]
    fn play(
        &self,
        voice: &Voice,
        onset: f32,
        level: f32,
        transpose: f32,
        rate: f32,
        noise: &mut Noise,
        out: &mut [f32],
    ) {
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
        let mut start = onset;
        for count in 0.. {
            let first = (start * rate) as usize;
            if first >= out.len() {
                break;
            }
            let place = if repeated { count % phrase } else { 0 };
            let pitch = transpose * (step * place as f32 / 12.0 + 0.01 * noise.normal()).exp2();
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
            let gain = level
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

    /// Puts the played sound into a room and onto a recording with its level and background.
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
        out.iter_mut()
            .for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    }
}

/// Amplitude of a level in dB.
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
        samples.iter_mut().for_each(|sample| *sample *= gain);
    }
}
