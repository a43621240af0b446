//! A plucked string: a burst of noise that goes round in a delay line and loses its highs
//! (Karplus and Strong 1983; tuning and pick position after Jaffe and Smith 1983).

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use super::shaping::OnePole;

const RING: usize = OWN;
const PICK: usize = OWN + 1;
const DAMPING: usize = OWN + 2;
const BUZZ: usize = OWN + 3;
const BODY: usize = OWN + 4;
const BODY_LEVEL: usize = OWN + 5;

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let rate = context.rate;
    let pitch = knobs.ratio(PITCH, 55.0, 1100.0) * context.transpose;
    let period = (rate / pitch).max(4.0);
    // Loss per trip around the line that makes the tone fall by 60 dB in `ring` seconds.
    let ring = knobs.ratio(RING, 0.15, 5.0);
    let loss = (-6.9 / (ring * pitch)).exp();
    // The string's low-pass: a two-point mean, which delays by its second weight.
    let dull = knobs.linear(DAMPING, 0.05, 0.5);
    let delay = period - dull;
    let whole = delay as usize;
    let between = delay - whole as f32;

    let mut line = vec![0.0f32; whole + 2];
    let length = line.len();
    let mut soft = OnePole::new(knobs.ratio(BRIGHTNESS, 300.0, 0.45 * rate), rate);
    let burst: Vec<f32> = (0..length)
        .map(|_| soft.step(context.noise.normal()))
        .collect();
    // Plucking at a point leaves out the modes that rest there.
    let pick = (knobs.linear(PICK, 0.05, 0.5) * period) as usize;
    for (index, value) in line.iter_mut().enumerate() {
        *value = burst[index] - burst[(index + length - pick.min(length)) % length];
    }
    let power: f32 = line.iter().map(|x| x * x).sum::<f32>() / length as f32;
    let gain = 1.0 / power.max(1e-9).sqrt();
    for value in &mut line {
        *value *= gain;
    }

    let buzz = 2.0 * knobs.beyond(BUZZ, 0.6);
    let mut body = super::shaping::StateVariable::default();
    body.tune(knobs.ratio(BODY, 90.0, 900.0), 4.0, rate);
    let body_level = 2.0 * knobs.raw(BODY_LEVEL);
    let (mut at, mut last) = (0, 0.0);
    for sample in event.iter_mut() {
        // `at` holds the oldest value, written `length` samples ago. The delay may be shorter; so it
        // reads that much later.
        let first = (at + length - whole) % length;
        let older = (first + length - 1) % length;
        let read = line[first] + between * (line[older] - line[first]);
        let filtered = (1.0 - dull) * read + dull * last;
        last = read;
        line[at] = loss * filtered;
        at += 1;
        if at == length {
            at = 0;
        }
        let mut out = read;
        if buzz > 0.0 {
            // A rattling bridge flattens one side of the wave.
            out += buzz * (read - 0.4).max(0.0);
        }
        *sample = out + body_level * body.step(read).band;
    }
}
