//! The part of a profile that has come before a transfer broke off.

use mtslvr_runtime::link::Sum;

/// A device's profile as far as it has come: [`super::Client::pull`] goes on from there, if the device still has the
/// same profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The whole profile's length and checksum, as the device named them.
    sum: Option<Sum>,
    bytes: Vec<u8>,
}

impl Part {
    /// Reads what [`Self::to_bytes`] wrote. Of anything else nothing has come.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut number = || rest.split_off(..4)?.try_into().ok().map(u32::from_le_bytes);
        let sum = number()
            .zip(number())
            .map(|(len, crc32)| Sum { len, crc32 })
            .filter(|sum| rest.len() < sum.len as usize);
        match sum {
            Some(_) => Self {
                sum,
                bytes: rest.to_vec(),
            },
            None => Self::default(),
        }
    }

    /// Returns the profile's length and CRC-32, little-endian, and the bytes that have come. Empty if none have.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Some(sum) = self.sum.filter(|_| !self.bytes.is_empty()) else {
            return Vec::new();
        };
        let mut bytes = [sum.len.to_le_bytes(), sum.crc32.to_le_bytes()].concat();
        bytes.extend(&self.bytes);
        bytes
    }

    /// Returns the number of bytes that have come.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Goes on with the profile that has `sum`; what came of another one is given up.
    pub(super) fn of(&mut self, sum: Sum) {
        if self.sum != Some(sum) {
            self.bytes.clear();
            self.sum = Some(sum);
        }
    }

    /// Appends what has come next.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the whole profile and leaves nothing; `None` if its checksum is wrong.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let Self { sum, bytes } = std::mem::take(self);
        (Sum::of(&bytes) == sum).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_is_kept_and_anything_else_is_nothing() {
        let sum = Sum::of(b"profile").unwrap();
        let mut part = Part::default();
        part.of(sum);
        assert_eq!(part.to_bytes(), b"");
        part.extend(b"prof");
        let kept = part.to_bytes();
        assert_eq!(Part::from_bytes(&kept), part);
        for len in 0..8 {
            assert!(Part::from_bytes(&kept[..len]).is_empty());
        }
        assert!(Part::from_bytes(&[&kept[..], b"too much"].concat()).is_empty());
        let mut again = Part::from_bytes(&kept);
        again.of(sum);
        again.extend(b"ile");
        assert_eq!(again.take().unwrap(), b"profile");
        part.of(Sum::of(b"another").unwrap());
        assert!(part.is_empty());
        part.extend(b"profile");
        assert_eq!(part.take(), None);
        assert!(part.is_empty());
    }
}
