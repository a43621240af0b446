//! Reads WAV in every sample format that hound knows, and writes 16-bit PCM.

use super::error::AudioError;
use super::interleaved::Interleaved;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Reads `file` from its start; `path` is for messages.
pub(super) fn read(path: &Path, file: File) -> Result<Interleaved, AudioError> {
    let header = |error| header_error(path, error);
    let reader = WavReader::new(BufReader::new(file)).map_err(header)?;
    let spec = reader.spec();
    let promised = reader.len();
    let samples = match spec.sample_format {
        SampleFormat::Float => collect(reader.into_samples::<f32>()),
        SampleFormat::Int => {
            // hound gives integers of `bits` bits with the sign extended, 8-bit ones centred.
            let gain = (0.5f64.powi(i32::from(spec.bits_per_sample) - 1)) as f32;
            collect(
                reader
                    .into_samples::<i32>()
                    .map(|sample| Ok(sample? as f32 * gain)),
            )
        }
    };
    let samples = samples.map_err(|(read, error)| match error {
        hound::Error::IoError(_) => AudioError::Truncated {
            path: path.to_owned(),
            found: format!("{read} samples"),
            expected: format!("the {promised} that its header promises"),
        },
        error => header(error),
    })?;
    Ok(Interleaved {
        samples,
        channels: spec.channels.into(),
        rate: spec.sample_rate,
    })
}

/// Reads all samples; on an error returns the number read and the error.
fn collect(
    samples: impl Iterator<Item = hound::Result<f32>>,
) -> Result<Vec<f32>, (usize, hound::Error)> {
    // The vector grows as samples are read: the header's count may be wrong and large.
    let mut all = Vec::new();
    for sample in samples {
        match sample {
            Ok(sample) => all.push(sample),
            Err(error) => return Err((all.len(), error)),
        }
    }
    Ok(all)
}

fn header_error(path: &Path, error: hound::Error) -> AudioError {
    let path = path.to_owned();
    match error {
        hound::Error::FormatError("file contains zero channels") => {
            AudioError::ZeroChannels { path }
        }
        hound::Error::FormatError(found) => AudioError::Corrupt {
            path,
            found: format!("the WAV header says: {found}"),
        },
        hound::Error::IoError(source) if source.kind() != std::io::ErrorKind::Other => {
            AudioError::Io {
                path,
                action: "read",
                source,
            }
        }
        // hound reports an early end of file as an unspecified input error.
        hound::Error::IoError(_) => AudioError::Truncated {
            path,
            found: "the file ends inside its header".to_owned(),
            expected: "a complete WAV header and samples after it".to_owned(),
        },
        hound::Error::Unsupported => AudioError::Unsupported {
            path,
            found: "a WAV with compressed or 64 bit samples".to_owned(),
        },
        other => AudioError::Corrupt {
            path,
            found: other.to_string(),
        },
    }
}

/// Writes mono `samples` (full scale at 1, clipped beyond) as 16-bit PCM at `rate` Hz.
///
/// # Errors
/// [`AudioError::Io`] if the file cannot be written.
pub fn write_wav(path: &Path, samples: &[f32], rate: u32) -> Result<(), AudioError> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let write = || -> hound::Result<()> {
        let mut writer = WavWriter::create(path, spec)?;
        for &sample in samples {
            // `as` saturates: that is the clipping.
            writer.write_sample((sample * 32_768.0).round() as i16)?;
        }
        writer.finalize()
    };
    write().map_err(|error| AudioError::Io {
        path: path.to_owned(),
        action: "written",
        source: match error {
            hound::Error::IoError(source) => source,
            other => std::io::Error::other(other),
        },
    })
}
