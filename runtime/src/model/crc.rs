//! CRC-32 as in IEEE 802.3 (reflected, polynomial 0xEDB88320), a word at a time by four tables of 1 KB (Kounavis and Berry,
//! *Novel Table Lookup-Based Algorithms for High-Performance CRC Generation*, 2008): a model's 450 KB are summed up at
//! every start.

/// The sum of each byte, and of each byte with one to three zeros behind it.
static TABLES: [[u32; 256]; 4] = {
    let mut tables = [[0; 256]; 4];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut zeros = 0;
        while zeros < 4 {
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
                bit += 1;
            }
            tables[zeros][i] = crc;
            zeros += 1;
        }
        i += 1;
    }
    tables
};

/// Bytes of a round of the inner loop.
const ROUND: usize = 64;

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
    // Once in a program: the inner loop is unrolled.
    #[inline(never)]
    #[must_use]
    pub fn update(mut self, bytes: &[u8]) -> Self {
        let (rounds, rest) = bytes.as_chunks::<ROUND>();
        for round in rounds {
            let (words, _) = round.as_chunks::<4>();
            for word in words {
                let [a, b, c, d] = (self.0 ^ u32::from_le_bytes(*word)).to_le_bytes();
                let [one, two, three, four] = &TABLES;
                self.0 = four[usize::from(a)]
                    ^ three[usize::from(b)]
                    ^ two[usize::from(c)]
                    ^ one[usize::from(d)];
            }
        }
        for &byte in rest {
            let place = (self.0 ^ u32::from(byte)) & 0xFF;
            self.0 = (self.0 >> 8) ^ TABLES[0][place as usize];
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

    #[test]
    fn any_cut_into_calls_gives_the_sum_of_single_bits() {
        let bytes: std::vec::Vec<u8> = (0..200_u32).map(|i| (i * i + 7 * i) as u8).collect();
        let by_bits = |bytes: &[u8]| {
            let mut crc = !0_u32;
            for &byte in bytes {
                crc ^= u32::from(byte);
                for _ in 0..8 {
                    crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
                }
            }
            !crc
        };
        for length in [0, 1, 3, 63, 64, 65, 128, 150, 199] {
            for begin in 0..5 {
                let part = &bytes[begin..(begin + length).min(bytes.len())];
                for cut in [0, 1, 64, part.len() / 2] {
                    let (first, second) = part.split_at(cut.min(part.len()));
                    let crc = Crc32::new().update(first).update(second).finish();
                    assert_eq!(crc, by_bits(part), "{begin}, {length}, {cut}");
                }
            }
        }
    }
}
