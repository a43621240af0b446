//! CRC-32 as in IEEE 802.3 (reflected, polynomial 0xEDB88320), four bits at a time: a table of 64
//! bytes, for a device's flash.

const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// A running CRC-32 (IEEE 802.3): of a model, or of an embedding's bytes, to compare engines by.
///
/// ```
/// use mtslvr_runtime::model::Crc32;
/// assert_eq!(Crc32::new().update(b"1234").update(b"56789").finish(), 0xCBF4_3926);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Crc32 {
    /// Starts a checksum.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Adds `bytes` to those so far.
    #[must_use]
    pub fn update(mut self, bytes: &[u8]) -> Self {
        for &byte in bytes {
            let low = self.0 ^ u32::from(byte);
            let half = (self.0 >> 4) ^ TABLE[(low & 15) as usize];
            self.0 = (half >> 4) ^ TABLE[((half ^ u32::from(byte >> 4)) & 15) as usize];
        }
        self
    }

    /// Returns the checksum.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32;

    #[test]
    fn check_value() {
        let crc = Crc32::new().update(b"1234").update(b"56789").finish();
        assert_eq!(crc, 0xCBF4_3926);
    }
}
