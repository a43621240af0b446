//! One recording from disk to mono samples at the rate asked for: format by content, decoding,
//! downmix, resampling.

use super::error::AudioError;
use super::{ogg_pages, resample, wav};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Rates a recording may have, Hz.
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Largest magnitude taken for a sample (18 dB above full scale): float files may exceed 1 a
/// little, values as large as this come from integers stored as floats or from damage.
const MAX_MAGNITUDE: f32 = 8.0;

/// An MP3 stream may lose this share of its packets and still count as read: its first ones often
/// refer to bytes before the start of the file.
const MP3_LOST_PACKETS: f32 = 0.1;

/// Samples of all channels, as they lie in the file.
pub(super) struct Interleaved {
    /// Channel after channel for each frame.
    pub samples: Vec<f32>,
    pub channels: usize,
    pub rate: u32,
}

/// Formats told apart by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Flac,
    Ogg,
    Mp3,
}

impl Container {
    /// The container that begins with `bytes`; `None` if it is none that is read here.
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
        found: describe(&start),
    })?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let audio = match container {
        Container::Wav => wav::read(path, file)?,
        _ => read_compressed(path, file, container)?,
    };
    check(path, &audio)?;
    Ok(resample(
        &downmix(audio.samples, audio.channels),
        audio.rate,
        sample_rate,
    ))
}

/// The first bytes as text where they are, as hexadecimal where not.
fn describe(start: &[u8]) -> String {
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

/// The mean of the channels of each frame.
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

/// FLAC, Ogg Vorbis and MP3.
fn read_compressed(
    path: &Path,
    mut file: File,
    container: Container,
) -> Result<Interleaved, AudioError> {
    if container == Container::Ogg {
        ogg_pages::check_complete(path, &mut file)?;
    }
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    // No hint: what the file is called must not matter.
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|error| stream_error(path, error))?;
    let unsupported = |found: &str| AudioError::Unsupported {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| unsupported("a container without an audio track"))?;
    let (id, promised) = (track.id, track.num_frames);
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| unsupported("a codec other than FLAC, Vorbis and MP3"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|_| unsupported("a codec other than FLAC, Vorbis and MP3"))?;

    let mut audio = Interleaved {
        samples: Vec::new(),
        channels: 0,
        rate: 0,
    };
    let mut packet_samples = Vec::new();
    let (mut packets, mut lost) = (0u32, 0u32);
    let mut cut = false;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(SymphoniaError::IoError(error))
                if error.kind() == std::io::ErrorKind::UnexpectedEof =>
            {
                cut = true;
                break;
            }
            Err(error) => return Err(stream_error(path, error)),
        };
        if packet.track_id != id {
            continue;
        }
        packets += 1;
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(SymphoniaError::DecodeError(_)) if container == Container::Mp3 => {
                lost += 1;
                continue;
            }
            Err(error) => return Err(stream_error(path, error)),
        };
        if buffer.frames() == 0 {
            continue;
        }
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        if audio.samples.is_empty() {
            (audio.rate, audio.channels) = (rate, channels);
        } else if (rate, channels) != (audio.rate, audio.channels) {
            return Err(unsupported(&format!(
                "a stream that changes from {} channels at {} Hz to {channels} at {rate} Hz midway",
                audio.channels, audio.rate
            )));
        }
        buffer.copy_to_vec_interleaved(&mut packet_samples);
        audio.samples.extend_from_slice(&packet_samples);
    }

    if lost as f32 > MP3_LOST_PACKETS * packets as f32 && lost > 1 {
        return Err(AudioError::Corrupt {
            path: path.to_owned(),
            found: format!("{lost} of {packets} packets could not be decoded"),
        });
    }
    if audio.samples.is_empty() {
        return Err(AudioError::NoSamples {
            path: path.to_owned(),
        });
    }
    let frames = (audio.samples.len() / audio.channels) as u64;
    // An MP3's count includes packets that are lost at its start.
    let tolerated = if container == Container::Mp3 {
        4 * 1152
    } else {
        0
    };
    match promised {
        Some(promised) if frames + tolerated < promised => Err(AudioError::Truncated {
            path: path.to_owned(),
            found: format!("{frames} frames"),
            expected: format!("the {promised} that its header promises"),
        }),
        _ if cut => Err(AudioError::Truncated {
            path: path.to_owned(),
            found: format!("the stream stops in a packet after {frames} frames"),
            expected: "a complete last packet".to_owned(),
        }),
        _ => Ok(audio),
    }
}

/// What symphonia met, as an error of this module.
fn stream_error(path: &Path, error: SymphoniaError) -> AudioError {
    let path = path.to_owned();
    match error {
        SymphoniaError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            AudioError::Truncated {
                path,
                found: "the file ends inside its header".to_owned(),
                expected: "a header and packets after it".to_owned(),
            }
        }
        SymphoniaError::IoError(source) => AudioError::Io {
            path,
            action: "read",
            source,
        },
        SymphoniaError::Unsupported(found) => AudioError::Unsupported {
            path,
            found: found.to_owned(),
        },
        SymphoniaError::ResetRequired => AudioError::Unsupported {
            path,
            found: "a chain of several streams in one file".to_owned(),
        },
        other => AudioError::Corrupt {
            path,
            found: other.to_string(),
        },
    }
}
