//! Consistent overhead byte stuffing: bytes without a zero, so that a zero can end a frame.
//!
//! After S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2),
//! 1999. A run of bytes other than zero follows a code: its length plus one. The code stands for a zero behind
//! its run, unless it is 255 or the last one.

/// Longest run behind one code.
const RUN: usize = 254;

/// Returns the bytes that stuffing adds to `len` bytes at most.
pub const fn overhead(len: usize) -> usize {
    len / RUN + 1
}

/// Stuffs the `len` bytes at the end of `buffer`, and returns the number of bytes at its beginning that they
/// become. Nothing is done, and `None` returned, if there are fewer than [`overhead`] bytes before them.
///
/// ```
/// use mtslvr_runtime::link::cobs::{decode, encode};
/// let mut bytes = [9, 9, 1, 0, 2];
/// let len = encode(&mut bytes, 3).unwrap();
/// assert_eq!(bytes[..len], [2, 1, 2, 2]);
/// assert_eq!(decode(&mut bytes[..len]), Some(3));
/// assert_eq!(bytes[..3], [1, 0, 2]);
/// ```
pub fn encode(buffer: &mut [u8], len: usize) -> Option<usize> {
    let start = buffer.len().checked_sub(len)?;
    if start < overhead(len) {
        return None;
    }
    // What is written stays behind what is read: each run costs one byte, and the gap has one for each.
    let (mut code_at, mut written, mut code) = (0, 1, 1);
    for at in start..buffer.len() {
        let byte = buffer[at];
        if byte != 0 {
            buffer[written] = byte;
            written += 1;
            code += 1;
        }
        if byte == 0 || usize::from(code) > RUN {
            buffer[code_at] = code;
            code_at = written;
            written += 1;
            code = 1;
        }
    }
    buffer[code_at] = code;
    Some(written)
}

/// Undoes [`encode`] in place, and returns the number of bytes at the beginning of `buffer` that come of it;
/// `None` if no bytes are stuffed like this.
pub fn decode(buffer: &mut [u8]) -> Option<usize> {
    let (mut read, mut written) = (0, 0);
    while read < buffer.len() {
        let code = buffer[read];
        let run = usize::from(code).checked_sub(1)?;
        let from = read + 1;
        read = from + run;
        if read > buffer.len() {
            return None;
        }
        buffer.copy_within(from..read, written);
        written += run;
        if run < RUN && read < buffer.len() {
            buffer[written] = 0;
            written += 1;
        }
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0xee; overhead(bytes.len())];
        buffer.extend(bytes);
        let len = encode(&mut buffer, bytes.len()).unwrap();
        buffer.truncate(len);
        buffer
    }

    /// The examples of the paper, and of its description in Wikipedia.
    #[test]
    fn known_values() {
        let run: Vec<u8> = (1..=254).collect();
        let with = |before: &[u8], bytes: &[u8], after: &[u8]| [before, bytes, after].concat();
        for (bytes, expected) in [
            (vec![], vec![1]),
            (vec![0], vec![1, 1]),
            (vec![0, 0], vec![1, 1, 1]),
            (vec![0x11, 0x22, 0, 0x33], vec![3, 0x11, 0x22, 2, 0x33]),
            (with(&[0], &run, &[]), with(&[1, 255], &run, &[1])),
            (with(&[], &run, &[255]), with(&[255], &run, &[2, 255])),
        ] {
            assert_eq!(encoded(&bytes), expected);
        }
    }

    #[test]
    fn a_gap_that_is_too_short_is_refused() {
        let mut bytes = [1_u8; 300];
        assert_eq!(encode(&mut bytes, 299), None);
        assert_eq!(encode(&mut bytes, 301), None);
        assert_eq!(bytes, [1; 300]);
        assert_eq!(encode(&mut bytes, 298), Some(300));
    }

    proptest! {
        #[test]
        fn what_is_stuffed_has_no_zero_and_comes_back(
            bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>(), Just(7)], 0..1200)
        ) {
            let mut stuffed = encoded(&bytes);
            prop_assert!(!stuffed.contains(&0));
            prop_assert!(stuffed.len() <= bytes.len() + overhead(bytes.len()));
            let len = decode(&mut stuffed).unwrap();
            prop_assert_eq!(&stuffed[..len], &bytes[..]);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let before = bytes.len();
            if let Some(len) = decode(&mut bytes) {
                prop_assert!(len <= before);
            }
        }
    }
}
