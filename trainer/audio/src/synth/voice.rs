//! One source of sound: a family and its parameters.

use super::event::{ATTACK, Event, FALL, KNOBS, LENGTH};
use super::knobs::Knobs;
use super::shaping::Envelope;
use super::{chirp, fm, formant, grains, harmonic, modal, noise_burst, plucked};

/// Ways of making sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Partials of one pitch: winds, bowed strings, organs, hums.
    Harmonic,
    /// Frequency modulation: bells, brass, electric pianos, buzzers.
    Fm,
    /// A struck body: wood, metal, glass, drums.
    Modal,
    /// Filtered noise: breath, wind, hiss, claps, doors.
    NoiseBurst,
    /// A voice: syllables with or without a consonant.
    Formant,
    /// A plucked string.
    Plucked,
    /// A tone that moves: birds, sirens, whistles.
    Chirp,
    /// Many small sounds: rain, gravel, crackle, bubbles, motors.
    Grains,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 8] = [
        Self::Harmonic,
        Self::Fm,
        Self::Modal,
        Self::NoiseBurst,
        Self::Formant,
        Self::Plucked,
        Self::Chirp,
        Self::Grains,
    ];

    /// Returns the name for files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Harmonic => "harmonic",
            Self::Fm => "fm",
            Self::Modal => "modal",
            Self::NoiseBurst => "noise_burst",
            Self::Formant => "formant",
            Self::Plucked => "plucked",
            Self::Chirp => "chirp",
            Self::Grains => "grains",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Voice {
    pub family: Family,
    pub knobs: Knobs<KNOBS>,
}

impl Voice {
    /// Returns the length of an event in seconds.
    pub fn seconds(&self) -> f32 {
        match self.family {
            Family::Modal | Family::Plucked => self.knobs.ratio(LENGTH, 0.1, 2.0),
            Family::Grains => self.knobs.ratio(LENGTH, 0.2, 3.0),
            Family::Formant => self.knobs.ratio(LENGTH, 0.1, 0.8),
            _ => self.knobs.ratio(LENGTH, 0.04, 2.0),
        }
    }

    /// Fills `event`, which is all zeros, with one event; its level is about 1.
    pub fn render(&self, context: &mut Event<'_>, event: &mut [f32]) {
        let knobs = &self.knobs;
        match self.family {
            Family::Harmonic => harmonic::render(knobs, context, event),
            Family::Fm => fm::render(knobs, context, event),
            Family::Modal => modal::render(knobs, context, event),
            Family::NoiseBurst => noise_burst::render(knobs, context, event),
            Family::Formant => formant::render(knobs, context, event),
            Family::Plucked => plucked::render(knobs, context, event),
            Family::Chirp => chirp::render(knobs, context, event),
            Family::Grains => grains::render(knobs, context, event),
        }
        let envelope = match self.family {
            // These decay by themselves; the envelope only keeps their end from clicking.
            Family::Modal | Family::Plucked => Envelope {
                attack: 0.0,
                fall: 0.5,
            },
            Family::Formant => Envelope {
                attack: knobs.ratio(ATTACK, 0.02, 0.3),
                fall: 0.5,
            },
            _ => {
                let attack = knobs.ratio(ATTACK, 0.003, 0.8);
                Envelope {
                    attack,
                    fall: knobs.ratio(FALL, 0.2, 8.0),
                }
            }
        };
        envelope.apply(event);
    }
}
