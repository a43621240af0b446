//! A number by which to know an example again.

/// Computes the 64-bit FNV-1a hash of an example ([`crate::fewshot::direction`]). Two different
/// examples on one device have the same hash with a probability that need not be considered.
pub fn fingerprint(direction: &[i8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    direction.iter().fold(start, |hash, value| {
        (hash ^ u64::from(value.cast_unsigned())).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    /// From the algorithm's published test vectors.
    #[test]
    fn it_is_fnv_1a() {
        assert_eq!(fingerprint(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(&[0x61]), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(
            fingerprint(b"foobar".map(u8::cast_signed).as_slice()),
            0x8594_4171_f739_67e8
        );
    }
}
