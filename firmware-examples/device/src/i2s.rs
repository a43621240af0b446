//! Samples of I2S microphones that send 24 bits in slots of 32, such as INMP441 and ICS-43434.

/// Bits of each channel's slot: these microphones want 64 clocks a frame.
pub const SLOT_BITS: u32 = 32;
/// A slot's upper 24 bits are the sample. Of those, the ones from here up are taken: microphones
/// reach full scale at 120 dB SPL, so that 18 dB are given to quieter sounds.
const GAIN_SHIFT: u32 = 16 - 3;

/// Returns the sample in a slot with its gain, or as loud as can be.
pub fn sample(slot: u32) -> i16 {
    let loud = slot.cast_signed() >> GAIN_SHIFT;
    loud.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_get_18_db_and_stay_in_range() {
        for (of_24_bits, expected) in [
            (0_i32, 0),
            // One eighth of full scale and above is as loud as can be.
            (1 << 20, i16::MAX),
            (-(1 << 20), i16::MIN),
            (-(1 << 23), i16::MIN),
            (1 << 19, 1 << 14),
            (-(1 << 5), -1),
        ] {
            let slot = (of_24_bits << 8).cast_unsigned();
            assert_eq!(sample(slot), expected, "{of_24_bits}");
        }
    }
}
