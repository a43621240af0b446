//! Effects between a source and its recording: saturation, room, background.

use super::shaping::OnePole;
use crate::noise::Noise;

/// Delays of the room's combs and allpasses in seconds, without common factors (Schroeder 1962).
const COMBS: [f32; 4] = [0.0297, 0.0371, 0.0411, 0.0437];
const ALLPASSES: [f32; 2] = [0.0050, 0.0017];
const ALLPASS_GAIN: f32 = 0.7;

/// Adds `amount` of a room that rings for `seconds`, without the highs above `cutoff` Hz, to `samples`.
pub(super) fn reverberate(samples: &mut [f32], amount: f32, seconds: f32, cutoff: f32, rate: f32) {
    let delay = |seconds: f32| (seconds * rate) as usize + 1;
    let mut wet = vec![0.0f32; samples.len()];
    for time in COMBS {
        let feedback = (-6.9 * time / seconds).exp();
        let mut line = vec![0.0f32; delay(time)];
        let mut damping = OnePole::new(cutoff, rate);
        let mut at = 0;
        for (out, &sample) in wet.iter_mut().zip(&*samples) {
            let echo = line[at];
            line[at] = sample + feedback * damping.step(echo);
            at += 1;
            if at == line.len() {
                at = 0;
            }
            *out += 0.25 * echo;
        }
    }
    for time in ALLPASSES {
        let mut line = vec![0.0f32; delay(time)];
        let mut at = 0;
        for out in &mut wet {
            let echo = line[at];
            let input = *out + ALLPASS_GAIN * echo;
            line[at] = input;
            at += 1;
            if at == line.len() {
                at = 0;
            }
            *out = echo - ALLPASS_GAIN * input;
        }
    }
    for (sample, wet) in samples.iter_mut().zip(wet) {
        *sample += amount * wet;
    }
}

/// Distorts `samples` (peak about 1) by `drive`, as an overloaded loudspeaker or preamplifier does.
pub(super) fn saturate(samples: &mut [f32], drive: f32) {
    let gain = 1.0 + drive;
    for sample in samples {
        let x = (*sample * gain).clamp(-3.0, 3.0);
        // Padé approximant of tanh, exact to 3 % up to its clipping at 3.
        *sample = x * (27.0 + x * x) / (27.0 + 9.0 * x * x);
    }
}

/// Attenuates the highs above `cutoff` Hz by 12 dB an octave.
pub(super) fn dull(samples: &mut [f32], cutoff: f32, rate: f32) {
    let (mut first, mut second) = (OnePole::new(cutoff, rate), OnePole::new(cutoff, rate));
    for sample in samples {
        *sample = second.step(first.step(*sample));
    }
}

/// Adds a steady background of root mean square `level`; `colour` goes from hiss (0) to rumble (1).
pub(super) fn background(
    samples: &mut [f32],
    level: f32,
    colour: f32,
    rate: f32,
    noise: &mut Noise,
) {
    let mut low = OnePole::new(200.0, rate);
    // Power of the low-passed noise relative to its source.
    let low_power = std::f32::consts::PI * 200.0 / rate;
    let low_gain = colour / low_power.sqrt();
    let high_gain = 1.0 - colour;
    let total = (high_gain * high_gain + colour * colour).sqrt();
    let (low_gain, high_gain) = (level * low_gain / total, level * high_gain / total);
    for sample in samples {
        let white = noise.normal();
        *sample += high_gain * white + low_gain * low.step(white);
    }
}
