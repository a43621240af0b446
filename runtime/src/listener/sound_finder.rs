//! Finds the sounds in a stream, as a listener does, without a backbone.

use super::config::ListenerConfig;
use super::error::ListenerError;
use super::gate::Gate;
use super::sounds::{Effect, Sounds};
use super::watch::{Hearing, Watch};
use crate::frontend::{Frontend, FrontendConfig, FrontendError};

/// Finds where sounds begin and end in a stream, in a buffer that the caller owns: exactly the samples
/// that a [`Listener`](super::Listener) of the same settings judges.
///
/// Cut examples with it before they are enrolled ([`crate::clip`]), so that they hold what will be
/// compared with them.
#[derive(Debug)]
pub struct SoundFinder<'b> {
    watch: Watch<'b>,
    sounds: Sounds<'b>,
    hop: u64,
    window: u64,
}

/// A sound, from its first sample to the one after its last, counted from the stream's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FoundSound {
    /// The first sample.
    pub start: u64,
    /// The sample after the last.
    pub end: u64,
}

impl<'b> SoundFinder<'b> {
    /// Returns the length in `f32` of the buffer for features of `frontend`.
    pub const fn buffer_len(frontend: &FrontendConfig) -> usize {
        let own = frontend.buffer_len();
        own.saturating_add(Watch::room(frontend))
            .saturating_add(Gate::room(frontend.mels as usize))
    }

    /// Prepares to find the sounds that a listener of these settings judges, in `buffer`, of which the
    /// first [`Self::buffer_len`] values are used.
    ///
    /// # Errors
    /// [`ListenerError`] if a setting or a parameter of the features is out of its range, or `buffer` is
    /// shorter than [`Self::buffer_len`].
    pub fn new(
        config: &ListenerConfig,
        frontend: FrontendConfig,
        buffer: &'b mut [f32],
    ) -> Result<Self, ListenerError> {
        config.validate()?;
        frontend.validate().map_err(FrontendError::from)?;
        let (needed, found) = (Self::buffer_len(&frontend), buffer.len());
        if found < needed {
            return Err(ListenerError::BufferTooShort { needed, found });
        }
        let (own, rest) = buffer.split_at_mut(frontend.buffer_len());
        let (kept, rest) = rest.split_at_mut(Watch::room(&frontend));
        let room = &mut rest[..Gate::room(frontend.mels.into())];
        let gate = Gate::new(&frontend, config.gate, config.hold_frames(&frontend), room);
        let mut finder = Self {
            watch: Watch::new(Frontend::new(frontend, own)?, kept),
            sounds: Sounds::new(gate),
            hop: frontend.hop.into(),
            window: frontend.window.into(),
        };
        finder.reset();
        Ok(finder)
    }

    /// Takes samples, meant to lie in [-1, 1], and calls `on_sound` with each sound that ended in them.
    pub fn push(&mut self, samples: &[f32], on_sound: impl FnMut(FoundSound)) {
        let (watch, mut finding) = self.find(on_sound);
        watch.push(samples, &mut finding);
    }

    fn find<F>(&mut self, on_sound: F) -> (&mut Watch<'b>, Finding<'_, 'b, F>) {
        let finding = Finding {
            sounds: &mut self.sounds,
            hop: self.hop,
            window: self.window,
            on_sound,
        };
        (&mut self.watch, finding)
    }

    /// Returns the sound that is heard, as far as it has come.
    pub fn heard(&self) -> Option<FoundSound> {
        take(&self.sounds, self.hop, self.window)
    }

    /// Ends the stream, and calls `on_sound` with each sound that ends in the samples that were kept, or here. The
    /// last frame is padded, so that a sound may end behind the last sample. Another stream begins.
    pub fn finish(&mut self, on_sound: impl FnMut(FoundSound)) {
        let (watch, mut finding) = self.find(on_sound);
        watch.flush(&mut finding);
        finding.end();
        self.reset();
    }

    /// Forgets the stream, background included: another begins.
    pub fn reset(&mut self) {
        self.watch.reset();
        self.sounds.reset();
    }
}

/// A finder's state, borrowed for one call.
struct Finding<'a, 'b, F> {
    sounds: &'a mut Sounds<'b>,
    hop: u64,
    window: u64,
    on_sound: F,
}

impl<F: FnMut(FoundSound)> Finding<'_, '_, F> {
    /// Ends the sound that is heard, if one is.
    fn end(&mut self) {
        let heard = take(self.sounds, self.hop, self.window);
        heard.into_iter().for_each(&mut self.on_sound);
        self.sounds.end();
    }
}

impl<F: FnMut(FoundSound)> Hearing for Finding<'_, '_, F> {
    fn add_background(&mut self, frame: &[f32], times: u32) {
        let (_, effect) = self.sounds.hear(frame, times);
        if effect != Effect::Open {
            self.end();
        }
        for _ in 0..times {
            self.sounds.count();
        }
    }

    fn is_quiet(&self) -> bool {
        self.sounds.is_quiet()
    }

    fn is_background(&self, frame: &[f32]) -> bool {
        self.sounds.is_background(frame)
    }
}

/// Returns the sound that is heard, as samples.
fn take(sounds: &Sounds, hop: u64, window: u64) -> Option<FoundSound> {
    let onset = sounds.onset()?;
    let last = sounds.ending().saturating_sub(1).max(onset);
    Some(FoundSound {
        start: onset * hop,
        end: last * hop + window,
    })
}
