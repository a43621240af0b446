//! Checks a model's bytes again while it is in use, a few at a time.

use super::Model;
use super::crc::Crc32;
use super::wire::Header;

/// Goes over the bytes of a model that was opened, again and again, and compares their CRC-32 with that of the bytes
/// that were opened: memory that fails is noticed within a lap.
///
/// ```
/// use mtslvr_runtime::model::{Aligned, Model, Recheck};
///
/// static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
///     env!("CARGO_MANIFEST_DIR"),
///     "/tests/golden/v1.slvr"
/// )));
/// let model = Model::open(&MODEL.0).expect("a whole model");
/// let mut recheck = Recheck::new(&model);
/// // Whenever there is time:
/// let lap = (0..3).find_map(|_| recheck.step(4096));
/// assert_eq!(lap, Some(true));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Recheck<'m> {
    bytes: &'m [u8],
    /// Checksum that the model stated when it was opened.
    stated: u32,
    crc: Crc32,
    /// Bytes of this lap so far.
    at: usize,
}

impl<'m> Recheck<'m> {
    /// Begins with the first byte of `model`.
    pub fn new(model: &Model<'m>) -> Self {
        let bytes = model.as_bytes();
        Self {
            bytes,
            stated: Header::stated_checksum(bytes).unwrap_or_default(),
            crc: Crc32::new(),
            at: 0,
        }
    }

    /// Goes over the next `count` bytes. At the end of a lap, tells whether all bytes are as they were opened; another
    /// lap begins with the next call.
    pub fn step(&mut self, count: usize) -> Option<bool> {
        let end = self.at.saturating_add(count).min(self.bytes.len());
        for range in Header::checked_ranges(self.bytes.len()) {
            let part = self.at.max(range.start)..end.min(range.end);
            self.crc = self.crc.update(self.bytes.get(part).unwrap_or_default());
        }
        self.at = end;
        if end < self.bytes.len() {
            return None;
        }
        let right = self.crc.finish() == self.stated
            && Header::stated_checksum(self.bytes) == Some(self.stated);
        (self.crc, self.at) = (Crc32::new(), 0);
        Some(right)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::model::AlignedBytes;

    const FILE: &[u8] = include_bytes!("../../tests/golden/v1.slvr");

    /// One lap of `bytes`, of which the model was opened before they changed.
    fn lap(bytes: &[u8], step: usize) -> bool {
        let opened = AlignedBytes::new(FILE);
        let mut recheck = Recheck::new(&Model::open(&opened).unwrap());
        recheck.bytes = bytes;
        let mut steps = 0;
        loop {
            steps += 1;
            if let Some(right) = recheck.step(step) {
                assert_eq!(steps, bytes.len().div_ceil(step).max(1));
                assert_eq!(recheck.at, 0);
                return right;
            }
        }
    }

    #[test]
    fn every_byte_is_looked_at() {
        for step in [1, 7, 4096, usize::MAX] {
            assert!(lap(FILE, step), "{step}");
        }
        for at in 0..FILE.len() {
            let mut changed = FILE.to_vec();
            changed[at] ^= 0x40;
            assert!(!lap(&changed, 1000), "byte {at}");
        }
    }
}
