//! CRC-32 as in IEEE 802.3 (reflected, polynomial 0xEDB88320): a model's 450 KB are summed up at every start. Where
//! tables are looked up in one instruction, four of 1 KB take a word at a time (Kounavis and Berry, *Novel Table
//! Lookup-Based Algorithms for High-Performance CRC Generation*, 2008); elsewhere one takes a byte at a time.

/// A word is taken at a time. On a Cortex-M0+ that takes more instructions than bytes do; on RISC-V and in a browser it
/// gains little for 3 KB.
const BY_WORDS: bool = cfg!(any(
    arm_dsp,
    target_arch = "x86_64",
    target_arch = "aarch64"
));

/// The sum of each byte.
static BYTE: [u32; 256] = table(0);

/// The sum of each byte with one, two and three zeros behind it.
static BYTE_AND_ZEROS: [[u32; 256]; 3] = [table(1), table(2), table(3)];

const fn table(zeros: usize) -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 * (1 + zeros) {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

/// Bytes of a round of the inner loop.
const ROUND: usize = if BY_WORDS { 64 } else { 32 };

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
                self.0 ^= u32::from_le_bytes(*word);
                if BY_WORDS {
                    let [a, b, c, d] = self.0.to_le_bytes().map(usize::from);
                    let [one, two, three] = &BYTE_AND_ZEROS;
                    self.0 = three[a] ^ two[b] ^ one[c] ^ BYTE[d];
                } else {
                    for _ in 0..4 {
                        self.shift();
                    }
                }
            }
        }
        for &byte in rest {
            self.0 ^= u32::from(byte);
            self.shift();
        }
        self
    }

    /// Takes the lowest byte in.
    #[inline(always)]
    fn shift(&mut self) {
        self.0 = (self.0 >> 8) ^ BYTE[(self.0 & 0xFF) as usize];
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
