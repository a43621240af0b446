//! Reads WAV, and writes it as 16-bit PCM.

mod encoding;
mod header;
mod write;

pub use write::{round_to_16_bits, write_wav};

use super::error::AudioError;
use super::interleaved::{Layout, Source};
use header::Header;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Most bytes that are decoded at once.
const PIECE: usize = 1 << 16;

/// The samples of a WAV file.
#[derive(Debug)]
pub(super) struct WavSource {
    path: PathBuf,
    file: File,
    header: Header,
    /// Bytes of samples not read yet.
    left: u64,
    /// Room for a piece of whole frames.
    bytes: Vec<u8>,
}

impl WavSource {
    /// Opens `file`, whose RIFF header begins at byte `start`; `path` is for messages.
    pub fn open(path: &Path, mut file: File, start: u64) -> Result<Self, AudioError> {
        let io = |source| io_error(path, source);
        let end = file.seek(SeekFrom::End(0)).map_err(io)?;
        let header = Header::read(path, &mut file, start, end)?;
        file.seek(SeekFrom::Start(header.data)).map_err(io)?;
        let frame = header.frame_bytes();
        let left = header.length / frame as u64 * frame as u64;
        if left == 0 {
            return Err(AudioError::NoSamples {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            left,
            bytes: vec![0; frame * (PIECE / frame).max(1)],
            header,
        })
    }
}

impl Source for WavSource {
    fn layout(&self) -> Layout {
        self.header.layout
    }

    fn read(&mut self, samples: &mut Vec<f32>) -> Result<bool, AudioError> {
        let length = self.left.min(self.bytes.len() as u64) as usize;
        let bytes = &mut self.bytes[..length];
        self.file
            .read_exact(bytes)
            .map_err(|source| io_error(&self.path, source))?;
        self.header.encoding.decode(bytes, samples);
        self.left -= length as u64;
        Ok(self.left > 0)
    }
}

fn io_error(path: &Path, error: io::Error) -> AudioError {
    AudioError::Io {
        path: path.to_owned(),
        action: "read",
        error,
    }
}

#[cfg(test)]
mod tests;
