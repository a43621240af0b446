//! One event of a voice, and the parameters that every family of voices reads.

use crate::noise::Noise;

/// Parameters of a voice. Those up to [`OWN`] mean the same in every family.
pub(super) const KNOBS: usize = 16;

/// Parameters that every family reads: length and envelope of an event, brightness, pitch.
pub(super) const LENGTH: usize = 0;
pub(super) const ATTACK: usize = 1;
pub(super) const FALL: usize = 2;
pub(super) const BRIGHTNESS: usize = 3;
pub(super) const PITCH: usize = 4;
/// First parameter that is the family's own.
pub(super) const OWN: usize = 5;

/// Circumstances of one event of a voice.
pub(super) struct Event<'a> {
    /// Samples per second.
    pub rate: f32,
    /// Factor on every frequency.
    pub transpose: f32,
    /// Source of the event's noise.
    pub noise: &'a mut Noise,
}
