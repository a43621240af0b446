//! Loads a recording as mono samples at the rate asked for.

use super::budget::Budget;
use super::error::AudioError;
use super::reader::Reader;
use std::path::Path;

/// Reads the whole recording at `path` as mono samples at `sample_rate` Hz, full scale at 1: the samples
/// that a [`Reader`] gives, in memory.
///
/// WAV, FLAC, MP3, AAC, ALAC, Vorbis, Opus, AIFF, CAF, MPEG-4 and WebM are told apart by their content,
/// whatever the file is called. An MP3 without a length in its header cannot be told from one cut short,
/// and nor can a WAV whose length is wrong: it is read to the end of the file.
///
/// # Errors
/// As a [`Reader`], and [`AudioError::TooLong`] beyond [`Budget::held`].
pub fn load(path: &Path, sample_rate: u32) -> Result<Vec<f32>, AudioError> {
    let budget = Budget::from_environment()?;
    let mut reader = Reader::open_within(path, sample_rate, budget)?;
    let mut samples = Vec::new();
    while let Some(piece) = reader.next() {
        samples.append(&mut piece?);
        if samples.len() as u64 > budget.held {
            return Err(reader.too_long(budget.held, "samples, to be held in memory"));
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::super::write_wav;
    use super::*;
    use std::f32::consts::TAU;
    use std::fs;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixtures");

    /// Amplitude of the 1 kHz component of `samples` at 16 kHz, edges left out, and of the rest.
    fn tone_and_rest(samples: &[f32]) -> (f32, f32) {
        let middle = &samples[800..samples.len() - 800];
        let count = middle.len() / 16 * 16;
        let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
        for (n, sample) in middle[..count].iter().enumerate() {
            let angle = TAU * n as f32 / 16.0;
            re += sample * angle.cos();
            im += sample * angle.sin();
            power += sample * sample;
        }
        let amplitude = 2.0 * (re * re + im * im).sqrt() / count as f32;
        let rest = power / count as f32 - 0.5 * amplitude * amplitude;
        (amplitude, rest.max(0.0).sqrt())
    }

    fn tone(rate: u32) -> Vec<f32> {
        (0..rate / 4)
            .map(|n| 0.25 * (TAU * 1000.0 * n as f32 / rate as f32).sin())
            .collect()
    }

    #[track_caller]
    fn assert_is_tone(path: &Path) {
        let samples = load(path, 16_000).unwrap();
        let (amplitude, rest) = tone_and_rest(&samples);
        assert!(
            samples.len().abs_diff(4000) <= 2,
            "{} samples",
            samples.len()
        );
        assert!(
            (amplitude - 0.25).abs() < 0.014,
            "{}: amplitude {amplitude}",
            path.display()
        );
        // What a lossy codec adds to a tone.
        assert!(rest < 0.015, "{}: rest {rest}", path.display());
    }

    fn message(path: &Path) -> String {
        let error = load(path, 16_000).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        error
    }

    #[test]
    fn compressed_formats_decode_to_what_was_encoded() {
        for name in ["tone.flac", "tone.ogg", "tone.mp3"] {
            assert_is_tone(&Path::new(FIXTURES).join(name));
        }
    }

    #[test]
    fn the_content_decides_and_not_the_name() {
        let dir = tempfile::tempdir().unwrap();
        for (fixture, name) in [
            ("tone.flac", "a.mp3"),
            ("tone.ogg", "b.wav"),
            ("tone.mp3", "c"),
        ] {
            let path = dir.path().join(name);
            fs::copy(Path::new(FIXTURES).join(fixture), &path).unwrap();
            assert_is_tone(&path);
        }
    }

    #[test]
    fn every_kind_of_wav_decodes() {
        let dir = tempfile::tempdir().unwrap();
        for (bits, sample_format) in [
            (8, hound::SampleFormat::Int),
            (16, hound::SampleFormat::Int),
            (24, hound::SampleFormat::Int),
            (32, hound::SampleFormat::Int),
            (32, hound::SampleFormat::Float),
        ] {
            for channels in [1u16, 2, 5] {
                for sample_rate in [8_000, 16_000, 44_100, 192_000, 384_000] {
                    let path = dir.path().join("tone.wav");
                    let spec = hound::WavSpec {
                        channels,
                        sample_rate,
                        bits_per_sample: bits,
                        sample_format,
                    };
                    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
                    for sample in tone(sample_rate) {
                        for _ in 0..channels {
                            if sample_format == hound::SampleFormat::Float {
                                writer.write_sample(sample).unwrap();
                            } else {
                                let full = 2f64.powi(i32::from(bits) - 1);
                                let value = (f64::from(sample) * full).round() as i32;
                                writer.write_sample(value).unwrap();
                            }
                        }
                    }
                    writer.finalize().unwrap();
                    assert_is_tone(&path);
                }
            }
        }
    }

    #[test]
    fn a_written_wav_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wav");
        let samples = [0.0, 0.5, -1.0, 1.0, -3.0];
        write_wav(&path, &samples, 16_000).unwrap();
        let read = load(&path, 16_000).unwrap();
        for (read, sample) in read.iter().zip(samples) {
            assert!((read - sample.clamp(-1.0, 1.0)).abs() < 1e-4);
        }
        assert_eq!(read.len(), samples.len());
    }

    #[test]
    fn what_is_no_recording_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wav");
        fs::write(&path, b"").unwrap();
        assert!(message(&path).contains("0 bytes"));
        fs::write(&path, b"Dear reader, this is text").unwrap();
        assert!(message(&path).contains("\"Dear rea\""));
        fs::write(&path, [0x89, b'P']).unwrap();
        assert!(message(&path).contains("89 50"));
        fs::remove_file(&path).unwrap();
        assert!(message(&path).contains("could not be read"));
    }

    #[test]
    fn a_recording_cut_short_is_told_from_a_short_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for whole in [
            Path::new(FIXTURES).join("tone.flac"),
            Path::new(FIXTURES).join("tone.ogg"),
            Path::new(FIXTURES).join("tone.mp3"),
        ] {
            let bytes = fs::read(&whole).unwrap();
            for kept in [bytes.len() / 2, bytes.len() * 3 / 4, bytes.len() - 40] {
                fs::write(&path, &bytes[..kept]).unwrap();
                let message = message(&path);
                assert!(
                    message.contains("cut short"),
                    "{}: {message}",
                    whole.display()
                );
            }
        }
    }

    #[test]
    fn damaged_files_give_errors_and_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for name in ["tone.flac", "tone.ogg", "tone.mp3"] {
            let bytes = fs::read(Path::new(FIXTURES).join(name)).unwrap();
            for place in (0..bytes.len()).step_by(41) {
                let mut damaged = bytes.clone();
                damaged[place] ^= 0x55;
                fs::write(&path, &damaged).unwrap();
                if let Ok(samples) = load(&path, 16_000) {
                    assert!(samples.iter().all(|sample| sample.is_finite()));
                }
            }
        }
    }

    /// A WAV of two float samples, its fields at the offsets of the canonical header.
    fn float_wav(path: &Path, samples: &[f32], rate: u32) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for &sample in samples {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn impossible_headers_and_samples_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wav");
        let mut bytes = float_wav(&path, &[0.0, 0.5], 16_000);
        bytes[22] = 0;
        fs::write(&path, &bytes).unwrap();
        assert!(message(&path).contains("0 channels"));
        float_wav(&path, &[0.0; 8], 999);
        assert!(message(&path).contains("999 Hz; expected 1000 to 768000 Hz"));
        float_wav(&path, &[0.0; 8], 768_001);
        assert!(message(&path).contains("768001 Hz"));
        float_wav(&path, &[0.0, f32::NAN], 16_000);
        assert!(message(&path).contains("sample 1 is NaN"));
        float_wav(&path, &[32_767.0], 16_000);
        assert!(message(&path).contains("sample 0 is 32767"));
        float_wav(&path, &[], 16_000);
        assert!(message(&path).contains("0 samples"));
    }
}
