//! Turns the bytes of WAV samples into numbers.

/// Form of a sample in a WAV file, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Integers without a sign, silence at 128.
    Unsigned8,
    /// Integers with a sign, in `bytes` bytes, of which the top `bits` bits count.
    Signed {
        /// Bytes of a sample, 1 to 8.
        bytes: usize,
        /// Valid bits, 1 to 8 times `bytes`.
        bits: u32,
    },
    /// 32-bit floating point.
    Float32,
    /// 64-bit floating point.
    Float64,
    /// ITU-T G.711, A-law.
    ALaw,
    /// ITU-T G.711, µ-law.
    MuLaw,
}

impl Encoding {
    /// Returns the bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::ALaw | Self::MuLaw => 1,
            Self::Signed { bytes, .. } => bytes,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// Appends the samples in `bytes`, full scale at 1. A last part of a sample is dropped.
    pub fn decode(self, bytes: &[u8], samples: &mut Vec<f32>) {
        let whole = bytes.chunks_exact(self.bytes());
        match self {
            Self::Unsigned8 => {
                samples.extend(bytes.iter().map(|&b| (f32::from(b) - 128.0) / 128.0));
            }
            // Nearly every recording.
            Self::Signed { bytes: 2, bits: 16 } => {
                let (pairs, _) = bytes.as_chunks();
                samples.extend(
                    pairs
                        .iter()
                        .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0),
                );
            }
            Self::Signed { bits, .. } => samples.extend(whole.map(|sample| signed(sample, bits))),
            Self::Float32 => {
                let (values, _) = bytes.as_chunks();
                samples.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
            }
            Self::Float64 => {
                let (values, _) = bytes.as_chunks();
                samples.extend(values.iter().map(|value| f64::from_le_bytes(*value) as f32));
            }
            Self::ALaw => samples.extend(bytes.iter().map(|&byte| a_law(byte))),
            Self::MuLaw => samples.extend(bytes.iter().map(|&byte| mu_law(byte))),
        }
    }
}

/// Returns the value of an integer at the top of its bytes, of which `bits` bits count.
fn signed(sample: &[u8], bits: u32) -> f32 {
    // The sample is moved to the top of 64 bits, where its sign is.
    let mut top = [0; 8];
    top[8 - sample.len()..].copy_from_slice(sample);
    let value = i64::from_le_bytes(top) >> (64 - bits) << (64 - bits);
    // The first cast rounds what has more bits than a float; a power of two scales exactly.
    value as f32 * (0.5f32.powi(63))
}

/// Returns the value of a byte of A-law (ITU-T G.711, table 1a).
fn a_law(byte: u8) -> f32 {
    let code = byte ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 15));
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    let value = if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    };
    f32::from(value) / 32_768.0
}

/// Returns the value of a byte of µ-law (ITU-T G.711, table 2a).
fn mu_law(byte: u8) -> f32 {
    /// Added before the logarithm when encoding.
    const BIAS: i16 = 0x84;
    let code = !byte;
    let magnitude = ((i16::from(code & 15) << 3) + BIAS) << ((code >> 4) & 7);
    let value = if code & 0x80 == 0 {
        magnitude - BIAS
    } else {
        BIAS - magnitude
    };
    f32::from(value) / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<f32> {
        let mut samples = Vec::new();
        encoding.decode(bytes, &mut samples);
        samples
    }

    #[test]
    fn the_laws_have_the_values_of_the_standard() {
        // Extremes and the values next to zero, in units of 16 bits.
        let a_law = [(0x00, -5504), (0x80, 5504), (0x2a, -32256), (0xaa, 32256)];
        let a_law = a_law.into_iter().chain([(0x55, -8), (0xd5, 8)]);
        for (byte, value) in a_law {
            let found = decoded(Encoding::ALaw, &[byte]);
            assert_eq!(found, [value as f32 / 32_768.0], "{byte:02x}");
        }
        let mu_law = [(0x00, -32124), (0x80, 32124), (0x7f, 0), (0xff, 0)];
        for (byte, value) in mu_law.into_iter().chain([(0xfe, 8), (0x7e, -8)]) {
            let found = decoded(Encoding::MuLaw, &[byte]);
            assert_eq!(found, [value as f32 / 32_768.0], "{byte:02x}");
        }
    }

    #[test]
    fn only_the_valid_bits_at_the_top_count() {
        let signed = |bytes, bits| Encoding::Signed { bytes, bits };
        let half = [0, 0, 0, 0x40];
        assert_eq!(decoded(signed(4, 32), &half), [0.5]);
        assert_eq!(decoded(signed(4, 24), &half), [0.5]);
        // Bits that do not count may hold anything.
        assert_eq!(decoded(signed(4, 24), &[0xff, 0, 0, 0x40]), [0.5]);
        assert_eq!(decoded(signed(2, 12), &[0x0f, 0xc0]), [-0.5]);
        assert_eq!(decoded(signed(3, 24), &[0, 0, 0x80]), [-1.0]);
        assert_eq!(decoded(signed(2, 16), &[0, 0x80, 1]), [-1.0]);
        assert_eq!(
            decoded(signed(8, 64), &i64::MIN.to_le_bytes()),
            [-1.0],
            "the widest container"
        );
    }
}
