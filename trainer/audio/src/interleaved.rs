//! Decoded samples before they are mixed down.

use super::error::AudioError;

/// Number of channels and rate of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Channels of each frame, 1 or more.
    pub channels: usize,
    /// Frames a second, as the file says.
    pub rate: u32,
}

/// Gives the samples of a recording piece by piece.
pub(super) trait Source: Send {
    /// Returns the number of channels and the rate, which stay the same to the end.
    fn layout(&self) -> Layout;

    /// Appends some whole frames to `samples`, channel after channel for each frame. Returns whether
    /// more may follow.
    ///
    /// # Errors
    /// [`AudioError`] if the file is damaged, cut short or cannot be read.
    fn read(&mut self, samples: &mut Vec<f32>) -> Result<bool, AudioError>;
}
