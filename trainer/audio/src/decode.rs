//! Loads a recording as mono samples at the rate asked for: finds its format, decodes, mixes down and
//! resamples.

use super::container::Container;
use super::error::AudioError;
use super::interleaved::Interleaved;
use super::resample::resample;
use super::{compressed, wav};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Rates a recording may have, Hz.
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Largest magnitude of a sample (18 dB above full scale). Float files may exceed 1 a little; larger
/// values are integers stored as floats, or damage.
const MAX_MAGNITUDE: f32 = 8.0;

/// Reads the recording at `path` as mono samples at `sample_rate` Hz, full scale at 1.
///
/// WAV, FLAC, Ogg Vorbis and MP3 are told apart by their content, whatever the file is called.
/// Channels are averaged. An MP3 without a length in its header cannot be told from one cut short.
///
/// # Errors
/// [`AudioError`] with the path: not audio, cut short, damaged, empty, of a rate outside 8 to
/// 192 kHz, or with samples that are no numbers.
pub fn load(path: &Path, sample_rate: u32) -> Result<Vec<f32>, AudioError> {
    let io = |source| AudioError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let mut start = Vec::with_capacity(16);
    (&mut file).take(16).read_to_end(&mut start).map_err(io)?;
    if start.is_empty() {
        return Err(AudioError::EmptyFile {
            path: path.to_owned(),
        });
    }
    let container = Container::of(&start).ok_or_else(|| AudioError::NotAudio {
        path: path.to_owned(),
        found: describe_start(&start),
    })?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let audio = match container {
        Container::Wav => wav::read(path, file)?,
        _ => compressed::read(path, file, container)?,
    };
    check(path, &audio)?;
    Ok(resample(
        &downmix(audio.samples, audio.channels),
        audio.rate,
        sample_rate,
    ))
}

/// Shows the first bytes of a file: as text if they are text, otherwise in hexadecimal.
pub fn describe_start(start: &[u8]) -> String {
    let shown = &start[..start.len().min(8)];
    if shown.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        format!("\"{}\"", String::from_utf8_lossy(shown))
    } else {
        let hex: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("the bytes {}", hex.join(" "))
    }
}

fn check(path: &Path, audio: &Interleaved) -> Result<(), AudioError> {
    let path = || path.to_owned();
    if audio.channels == 0 {
        return Err(AudioError::ZeroChannels { path: path() });
    }
    if !SAMPLE_RATES.contains(&audio.rate) {
        return Err(AudioError::SampleRate {
            path: path(),
            found: audio.rate,
        });
    }
    if audio.samples.len() < audio.channels {
        return Err(AudioError::NoSamples { path: path() });
    }
    // Written so that a NaN fails too.
    let sound = |value: &f32| value.abs() <= MAX_MAGNITUDE;
    match audio.samples.iter().position(|value| !sound(value)) {
        Some(index) => Err(AudioError::SampleValue {
            path: path(),
            index,
            value: audio.samples[index],
        }),
        None => Ok(()),
    }
}

/// Averages the channels of each frame.
fn downmix(samples: Vec<f32>, channels: usize) -> Vec<f32> {
    if channels == 1 {
        return samples;
    }
    let gain = 1.0 / channels as f32;
    samples
        .chunks_exact(channels)
        .map(|frame| frame.iter().sum::<f32>() * gain)
        .collect()
}

#[cfg(test)]
mod tests {
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
                for sample_rate in [8_000, 16_000, 44_100, 192_000] {
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
        super::wav::write_wav(&path, &samples, 16_000).unwrap();
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
        let wav = dir.path().join("whole.wav");
        super::wav::write_wav(&wav, &tone(16_000), 16_000).unwrap();
        for whole in [
            Path::new(FIXTURES).join("tone.flac"),
            Path::new(FIXTURES).join("tone.ogg"),
            Path::new(FIXTURES).join("tone.mp3"),
            wav,
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
        float_wav(&path, &[0.0; 8], 4_000);
        assert!(message(&path).contains("4000 Hz; expected 8000 to 192000 Hz"));
        float_wav(&path, &[0.0; 8], 384_000);
        assert!(message(&path).contains("384000 Hz"));
        float_wav(&path, &[0.0, f32::NAN], 16_000);
        assert!(message(&path).contains("sample 1 is NaN"));
        float_wav(&path, &[32_767.0], 16_000);
        assert!(message(&path).contains("sample 0 is 32767"));
        float_wav(&path, &[], 16_000);
        assert!(message(&path).contains("0 samples"));
    }
}
