//! Frequency modulation: one carrier, two modulators whose depth falls with the event.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::oscillator::{advance, sine};
use super::shaping::CONTROL;

const RATIO: usize = OWN;
const SECOND_RATIO: usize = OWN + 1;
const SECOND_DEPTH: usize = OWN + 2;
const DEPTH_FALL: usize = OWN + 3;
const FINE: usize = OWN + 4;
const FEEDBACK: usize = OWN + 5;
const DEPTH_FLOOR: usize = OWN + 6;

/// Modulator over carrier: whole ratios are harmonic, the others ring like metal.
const RATIOS: [f32; 12] = [
    0.5, 1.0, 1.0, 1.414, 2.0, 2.0, 2.76, 3.0, 3.5, 4.0, 5.4, 7.0,
];

/// Turns of phase per unit of modulation index.
const INDEX: f32 = 1.0 / std::f32::consts::TAU;

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let pitch = knobs.ratio(PITCH, 60.0, 2000.0) * context.transpose;
    let fine = 1.0 + 0.02 * (knobs.raw(FINE) - 0.5).powi(3) * 8.0;
    let carrier = advance(pitch, context.rate);
    let modulator = advance(pitch * knobs.choice(RATIO, &RATIOS) * fine, context.rate);
    let second = advance(pitch * knobs.choice(SECOND_RATIO, &RATIOS), context.rate);
    // High notes get less, or their side bands would fold back over Nyquist.
    let room = (0.5 * context.rate / pitch / 8.0).min(1.0);
    let depth = knobs.ratio(BRIGHTNESS, 0.2, 9.0) * room;
    let second_depth = 3.0 * knobs.beyond(SECOND_DEPTH, 0.5) * room;
    let fall = knobs.ratio(DEPTH_FALL, 0.3, 12.0);
    let floor = knobs.linear(DEPTH_FLOOR, 0.0, 0.6);
    let feedback = 0.9 * knobs.beyond(FEEDBACK, 0.6);

    let turns = |amount: f32| (amount * INDEX * 4_294_967_296.0) as i64 as u32;
    let (mut at, mut modulator_at, mut second_at) = (0u32, 0u32, 0u32);
    let mut last = 0.0;
    let length = event.len() as f32;
    for (index, part) in event.chunks_mut(CONTROL).enumerate() {
        let progress = (index * CONTROL) as f32 / length;
        let depth = depth * (floor + (1.0 - floor) * (-fall * progress).exp());
        for sample in part {
            at = at.wrapping_add(carrier);
            modulator_at = modulator_at.wrapping_add(modulator);
            second_at = second_at.wrapping_add(second);
            last = sine(modulator_at.wrapping_add(turns(feedback * last)));
            let bend = depth * last + second_depth * sine(second_at);
            *sample = 1.4 * sine(at.wrapping_add(turns(bend)));
        }
    }
}
