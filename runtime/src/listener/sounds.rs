//! Finds where sounds begin and end.

use super::gate::Gate;

/// Frames before the one that opens the gate which belong to the sound: its attack.
const LEAD: u64 = 2;

/// Frames after the last one that stands out which belong to the sound: its decay.
const TRAIL: u64 = 2;

/// The sound that is heard, by the frames of the stream.
#[derive(Debug)]
pub(super) struct Sounds<'b> {
    gate: Gate<'b>,
    /// Frames so far.
    frames: u64,
    /// The first frame of the sound that is heard.
    onset: Option<u64>,
    /// The frame after the last one that stood out.
    sounding: u64,
    /// The frame after the sound's last. The frames that follow while the gate is held open are
    /// background again, which no example of the sound holds.
    ending: u64,
}

/// Effect of a frame on the sound that is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The gate is closed: a sound ends, if one was heard.
    Closed,
    /// A sound is heard; it begins if none was.
    Open,
    /// The sound that was heard ends and another begins.
    Onset,
}

impl<'b> Sounds<'b> {
    pub fn new(gate: Gate<'b>) -> Self {
        Self {
            gate,
            frames: 0,
            onset: None,
            sounding: 0,
            ending: 0,
        }
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.gate.reset();
        self.frames = 0;
        self.onset = None;
        self.sounding = 0;
        self.ending = 0;
    }

    /// Takes a frame, which may be background that stands for several, and returns how far it stands out, dB, and
    /// what it does. Let the sound end ([`Self::end`]) that ends with it, then call [`Self::count`] for each frame.
    pub fn hear(&mut self, frame: &[f32], times: u32) -> (f32, Effect) {
        let level = self.gate.push(frame, times);
        let effect = match (self.gate.is_open(), self.gate.has_onset()) {
            (false, _) => Effect::Closed,
            (true, false) => Effect::Open,
            (true, true) => Effect::Onset,
        };
        (level, effect)
    }

    /// Tells whether no sound is heard and the background is known.
    pub fn is_quiet(&self) -> bool {
        self.onset.is_none() && self.gate.is_quiet()
    }

    /// Tells whether a frame is far from standing out of the background.
    pub fn is_background(&self, frame: &[f32]) -> bool {
        self.gate.is_background(frame)
    }

    /// Counts the frame that was heard, and tells whether a sound begins with it.
    pub fn count(&mut self) -> bool {
        let begins = self.gate.is_open() && self.onset.is_none();
        if begins {
            self.onset = Some(self.frames.saturating_sub(LEAD));
        }
        self.frames += 1;
        if self.gate.stands_out() {
            self.sounding = self.frames;
        }
        self.ending = self.frames.min(self.sounding + TRAIL);
        begins
    }

    /// Ends the sound that is heard.
    pub fn end(&mut self) {
        self.onset = None;
    }

    /// Returns the first frame of the sound that is heard.
    pub fn onset(&self) -> Option<u64> {
        self.onset
    }

    /// Returns the frame after the last one of the sound that is heard.
    pub fn ending(&self) -> u64 {
        self.ending
    }
}
