//! Recognises the format of a file by its first bytes.

/// Formats that are recognised by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Flac,
    Ogg,
    Mp3,
}

impl Container {
    /// Returns the format that begins with `bytes`; `None` if it is not one of these.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'A',
                b'V',
                b'E',
                ..,
            ] => Some(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Ogg),
            [b'I', b'D', b'3', ..] => Some(Self::Mp3),
            // MPEG audio frame: 11 bits of sync, then a version and a layer that exist.
            [0xff, b, ..] if b & 0xe0 == 0xe0 && b & 0x18 != 0x08 && b & 0x06 == 0x02 => {
                Some(Self::Mp3)
            }
            _ => None,
        }
    }
}
