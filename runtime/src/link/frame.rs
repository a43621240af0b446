//! Frames: a message with its kind, sequence number and checksum, on a line that may lose and flip bytes.

use super::cobs;
use crate::model::Crc32;

/// Bytes before a message: kind and sequence number.
const HEAD: usize = 2;
/// Bytes of the checksum behind it.
const CHECKSUM: usize = 4;
/// Ends a frame on the line, and occurs nowhere else.
pub const END: u8 = 0;

/// Returns the bytes on the line that a frame with a message of `len` bytes takes at most.
pub const fn line_len(len: usize) -> usize {
    let raw = len.saturating_add(HEAD + CHECKSUM);
    // A zero before it, which ends whatever noise came first, and one behind it.
    raw.saturating_add(cobs::overhead(raw)).saturating_add(2)
}

/// A frame that arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Kind of the message.
    pub kind: u8,
    /// Number that an answer has in common with its request.
    pub sequence: u8,
    /// The message.
    pub message: &'a [u8],
}

/// Finds frames among the bytes from a line. Whatever is no frame is passed over.
#[derive(Debug)]
pub struct FrameReader<B> {
    buffer: B,
    /// Bytes since the last frame's end; more than the buffer has for a frame that is too long.
    filled: usize,
}

impl<B: AsMut<[u8]>> FrameReader<B> {
    /// Begins with an empty `buffer`, the length of which limits the frames: see [`line_len`].
    pub const fn new(buffer: B) -> Self {
        Self { buffer, filled: 0 }
    }

    /// Takes the next byte from the line; returns the frame that it ends, if it does and the frame is whole.
    pub fn push(&mut self, byte: u8) -> Option<Frame<'_>> {
        let buffer = self.buffer.as_mut();
        if byte != END {
            if let Some(room) = buffer.get_mut(self.filled) {
                *room = byte;
            }
            self.filled = self.filled.saturating_add(1);
            return None;
        }
        let filled = core::mem::take(&mut self.filled);
        open(buffer.get_mut(..filled)?)
    }
}

/// Takes a frame apart that stands between two ends.
fn open(stuffed: &mut [u8]) -> Option<Frame<'_>> {
    let len = cobs::decode(stuffed)?;
    let (checked, checksum) = stuffed[..len].split_last_chunk::<CHECKSUM>()?;
    let (&[kind, sequence], message) = checked.split_first_chunk::<HEAD>()?;
    let crc = Crc32::new().update(checked).finish();
    (crc == u32::from_le_bytes(*checksum)).then_some(Frame {
        kind,
        sequence,
        message,
    })
}

/// Writes a frame into a buffer, a field after the other.
#[derive(Debug)]
pub struct FrameWriter<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
    full: bool,
}

impl<'b> FrameWriter<'b> {
    /// Begins a frame in `buffer`, which has [`line_len`] bytes or more.
    pub fn new(buffer: &'b mut [u8], kind: u8, sequence: u8) -> Self {
        // Room for the zero in front, and for stuffing what fits in the rest.
        let start = cobs::overhead(buffer.len()) + 1;
        let mut writer = Self {
            buffer,
            start,
            end: start,
            full: false,
        };
        writer.put(&[kind, sequence]);
        writer
    }

    /// Appends bytes to the message.
    pub fn put(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.end..self.end + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.end += bytes.len();
            }
            None => self.full = true,
        }
    }

    /// Ends the frame and returns its bytes on the line; `None` if they did not fit.
    pub fn finish(mut self) -> Option<&'b [u8]> {
        let raw = self.buffer.get(self.start..self.end)?;
        let checksum = Crc32::new().update(raw).finish();
        self.put(&checksum.to_le_bytes());
        if self.full {
            return None;
        }
        let stuffed = self.buffer.get_mut(1..self.end)?;
        let len = cobs::encode(stuffed, self.end - self.start)?;
        // It ends no later than what it was made of.
        self.buffer[0] = END;
        let end = self.buffer.get_mut(1 + len)?;
        *end = END;
        self.buffer.get(..2 + len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(kind: u8, sequence: u8, message: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0xaa; line_len(message.len()) + 3];
        let mut writer = FrameWriter::new(&mut buffer, kind, sequence);
        writer.put(message);
        writer.finish().unwrap().to_vec()
    }

    fn read(line: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
        let mut reader = FrameReader::new(vec![0; 600]);
        let mut frames = Vec::new();
        for &byte in line {
            if let Some(frame) = reader.push(byte) {
                frames.push((frame.kind, frame.sequence, frame.message.to_vec()));
            }
        }
        frames
    }

    #[test]
    fn a_frame_byte_by_byte() {
        // The example of LINK.md: a greeting of version 1, with the sequence number 7.
        let line = written(0x01, 7, &[1, 0]);
        let crc = Crc32::new().update(&[1, 7, 1, 0]).finish().to_le_bytes();
        assert_eq!(line[..5], [0, 4, 1, 7, 1]);
        assert_eq!(crc, [0xbd, 0x9f, 0xac, 0x85]);
        assert_eq!(line[5..], [5, 0xbd, 0x9f, 0xac, 0x85, 0]);
    }

    #[test]
    fn a_buffer_that_is_too_short_is_refused() {
        for len in 0..line_len(40) {
            let mut buffer = vec![0; len];
            let mut writer = FrameWriter::new(&mut buffer, 1, 2);
            writer.put(&[3; 40]);
            assert_eq!(writer.finish(), None, "{len}");
        }
        let mut reader = FrameReader::new(vec![0; 20]);
        let long = written(1, 2, &[3; 40]);
        assert!(long.iter().all(|&byte| reader.push(byte).is_none()));
        // And the next one is read.
        let short = written(1, 2, &[3; 4]);
        assert!(short.iter().any(|&byte| reader.push(byte).is_some()));
    }

    proptest! {
        #[test]
        fn frames_come_through_noise(
            kind: u8, sequence: u8,
            message in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..500),
            noise in proptest::collection::vec(any::<u8>(), 0..50)
        ) {
            let line = [&noise[..], &written(kind, sequence, &message), &noise].concat();
            prop_assert!(read(&line).contains(&(kind, sequence, message)));
        }

        #[test]
        fn a_frame_with_flipped_or_lost_bits_is_passed_over(
            message in proptest::collection::vec(any::<u8>(), 0..100),
            at: proptest::sample::Index, flip in 1_u8.., lose: bool
        ) {
            let mut line = written(1, 2, &message);
            let at = 1 + at.index(line.len() - 2);
            if lose {
                line.remove(at);
            } else {
                line[at] ^= flip;
            }
            prop_assert_eq!(read(&line), []);
        }
    }
}
