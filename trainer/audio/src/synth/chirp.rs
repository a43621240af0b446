//! Tones that move: sweeps, trills, calls.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::oscillator::{advance, sine};
use super::shaping::CONTROL;

const TO: usize = OWN;
const BEND: usize = OWN + 1;
const TRILLS: usize = OWN + 2;
const WARBLE: usize = OWN + 3;
const WARBLE_RATE: usize = OWN + 4;
const BEATING: usize = OWN + 5;
const BEATING_RATE: usize = OWN + 6;
const BACK: usize = OWN + 7;
const BREATH: usize = OWN + 8;

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let rate = context.rate;
    let from = knobs.ratio(PITCH, 150.0, 6000.0) * context.transpose;
    let octaves = knobs.linear(TO, -2.5, 2.5);
    let bend = knobs.ratio(BEND, 0.3, 3.0);
    // Most calls sweep once, the others many times.
    let trills = (1.0 + 20.0 * knobs.beyond(TRILLS, 0.5).powi(2)).floor();
    let back = knobs.raw(BACK) > 0.6;
    let warble = 0.25 * knobs.beyond(WARBLE, 0.5);
    let warble_step =
        advance(knobs.ratio(WARBLE_RATE, 4.0, 60.0), rate).wrapping_mul(CONTROL as u32);
    let beating = knobs.beyond(BEATING, 0.5);
    let beating_step = advance(knobs.ratio(BEATING_RATE, 6.0, 120.0), rate);
    let second = 0.8 * knobs.beyond(BRIGHTNESS, 0.3);
    let third = 0.5 * knobs.beyond(BRIGHTNESS, 0.6);
    let breath = 0.3 * knobs.beyond(BREATH, 0.5);

    let (mut phase, mut warble_phase, mut beat) = (0u32, 0u32, 1u32 << 30);
    let length = event.len() as f32;
    for (index, part) in event.chunks_mut(CONTROL).enumerate() {
        let within = ((index * CONTROL) as f32 / length * trills).fract();
        let way = if back {
            1.0 - (2.0 * within - 1.0).abs()
        } else {
            within
        };
        warble_phase = warble_phase.wrapping_add(warble_step);
        let place = octaves * way.powf(bend) + warble * sine(warble_phase);
        let frequency = (from * place.exp2()).min(0.45 * rate);
        let step = advance(frequency, rate);
        // Overtones go as they come to Nyquist.
        let second = if frequency < 0.23 * rate { second } else { 0.0 };
        let third = if frequency < 0.15 * rate { third } else { 0.0 };
        for sample in part {
            phase = phase.wrapping_add(step);
            beat = beat.wrapping_add(beating_step);
            let tone = sine(phase)
                + second * sine(phase.wrapping_mul(2))
                + third * sine(phase.wrapping_mul(3));
            let level = 1.4 * (1.0 - beating * (0.5 - 0.5 * sine(beat)));
            *sample = level * (tone + breath * context.noise.normal());
        }
    }
}
