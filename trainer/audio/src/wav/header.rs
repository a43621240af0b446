//! Finds the format and the samples of a WAV file, chunk by chunk.
//!
//! RIFF, RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088) are read. Lengths are taken with care: many
//! recorders leave them at 0 or at the largest number when they write to a pipe or crash.

use super::encoding::Encoding;
use super::io_error;
use crate::error::AudioError;
use crate::interleaved::Layout;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of a `fmt ` chunk that are looked at: all that the extensible format has.
const FORMAT: usize = 40;

/// Length that says: see the chunk `ds64`, or the length is not known.
const UNKNOWN: u32 = u32::MAX;

/// Place and form of the samples in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Number of channels and rate.
    pub layout: Layout,
    /// Form of a sample.
    pub encoding: Encoding,
    /// Byte of the file at which the samples begin.
    pub data: u64,
    /// Bytes of samples that are in the file.
    pub length: u64,
}

impl Header {
    /// Returns the bytes of a sample of each channel.
    pub fn frame_bytes(&self) -> usize {
        self.layout.channels * self.encoding.bytes()
    }

    /// Reads the header at byte `start` of a file that ends at byte `end`.
    pub fn read(path: &Path, file: &mut File, start: u64, end: u64) -> Result<Self, AudioError> {
        let mut chunks = Chunks { path, file, end };
        let (mut format, mut data, mut long_length) = (None, None, None);
        let mut position = start + 12;
        while let Some(chunk) = chunks.at(position)? {
            let after = match &chunk.id {
                b"fmt " => {
                    format = Some(Format::parse(path, &chunks.body(&chunk, FORMAT)?)?);
                    chunk.end()
                }
                b"ds64" => {
                    let body = chunks.body(&chunk, 16)?;
                    long_length = body.get(8..16).map(|bytes| {
                        let mut length = [0; 8];
                        length.copy_from_slice(bytes);
                        u64::from_le_bytes(length)
                    });
                    chunk.end()
                }
                b"data" => {
                    let length = chunks.data_length(&chunk, long_length)?;
                    data = Some((chunk.body, length));
                    chunk.body + length
                }
                _ => chunk.end(),
            };
            if format.is_some() && data.is_some() {
                break;
            }
            position = chunks.behind_padding(after)?;
        }
        let missing = |name: &str| AudioError::Truncated {
            path: path.to_owned(),
            found: format!("a WAV file without the chunk \"{name}\""),
            expected: "a format and samples".to_owned(),
        };
        let Some(Format { layout, encoding }) = format else {
            return Err(missing("fmt "));
        };
        let (data, length) = data.ok_or_else(|| missing("data"))?;
        Ok(Self {
            layout,
            encoding,
            data,
            length,
        })
    }
}

/// A chunk of the file.
struct Chunk {
    id: [u8; 4],
    /// Byte at which its contents begin.
    body: u64,
    length: u32,
}

impl Chunk {
    /// Returns the byte behind its contents.
    fn end(&self) -> u64 {
        self.body + u64::from(self.length)
    }
}

/// Names of chunks are printable.
fn is_name(bytes: &[u8]) -> bool {
    bytes.len() == 4 && bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// The chunks of a file.
struct Chunks<'f> {
    path: &'f Path,
    file: &'f mut File,
    /// Length of the file.
    end: u64,
}

impl Chunks<'_> {
    /// Reads up to `count` bytes at `position`.
    fn bytes(&mut self, position: u64, count: usize) -> Result<Vec<u8>, AudioError> {
        let mut bytes = Vec::with_capacity(count);
        let mut read = || {
            self.file.seek(SeekFrom::Start(position))?;
            self.file.take(count as u64).read_to_end(&mut bytes)
        };
        match read() {
            Ok(_) => Ok(bytes),
            // Positions beyond what the system can seek to are behind the end.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(bytes),
            Err(error) => Err(io_error(self.path, error)),
        }
    }

    /// Returns the chunk whose header is at `position`; `None` where there is none.
    fn at(&mut self, position: u64) -> Result<Option<Chunk>, AudioError> {
        let header = self.bytes(position, 8)?;
        let Some((id, length)) = header.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let Ok(length) = <[u8; 4]>::try_from(length) else {
            return Ok(None);
        };
        Ok(Some(Chunk {
            id: *id,
            body: position + 8,
            length: u32::from_le_bytes(length),
        }))
    }

    /// Returns the first bytes of a chunk, `most` at most.
    fn body(&mut self, chunk: &Chunk, most: usize) -> Result<Vec<u8>, AudioError> {
        self.bytes(chunk.body, most.min(chunk.length as usize))
    }

    /// Returns the place of the next chunk if one ends before byte `position`. Chunks begin at even
    /// bytes, but some writers leave the byte of padding out.
    fn behind_padding(&mut self, position: u64) -> Result<u64, AudioError> {
        if position.is_multiple_of(2) {
            return Ok(position);
        }
        let next = self.bytes(position, 5)?;
        let unpadded = next.get(..4).is_some_and(is_name);
        let padded = next.get(1..5).is_some_and(is_name);
        Ok(if unpadded && !padded {
            position
        } else {
            position + 1
        })
    }

    /// Returns the bytes of samples in the chunk `data`: the length that it or `ds64` states, or all
    /// bytes to the end of the file where that length cannot be right.
    fn data_length(&mut self, chunk: &Chunk, long: Option<u64>) -> Result<u64, AudioError> {
        let there = self.end.saturating_sub(chunk.body);
        let stated = match (chunk.length, long) {
            (UNKNOWN, Some(long)) if long > 0 => long,
            (UNKNOWN, _) => return Ok(there),
            (length, _) => u64::from(length),
        };
        if stated > there {
            return Ok(there);
        }
        if stated == 0 && !self.are_chunks(chunk.body)? {
            return Ok(there);
        }
        // A length of 32 bits that overflowed: no chunks of 4 GB follow the samples.
        Ok(stated + ((there - stated) >> 32 << 32))
    }

    /// Tells whether chunks follow each other from `position` to the end of the file.
    fn are_chunks(&mut self, mut position: u64) -> Result<bool, AudioError> {
        // A byte of padding may be missing at the end.
        while position < self.end {
            match self.at(position)? {
                Some(chunk) if is_name(&chunk.id) && chunk.end() <= self.end => {
                    position = self.behind_padding(chunk.end())?;
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Contents of a `fmt ` chunk.
struct Format {
    layout: Layout,
    encoding: Encoding,
}

/// Tags of sample formats (RFC 2361).
mod tag {
    pub const PCM: u16 = 1;
    pub const FLOAT: u16 = 3;
    pub const A_LAW: u16 = 6;
    pub const MU_LAW: u16 = 7;
    /// The tag is in the extension.
    pub const EXTENSIBLE: u16 = 0xfffe;
}

/// Last bytes of an extension that holds a tag and no other identifier.
pub(super) const TAG_IDENTIFIER: [u8; 14] = [
    0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71,
];

impl Format {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, AudioError> {
        let field = |at: usize| {
            bytes
                .get(at..at + 2)
                .map(|b| u16::from_le_bytes([b[0], b[1]]))
        };
        let (Some(mut tag), Some(channels), Some(low), Some(high), Some(frame)) =
            (field(0), field(2), field(4), field(6), field(12))
        else {
            return Err(AudioError::Truncated {
                path: path.to_owned(),
                found: format!("a format of {} bytes", bytes.len()),
                expected: "16 bytes or more".to_owned(),
            });
        };
        if channels == 0 {
            return Err(AudioError::ZeroChannels {
                path: path.to_owned(),
            });
        }
        let bits = field(14).unwrap_or(0);
        let mut valid = bits;
        let unsupported = |found: String| AudioError::Unsupported {
            path: path.to_owned(),
            found,
        };
        if tag == tag::EXTENSIBLE && bytes.len() >= 26 {
            if bytes.get(26..40).is_some_and(|rest| rest != TAG_IDENTIFIER) {
                let found = bytes[24..40].iter().map(|byte| format!("{byte:02x}"));
                let found: String = found.collect();
                return Err(unsupported(format!("the codec {found} inside WAV")));
            }
            tag = field(24).unwrap_or(tag);
            // Some writers leave it at 0.
            valid = field(18).filter(|&valid| valid > 0).unwrap_or(bits);
        }
        // The frame says how wide a container is, and the bits may be fewer; but some writers count one
        // channel only, or leave it at 0.
        let stated = usize::from(frame) / usize::from(channels);
        let container = stated.max(usize::from(bits).div_ceil(8));
        let encoding = match (tag, container) {
            (tag::PCM, 1) if valid <= 8 => Encoding::Unsigned8,
            (tag::PCM, 2..=8) if valid > 0 && usize::from(valid) <= 8 * container => {
                Encoding::Signed {
                    bytes: container,
                    bits: valid.into(),
                }
            }
            (tag::FLOAT, 4) => Encoding::Float32,
            (tag::FLOAT, 8) => Encoding::Float64,
            (tag::A_LAW, 1) => Encoding::ALaw,
            (tag::MU_LAW, 1) => Encoding::MuLaw,
            _ => {
                let codec = codec(tag);
                return Err(unsupported(format!(
                    "{codec} inside WAV (format tag 0x{tag:04x}, {valid} bits in {container} bytes)"
                )));
            }
        };
        Ok(Self {
            layout: Layout {
                channels: channels.into(),
                rate: u32::from(high) << 16 | u32::from(low),
            },
            encoding,
        })
    }
}

/// Names the codec of a tag (RFC 2361, Appendix A).
fn codec(tag: u16) -> &'static str {
    match tag {
        tag::PCM => "PCM of unusual width",
        0x0002 => "Microsoft ADPCM",
        tag::FLOAT => "floating point of unusual width",
        tag::A_LAW => "A-law of unusual width",
        tag::MU_LAW => "µ-law of unusual width",
        0x0011 => "IMA ADPCM",
        0x0014 | 0x0040 | 0x0045 | 0x0064 => "G.72x ADPCM",
        0x0020 => "Yamaha ADPCM",
        0x0022 => "TrueSpeech",
        0x0031 => "GSM 6.10",
        0x0050 => "MPEG layer I or II",
        0x0055 => "MP3",
        0x00ff | 0x1600 | 0x1601 | 0x1602 | 0x1610 => "AAC",
        0x0092 | 0x2000 => "AC-3",
        0x0160..=0x0163 => "Windows Media Audio",
        0x566f | 0x674f..=0x6751 | 0x676f..=0x6771 => "Vorbis",
        0x704f => "Opus",
        0xf1ac => "FLAC",
        _ => "an unknown codec",
    }
}
