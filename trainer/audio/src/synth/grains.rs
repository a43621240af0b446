//! Textures of many small sounds, scattered or regular.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::oscillator::{advance, sine};

const DENSITY: usize = OWN;
const GRAIN: usize = OWN + 1;
const REGULARITY: usize = OWN + 2;
const SPREAD: usize = OWN + 3;
const NOISY: usize = OWN + 4;
const RISE: usize = OWN + 5;
const FALL: usize = OWN + 6;
const LEVELS: usize = OWN + 7;
const CLUSTER: usize = OWN + 8;

/// Grains that may sound at once, on average: more is noise, and slow.
const MOST_OVERLAP: f32 = 5.0;

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let rate = context.rate;
    let centre = knobs.ratio(PITCH, 150.0, 6000.0) * context.transpose;
    let seconds = knobs.ratio(GRAIN, 0.0015, 0.09);
    let density = knobs.ratio(DENSITY, 6.0, 500.0).min(MOST_OVERLAP / seconds);
    let regular = knobs.raw(REGULARITY).powi(2);
    let spread = knobs.linear(SPREAD, 0.0, 1.5);
    let noisy = knobs.raw(NOISY);
    let rise = knobs.linear(RISE, -1.0, 1.5);
    let fall = knobs.ratio(FALL, 1.0, 9.0);
    let uneven = knobs.linear(LEVELS, 0.1, 2.0);
    let cluster = knobs.beyond(CLUSTER, 0.5);
    let soft = knobs.linear(BRIGHTNESS, 0.9, 0.0);

    let noise = &mut *context.noise;
    let mut time = 0.0;
    let mut crowd = 1.0f32;
    while time < event.len() as f32 {
        let length = seconds * rate * (0.3 * noise.normal()).exp2();
        let frequency = (centre * (spread * noise.normal()).exp2()).clamp(40.0, 0.4 * rate);
        let level = (uneven * noise.normal() - uneven).exp();
        let end = ((time + length) as usize).min(event.len());
        let (mut phase, mut held) = (0u32, 0.0);
        let step = advance(frequency, rate);
        // The pitch of a bubble or drop rises as it closes.
        let bend = ((rise * step as f32) / length.max(1.0)) as i32 as u32;
        let mut step = step;
        let decay = (-fall / length.max(1.0)).exp();
        let mut gain = level;
        for (index, sample) in event[time as usize..end].iter_mut().enumerate() {
            phase = phase.wrapping_add(step);
            step = step.wrapping_add(bend);
            gain *= decay;
            held += (1.0 - soft) * (noise.normal() - held);
            let onset = (index as f32 * 0.25).min(1.0);
            *sample += onset * gain * ((1.0 - noisy) * sine(phase) + noisy * held);
        }
        // Poisson arrivals, pulled towards a beat, in crowds that come and go.
        let gap = -(0.5 - 0.499_999 * noise.uniform()).ln();
        if cluster > 0.0 && noise.uniform() > 0.8 {
            crowd = (2.5 * cluster * noise.normal()).exp2();
        }
        time += 1.0 + rate / density * (regular + (1.0 - regular) * gap * crowd);
    }
}
