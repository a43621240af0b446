//! Writes recordings.

use crate::atomic_file::write_atomically;
use crate::error::AudioError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Returns a sample as it is written.
fn in_16_bits(sample: f32) -> i16 {
    // `as` saturates: that is the clipping.
    (sample * 32_768.0).round() as i16
}

/// Changes `samples` to the values that are read back where [`write_wav`] wrote them.
pub fn round_to_16_bits(samples: &mut [f32]) {
    for sample in samples {
        *sample = f32::from(in_16_bits(*sample)) / 32_768.0;
    }
}

/// Writes mono `samples` (full scale at 1, clipped beyond) as 16-bit PCM at `rate` Hz. The file has its
/// name once it is whole ([`write_atomically`]).
///
/// # Errors
/// [`AudioError::Io`] if the file cannot be written.
pub fn write_wav(path: &Path, samples: &[f32], rate: u32) -> Result<(), AudioError> {
    let write = |temporary: &Path| -> io::Result<()> {
        let too_long = |_| io::Error::other("a WAV file holds at most 4 GB");
        let length = u32::try_from(2 * samples.len()).map_err(too_long)?;
        let mut out = BufWriter::new(File::create(temporary)?);
        out.write_all(b"RIFF")?;
        out.write_all(&length.saturating_add(36).to_le_bytes())?;
        out.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0")?;
        out.write_all(&rate.to_le_bytes())?;
        out.write_all(&rate.saturating_mul(2).to_le_bytes())?;
        out.write_all(b"\x02\0\x10\0data")?;
        out.write_all(&length.to_le_bytes())?;
        for &sample in samples {
            out.write_all(&in_16_bits(sample).to_le_bytes())?;
        }
        out.flush()
    };
    write_atomically(path, write).map_err(|error| AudioError::Io {
        path: path.to_owned(),
        action: "written",
        error,
    })
}
