//! Reads RIFF/WAVE files as a stream, for firmwares: no allocation, no seeking, a few dozen bytes of
//! state.
//!
//! Samples are 16-bit PCM, as from a device's microphone, with any number of channels, which are
//! averaged to one. Unknown chunks are skipped. A file whose last chunk claims more bytes than there
//! are is read to its end and then reported as truncated.
#![no_std]

/// Source of the bytes: a file, a flash chip, a slice.
pub trait Source {
    /// Error of reading.
    type Error;

    /// Fills the front of `buffer` and returns how many bytes were read; 0 only at the end, or for
    /// an empty `buffer`.
    ///
    /// # Errors
    /// [`Self::Error`] if the source cannot be read.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error>;
}

impl Source for &[u8] {
    type Error = core::convert::Infallible;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let count = buffer.len().min(self.len());
        let (head, tail) = self.split_at(count);
        buffer[..count].copy_from_slice(head);
        *self = tail;
        Ok(count)
    }
}

/// Explains why a WAV file cannot be read. `E` is the [`Source`]'s own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WavError<E> {
    /// The source failed.
    Source(E),
    /// The file does not begin with `RIFF`, a length and `WAVE`.
    NotWave,
    /// The file ends before a `data` chunk begins.
    NoData,
    /// The `data` chunk comes before any `fmt ` chunk.
    NoFormat,
    /// The `fmt ` chunk has this many bytes, fewer than the 16 needed.
    FormatLength(u32),
    /// The samples are not linear PCM; this is the format tag found.
    NotPcm(u16),
    /// The samples have this many bits, and not 16.
    BitsPerSample(u16),
    /// There are no channels.
    NoChannels,
    /// A frame has this many bytes, and not two for each channel.
    BlockAlign(u16),
    /// The file ends inside the samples.
    Truncated,
}

impl<E: core::fmt::Display> core::fmt::Display for WavError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Source(error) => write!(f, "{error}"),
            Self::NotWave => f.write_str("not a WAV file (no RIFF/WAVE header)"),
            Self::NoData => f.write_str("the file ends before its samples (no data chunk)"),
            Self::NoFormat => f.write_str("the data chunk comes before the fmt chunk"),
            Self::FormatLength(found) => {
                write!(f, "fmt chunk of {found} bytes, expected at least 16")
            }
            Self::NotPcm(tag) => write!(f, "format tag {tag}, expected 1 (linear PCM)"),
            Self::BitsPerSample(found) => write!(f, "{found} bits a sample, expected 16"),
            Self::NoChannels => f.write_str("0 channels, expected at least 1"),
            Self::BlockAlign(found) => {
                write!(f, "{found} bytes a frame, expected 2 for each channel")
            }
            Self::Truncated => f.write_str("the file ends inside its samples"),
        }
    }
}

/// A WAV file whose header has been read; [`WavReader::read`] gives the samples.
#[derive(Debug)]
pub struct WavReader<S> {
    source: S,
    sample_rate: u32,
    channels: u16,
    /// Bytes of the data chunk that have not been read, as its header claims.
    remaining: u32,
}

const PCM: u16 = 1;
/// The tag of WAVEFORMATEXTENSIBLE; the real tag opens the sub-format at byte 24 of the chunk.
const EXTENSIBLE: u16 = 0xfffe;
/// Bytes of a `fmt ` chunk that are read: up to the sub-format's tag.
const FORMAT_BYTES: usize = 26;

impl<S: Source> WavReader<S> {
    /// Reads up to where the samples begin.
    ///
    /// # Errors
    /// [`WavError`] if the source fails, the file is no WAV file or ends before its samples, or they are not
    /// 16-bit PCM.
    pub fn open(mut source: S) -> Result<Self, WavError<S::Error>> {
        let mut riff = [0; 12];
        if fill(&mut source, &mut riff)? < riff.len()
            || &riff[..4] != b"RIFF"
            || &riff[8..] != b"WAVE"
        {
            return Err(WavError::NotWave);
        }
        let mut format = None;
        loop {
            let mut head = [0; 8];
            if fill(&mut source, &mut head)? < head.len() {
                return Err(WavError::NoData);
            }
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            match &head[..4] {
                b"fmt " => format = Some(read_format(&mut source, length)?),
                b"data" => {
                    let (sample_rate, channels) = format.ok_or(WavError::NoFormat)?;
                    return Ok(Self {
                        source,
                        sample_rate,
                        channels,
                        remaining: length,
                    });
                }
                _ => skip(&mut source, padded(length))?,
            }
        }
    }

    /// Returns the frames a second.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Returns the channels in the file; [`Self::read`] mixes them down.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// Returns the samples (frames) left, as the header claims.
    pub fn remaining(&self) -> u32 {
        self.remaining / (2 * u32::from(self.channels))
    }

    /// Fills the front of `samples` and returns how many there were; 0 only at the end of the
    /// recording, or for an empty `samples`.
    ///
    /// Several channels become one by their mean, rounded towards zero.
    ///
    /// # Errors
    /// [`WavError::Source`] if the source fails, [`WavError::Truncated`] if the file ends inside its samples.
    pub fn read(&mut self, samples: &mut [i16]) -> Result<usize, WavError<S::Error>> {
        let wanted = samples
            .len()
            .min(usize::try_from(self.remaining()).unwrap_or(usize::MAX));
        for sample in &mut samples[..wanted] {
            *sample = self.next_frame()?;
        }
        Ok(wanted)
    }

    fn next_frame(&mut self) -> Result<i16, WavError<S::Error>> {
        let mut sum = 0_i32;
        for _ in 0..self.channels {
            let mut bytes = [0; 2];
            if fill(&mut self.source, &mut bytes)? < bytes.len() {
                self.remaining = 0;
                return Err(WavError::Truncated);
            }
            // At most 65535 channels of 16 bits: the sum stays within an i32.
            sum += i32::from(i16::from_le_bytes(bytes));
        }
        self.remaining -= 2 * u32::from(self.channels);
        Ok((sum / i32::from(self.channels)) as i16)
    }
}

/// Returns the length of a chunk with its padding: chunks begin at even offsets.
fn padded(length: u32) -> u64 {
    u64::from(length) + u64::from(length & 1)
}

/// Reads until `buffer` is full or the source ends; returns the bytes read.
fn fill<S: Source>(source: &mut S, buffer: &mut [u8]) -> Result<usize, WavError<S::Error>> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source
            .read(&mut buffer[filled..])
            .map_err(WavError::Source)?
        {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn skip<S: Source>(source: &mut S, mut bytes: u64) -> Result<(), WavError<S::Error>> {
    let mut scrap = [0; 64];
    while bytes > 0 {
        let step = scrap
            .len()
            .min(usize::try_from(bytes).unwrap_or(usize::MAX));
        if fill(source, &mut scrap[..step])? < step {
            return Err(WavError::NoData);
        }
        bytes -= step as u64;
    }
    Ok(())
}

/// Reads a `fmt ` chunk of `length` bytes; returns the sample rate and the channels.
fn read_format<S: Source>(source: &mut S, length: u32) -> Result<(u32, u16), WavError<S::Error>> {
    if length < 16 {
        return Err(WavError::FormatLength(length));
    }
    let mut bytes = [0; FORMAT_BYTES];
    let known = FORMAT_BYTES.min(length as usize);
    if fill(source, &mut bytes[..known])? < known {
        return Err(WavError::NoData);
    }
    skip(source, padded(length) - known as u64)?;
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let tag = match half(0) {
        EXTENSIBLE if known == FORMAT_BYTES => half(24),
        tag => tag,
    };
    let channels = half(2);
    let sample_rate = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let (block_align, bits) = (half(12), half(14));
    if tag != PCM {
        Err(WavError::NotPcm(tag))
    } else if bits != 16 {
        Err(WavError::BitsPerSample(bits))
    } else if channels == 0 {
        Err(WavError::NoChannels)
    } else if u32::from(block_align) != 2 * u32::from(channels) {
        Err(WavError::BlockAlign(block_align))
    } else {
        Ok((sample_rate, channels))
    }
}

#[cfg(test)]
mod tests;
