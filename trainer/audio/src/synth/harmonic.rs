//! Harmonic tones: two wavetables, one bright and one dull, between which the tone moves.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::oscillator::{Wavetable, advance, sine};
use super::shaping::CONTROL;

const EVEN: usize = OWN;
const COMB: usize = OWN + 1;
const VIBRATO_DEPTH: usize = OWN + 2;
const VIBRATO_RATE: usize = OWN + 3;
const DULLING: usize = OWN + 4;
const DETUNE: usize = OWN + 5;
const BREATH: usize = OWN + 6;
const GLIDE: usize = OWN + 7;
const FORMANT: usize = OWN + 8;
const FORMANT_GAIN: usize = OWN + 9;

const MOST_PARTIALS: usize = 40;

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let pitch = knobs.ratio(PITCH, 50.0, 1600.0) * context.transpose;
    let slope = knobs.linear(BRIGHTNESS, 3.0, 0.3);
    let bright = Wavetable::new(&partials(knobs, pitch, slope, context.rate));
    let duller = slope + knobs.linear(DULLING, 0.0, 3.0);
    let dull = Wavetable::new(&partials(knobs, pitch, duller, context.rate));

    let vibrato = 0.05 * knobs.beyond(VIBRATO_DEPTH, 0.4);
    let vibrato_rate = knobs.ratio(VIBRATO_RATE, 2.0, 12.0);
    // Up to 5 semitones up or down over the event, flat in the middle of the knob.
    let glide = (knobs.raw(GLIDE) - 0.5).powi(3) * 8.0 * 5.0 / 12.0;
    let detune = 1.0 + 0.02 * knobs.beyond(DETUNE, 0.5);
    let unison = if detune > 1.0 { 0.7 } else { 0.0 };
    let breath = 0.4 * knobs.beyond(BREATH, 0.5);

    let (mut phase, mut second) = (0u32, 1u32 << 30);
    let mut vibrato_phase = (context.noise.uniform() * 2e9) as i32 as u32;
    let vibrato_step = advance(vibrato_rate, context.rate).wrapping_mul(CONTROL as u32);
    let length = event.len() as f32;
    for (index, part) in event.chunks_mut(CONTROL).enumerate() {
        let progress = (index * CONTROL) as f32 / length;
        vibrato_phase = vibrato_phase.wrapping_add(vibrato_step);
        let bend = 1.0 + vibrato * sine(vibrato_phase);
        let frequency = pitch * bend * (glide * progress).exp2();
        let step = advance(frequency, context.rate);
        let second_step = advance(frequency * detune, context.rate);
        for sample in part {
            phase = phase.wrapping_add(step);
            let tone = bright.at(phase) * (1.0 - progress) + dull.at(phase) * progress;
            second = second.wrapping_add(second_step);
            *sample = tone + unison * bright.at(second) + breath * context.noise.normal();
        }
    }
}

/// Amplitudes of the partials below Nyquist.
fn partials(knobs: &Knobs<KNOBS>, pitch: f32, slope: f32, rate: f32) -> Vec<f32> {
    let count = ((0.45 * rate / pitch) as usize).clamp(1, MOST_PARTIALS);
    let even = knobs.linear(EVEN, 0.0, 1.0);
    let comb = knobs.ratio(COMB, 0.02, 3.0);
    let centre = knobs.ratio(FORMANT, 300.0, 5000.0);
    let gain = 6.0 * knobs.beyond(FORMANT_GAIN, 0.3);
    (1..=count)
        .map(|k| {
            let parity = if k % 2 == 0 { even } else { 1.0 };
            let ripple = 1.0 + 0.9 * (comb * k as f32 * 2.0).cos();
            let octaves = (k as f32 * pitch / centre).log2();
            let formant = 1.0 + gain * (-3.0 * octaves * octaves).exp();
            (k as f32).powf(-slope) * parity * ripple * formant
        })
        .collect()
}
