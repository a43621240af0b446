//! Envelopes and filters that voices are shaped with.

use std::f32::consts::PI;

/// Samples between two updates of slow parameters: 2 ms at 16 kHz.
pub(super) const CONTROL: usize = 32;

/// Rise and fall of one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    /// Rise, as a share of the event.
    pub attack: f32,
    /// Exponent of the fall: below 1 the sound holds and then stops, above 2 it sounds struck.
    pub fall: f32,
}

impl Envelope {
    fn at(self, progress: f32) -> f32 {
        if progress < self.attack {
            progress / self.attack
        } else {
            ((1.0 - progress) / (1.0 - self.attack).max(1e-6))
                .max(0.0)
                .powf(self.fall)
        }
    }

    /// Applies the envelope to `event`, from its first to its last sample.
    pub fn apply(self, event: &mut [f32]) {
        let length = event.len() as f32;
        // A faster rise would be a click.
        let quickest = 16.0 / length;
        let shape = Self {
            attack: self.attack.max(quickest).min(0.9),
            ..self
        };
        let mut gain = 0.0;
        for (index, part) in event.chunks_mut(CONTROL).enumerate() {
            let next = shape.at(((index + 1) * CONTROL) as f32 / length);
            let slope = (next - gain) / CONTROL as f32;
            for sample in part {
                gain += slope;
                *sample *= gain;
            }
            gain = next;
        }
    }
}

/// Second-order filter with low, band and high outputs; stays stable while its cutoff moves
/// (topology-preserving state-variable filter: Zavalishin, "The Art of VA Filter Design", 2012).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StateVariable {
    g: f32,
    k: f32,
    scale: f32,
    state: [f32; 2],
}

/// The outputs of a [`StateVariable`] filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outputs {
    pub low: f32,
    /// Band-pass with unit gain at the centre.
    pub band: f32,
    pub high: f32,
}

impl StateVariable {
    /// Sets the cutoff in Hz and the quality factor (centre over bandwidth).
    pub fn tune(&mut self, cutoff: f32, quality: f32, rate: f32) {
        let cutoff = cutoff.clamp(20.0, 0.47 * rate);
        self.g = (PI * cutoff / rate).tan();
        self.k = 1.0 / quality.max(0.5);
        self.scale = 1.0 / (1.0 + self.g * (self.g + self.k));
    }

    #[inline]
    pub fn step(&mut self, input: f32) -> Outputs {
        let [first, second] = self.state;
        let high = (input - (self.g + self.k) * first - second) * self.scale;
        let band = self.g * high + first;
        let low = self.g * band + second;
        self.state = [self.g * high + band, self.g * band + low];
        Outputs {
            low,
            band: self.k * band,
            high,
        }
    }
}

/// First-order low-pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnePole {
    weight: f32,
    state: f32,
}

impl OnePole {
    /// Cutoff in Hz.
    pub fn new(cutoff: f32, rate: f32) -> Self {
        Self {
            weight: 1.0 - (-2.0 * PI * cutoff / rate).exp(),
            state: 0.0,
        }
    }

    #[inline]
    pub fn step(&mut self, input: f32) -> f32 {
        self.state += self.weight * (input - self.state);
        self.state
    }
}
