//! Noise through a filter whose cutoff moves.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::oscillator::{advance, sine};
use super::shaping::{CONTROL, StateVariable};

const SWEEP: usize = OWN;
const QUALITY: usize = OWN + 1;
const BAND: usize = OWN + 2;
const HIGH: usize = OWN + 3;
const FLUTTER: usize = OWN + 4;
const FLUTTER_RATE: usize = OWN + 5;
const ROUGHNESS: usize = OWN + 6;
const SECOND: usize = OWN + 7;
const SECOND_LEVEL: usize = OWN + 8;

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let rate = context.rate;
    let cutoff = knobs.ratio(PITCH, 120.0, 7000.0) * context.transpose;
    // Up to two octaves up or down over the event.
    let sweep = knobs.linear(SWEEP, -2.0, 2.0);
    let quality = knobs.ratio(QUALITY, 0.5, 30.0);
    let (band, high) = (knobs.raw(BAND), 0.7 * knobs.beyond(HIGH, 0.4));
    let low = knobs.linear(BRIGHTNESS, 1.0, 0.0) * (1.0 - high);
    let flutter = 0.9 * knobs.beyond(FLUTTER, 0.4);
    let flutter_step =
        advance(knobs.ratio(FLUTTER_RATE, 3.0, 90.0), rate).wrapping_mul(CONTROL as u32);
    // A narrow band passes little power of the noise.
    let gain = (0.1 * quality * rate / cutoff).sqrt().clamp(1.0, 6.0);
    let roughness = 0.8 * knobs.beyond(ROUGHNESS, 0.5);
    let second_ratio = knobs.ratio(SECOND, 1.3, 6.0);
    let second_level = knobs.beyond(SECOND_LEVEL, 0.5) * gain;

    let (mut filter, mut second) = (StateVariable::default(), StateVariable::default());
    let mut flutter_phase = (context.noise.uniform() * 2e9) as i32 as u32;
    let mut wander = 0.0;
    let length = event.len() as f32;
    for (index, part) in event.chunks_mut(CONTROL).enumerate() {
        let progress = (index * CONTROL) as f32 / length;
        let centre = cutoff * (sweep * progress).exp2();
        filter.tune(centre, quality, rate);
        second.tune(centre * second_ratio, quality, rate);
        flutter_phase = flutter_phase.wrapping_add(flutter_step);
        wander += 0.15 * (context.noise.normal() - wander);
        let level = (1.0 + flutter * sine(flutter_phase)) * (1.0 + 3.0 * roughness * wander).abs();
        for sample in part {
            let noise = context.noise.normal() * level;
            let out = filter.step(noise);
            let mut mixed = gain * band * out.band + low * out.low + high * out.high;
            if second_level > 0.0 {
                mixed += second_level * second.step(noise).band;
            }
            *sample = mixed;
        }
    }
}
