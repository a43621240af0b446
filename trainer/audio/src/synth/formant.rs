//! Syllables: a glottal tone through the resonances of a mouth that moves from one vowel to
//! another, after a consonant made of noise.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::oscillator::{Wavetable, advance};
use super::shaping::{CONTROL, StateVariable};

const FROM: usize = OWN;
const TO: usize = OWN + 1;
const TRACT: usize = OWN + 2;
const INTONATION: usize = OWN + 3;
const BREATH: usize = OWN + 4;
const CONSONANT: usize = OWN + 5;
const CONSONANT_LENGTH: usize = OWN + 6;
const CONSONANT_PITCH: usize = OWN + 7;
const CLEARNESS: usize = OWN + 8;
const JITTER: usize = OWN + 9;

const FORMANTS: usize = 4;

/// First three resonances of American English vowels in Hz, means of men's voices (Peterson and Barney
/// 1952), ordered so that neighbours sound alike. The fourth hardly moves.
const VOWELS: [[f32; FORMANTS]; 8] = [
    [270.0, 2290.0, 3010.0, 3600.0],
    [390.0, 1990.0, 2550.0, 3550.0],
    [530.0, 1840.0, 2480.0, 3500.0],
    [660.0, 1720.0, 2410.0, 3500.0],
    [730.0, 1090.0, 2440.0, 3450.0],
    [570.0, 840.0, 2410.0, 3400.0],
    [440.0, 1020.0, 2240.0, 3350.0],
    [300.0, 870.0, 2240.0, 3300.0],
];
const BANDWIDTHS: [f32; FORMANTS] = [70.0, 100.0, 150.0, 220.0];
const LEVELS: [f32; FORMANTS] = [1.0, 0.6, 0.35, 0.2];

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let rate = context.rate;
    let pitch = knobs.ratio(PITCH, 75.0, 420.0) * context.transpose;
    let slope = knobs.linear(BRIGHTNESS, 2.0, 0.8);
    let count = ((0.45 * rate / pitch) as usize).clamp(1, 60);
    let partials: Vec<f32> = (1..=count).map(|k| (k as f32).powf(-slope)).collect();
    let glottis = Wavetable::new(&partials);
    let (from, to) = (vowel(knobs.raw(FROM)), vowel(knobs.raw(TO)));
    // A child's tract is shorter than a man's by a third and more.
    let tract = knobs.ratio(TRACT, 0.9, 1.5);
    let clearness = knobs.ratio(CLEARNESS, 0.6, 2.0);
    let intonation = knobs.linear(INTONATION, -0.5, 0.5);
    let breath = 0.5 * knobs.raw(BREATH).powi(2);
    let jitter = 0.03 * knobs.raw(JITTER).powi(2);

    let consonant = 1.5 * knobs.beyond(CONSONANT, 0.3);
    let consonant_samples = rate * knobs.ratio(CONSONANT_LENGTH, 0.008, 0.15);
    let mut fricative = StateVariable::default();
    fricative.tune(knobs.ratio(CONSONANT_PITCH, 800.0, 7000.0), 1.5, rate);

    let mut mouth = [StateVariable::default(); FORMANTS];
    let mut phase = 0u32;
    let length = event.len() as f32;
    for (index, part) in event.chunks_mut(CONTROL).enumerate() {
        let start = (index * CONTROL) as f32;
        let progress = start / length;
        // The mouth moves in the middle of the syllable.
        let moved = smooth((progress * 1.6 - 0.3).clamp(0.0, 1.0));
        for (formant, resonance) in mouth.iter_mut().enumerate() {
            let centre = tract * (from[formant] + moved * (to[formant] - from[formant]));
            resonance.tune(
                centre,
                clearness * centre / (BANDWIDTHS[formant] * tract),
                rate,
            );
        }
        let bend = (intonation * (progress - 0.3)).exp2() + jitter * context.noise.normal();
        let step = advance(pitch * bend.max(0.2), rate);
        let voiced = (start / consonant_samples - 0.5).clamp(0.0, 1.0);
        let hiss = consonant * (1.5 - start / consonant_samples).clamp(0.0, 1.0);
        for sample in part {
            phase = phase.wrapping_add(step);
            let noise = context.noise.normal();
            let source = voiced * (glottis.at(phase) + breath * noise);
            let mut sum = 0.0;
            for (resonance, level) in mouth.iter_mut().zip(LEVELS) {
                sum += level * resonance.step(source).band;
            }
            *sample = 2.0 * sum;
            if hiss > 0.0 {
                *sample += hiss * fricative.step(noise).band;
            }
        }
    }
}

/// Returns the resonances at a place in [0, 1] between the vowels.
fn vowel(place: f32) -> [f32; FORMANTS] {
    let place = place * (VOWELS.len() - 1) as f32;
    let index = (place as usize).min(VOWELS.len() - 2);
    let between = place - index as f32;
    std::array::from_fn(|formant| {
        let (low, high) = (VOWELS[index][formant], VOWELS[index + 1][formant]);
        low + between * (high - low)
    })
}

fn smooth(x: f32) -> f32 {
    x * x * (3.0 - 2.0 * x)
}
