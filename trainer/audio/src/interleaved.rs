//! Decoded samples before they are mixed down.

/// Samples of all channels, in the order of the file.
pub(super) struct Interleaved {
    /// Channel after channel for each frame.
    pub samples: Vec<f32>,
    pub channels: usize,
    pub rate: u32,
}
