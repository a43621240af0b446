//! Reads raw PCM from a pipe.

use super::{CaptureError, Chunk};
use mtslvr_audio::{StreamResampler, describe_start};
use std::io::Read;
use std::sync::mpsc::SyncSender;

/// Most bytes read at once, 0.1 s at 16 kHz. Fewer are passed on without waiting for more.
const READ: usize = 3200;

/// Rate and channels of PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcmShape {
    /// Samples a second of each channel; above 0.
    pub rate: u32,
    /// Channels, whose samples take turns; above 0.
    pub channels: usize,
}

/// Converts PCM of any shape to one channel at another rate.
#[derive(Debug)]
pub(super) struct Converter {
    channels: usize,
    /// Samples of a moment of which not all channels have come.
    pending: Vec<f32>,
    resampler: StreamResampler,
}

impl Converter {
    pub fn new(shape: PcmShape, sample_rate: u32) -> Self {
        Self {
            channels: shape.channels,
            pending: Vec::new(),
            resampler: StreamResampler::new(shape.rate, sample_rate),
        }
    }

    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.pending.extend_from_slice(samples);
        let moments = self.pending.chunks_exact(self.channels);
        let count = self.channels as f32;
        let mono: Vec<f32> = moments.map(|m| m.iter().sum::<f32>() / count).collect();
        self.pending.drain(..mono.len() * self.channels);
        self.resampler.push(&mono)
    }
}

/// Reads `input` to its end and sends its samples, converted. A last byte that is half a sample is dropped.
pub(super) fn read(
    mut input: impl Read,
    chunks: &SyncSender<Chunk>,
    mut convert: impl FnMut(Vec<f32>) -> Vec<f32>,
) {
    let (mut buffer, mut pending, mut total) = ([0; READ], Vec::new(), 0);
    let mut begun = false;
    let end = loop {
        match input.read(&mut buffer) {
            Ok(0) => break None,
            Ok(count) => {
                total += count;
                pending.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => break Some(CaptureError::Pipe(error)),
        }
        if !begun {
            if pending.len() < HEADER {
                continue;
            }
            begun = true;
            if let Some(found) = header(&pending) {
                break Some(CaptureError::Header { found });
            }
        }
        if chunks
            .send(Ok(convert(take_samples(&mut pending))))
            .is_err()
        {
            return;
        }
    };
    let last = match end {
        Some(error) => Err(error),
        None if total < 2 => Err(CaptureError::Empty { bytes: total }),
        None => Ok(convert(take_samples(&mut pending))),
    };
    // The listener may have gone.
    let _ = chunks.send(last);
}

/// Enough bytes to recognise a header.
const HEADER: usize = 4;

/// Names the format if `start` is the header of a sound file. As samples, its four letters would be a
/// loud click.
fn header(start: &[u8]) -> Option<String> {
    let known: [&[u8]; 4] = [b"RIFF", b"fLaC", b"OggS", b"ID3\x03"];
    let known = known.into_iter().any(|magic| start.starts_with(magic));
    known.then(|| describe_start(&start[..HEADER]))
}

/// Takes the whole samples out of `bytes`.
fn take_samples(bytes: &mut Vec<u8>) -> Vec<f32> {
    let (whole, _) = bytes.as_chunks::<2>();
    let samples: Vec<f32> = whole
        .iter()
        .map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / 32_768.0)
        .collect();
    bytes.drain(..2 * samples.len());
    samples
}

#[cfg(test)]
mod tests {
    use super::super::Capture;
    use super::*;

    /// Gives one byte at a time, as a slow pipe may.
    struct Trickle(Vec<u8>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some(byte) = (!self.0.is_empty()).then(|| self.0.remove(0)) else {
                return Ok(0);
            };
            buffer[0] = byte;
            Ok(1)
        }
    }

    #[test]
    fn samples_come_out_whole_however_the_bytes_come() {
        let samples: [i16; 5] = [0, 16_384, -32_768, 1, -2];
        let mut bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        bytes.push(9);
        let expected = [0.0, 0.5, -1.0, 1.0 / 32_768.0, -2.0 / 32_768.0];
        assert_eq!(
            Capture::pcm(Trickle(bytes.clone())).all().unwrap(),
            expected
        );
        assert_eq!(
            Capture::pcm(std::io::Cursor::new(bytes)).all().unwrap(),
            expected
        );
        assert_eq!(Capture::pcm(Trickle(vec![0, 64])).all().unwrap(), [0.5]);
    }

    #[test]
    fn channels_are_averaged_and_the_rate_is_converted() {
        let sine = |n: usize| (0.4 * 32_767.0 * (n as f32 * 0.02).sin()) as i16;
        let both = (0..48_000).flat_map(|n| [sine(n), sine(n)]);
        let bytes: Vec<u8> = both.flat_map(i16::to_le_bytes).collect();
        let shape = PcmShape {
            rate: 48_000,
            channels: 2,
        };
        let samples = Capture::pcm_of(Trickle(bytes), shape, 16_000)
            .all()
            .unwrap();
        assert!(
            (14_000..=16_000).contains(&samples.len()),
            "{}",
            samples.len()
        );
        let peak = samples.iter().fold(0.0, |peak: f32, s| peak.max(s.abs()));
        assert!((peak - 0.4).abs() < 0.02, "{peak}");
    }

    #[test]
    fn what_is_no_pcm_is_said() {
        let error = |bytes: &[u8]| {
            let all = Capture::pcm(Trickle(bytes.to_vec())).all();
            all.unwrap_err().to_string()
        };
        assert!(error(b"RIFF\0\0\0\0WAVE").contains("\"RIFF\""));
        assert!(error(b"").contains("0 bytes"));
        assert!(error(b"x").contains("1 bytes"));
    }
}
