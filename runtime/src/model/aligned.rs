//! Bytes at addresses that a model can be opened at.

/// Addresses of models are multiples of this; see [`Aligned`].
pub const ALIGNMENT: usize = super::wire::SECTION_ALIGN;

/// A value at an address that is a multiple of 16.
///
/// Puts a model into a firmware's flash, and an arena into its RAM:
///
/// ```
/// use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
/// use mtslvr_runtime::model::{Aligned, Model};
///
/// static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
///     env!("CARGO_MANIFEST_DIR"),
///     "/tests/golden/v1.slvr"
/// )));
///
/// let model = Model::open(&MODEL.0).expect("a model that was checked when it was packed");
/// let mut arena = Aligned([0; 2048]);
/// let mut backbone = PackedBackbone::new(model, &mut arena.0[..]).expect("arena_len() bytes");
///
/// let patch = [0.5; 130]; // frames * mels of this model
/// let mut embedding = [0.0; 23];
/// backbone.embed(&patch, &mut embedding).expect("both have the lengths that the model says");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

const _: () = assert!(core::mem::align_of::<Aligned<u8>>() == ALIGNMENT);

/// Owned bytes at an address that is a multiple of 16, for models read from files. Dereferences to
/// the bytes.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct AlignedBytes {
    // Longer than the contents by up to 15 bytes before them; never grows, so never moves.
    buffer: Vec<u8>,
    start: usize,
}

#[cfg(feature = "std")]
impl AlignedBytes {
    /// Copies `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut buffer: Vec<u8> = Vec::with_capacity(bytes.len() + ALIGNMENT);
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        buffer.resize(start, 0);
        buffer.extend_from_slice(bytes);
        Self { buffer, start }
    }

    /// Gives the bytes to the rest of the program's run, for models that many threads use until
    /// the end.
    pub fn leak(self) -> &'static [u8] {
        &self.buffer.leak()[self.start..]
    }
}

#[cfg(feature = "std")]
impl core::ops::Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

#[cfg(feature = "std")]
impl core::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }
}

#[cfg(feature = "std")]
impl Clone for AlignedBytes {
    fn clone(&self) -> Self {
        Self::new(self)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn owned_bytes_are_aligned_and_whole() {
        for len in 0..70 {
            let bytes: Vec<u8> = (0..len).collect();
            let aligned = AlignedBytes::new(&bytes);
            assert_eq!(*aligned, *bytes);
            assert_eq!(aligned.as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(*aligned.clone().leak(), *bytes);
        }
    }
}
