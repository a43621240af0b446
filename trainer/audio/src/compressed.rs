//! FLAC, Ogg Vorbis and MP3 through symphonia.

use super::decode::{Container, Interleaved};
use super::error::AudioError;
use super::ogg_pages;
use std::fs::File;
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// An MP3 stream may lose this share of its packets and still count as read: its first ones often
/// refer to bytes before the start of the file.
const MP3_LOST_PACKETS: f32 = 0.1;

/// Most frames in an MP3 packet.
const MP3_PACKET: u64 = 1152;

/// Reads `file`, which stands at its start; `path` is for messages.
pub(super) fn read(
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
        .map_err(|error| match error {
            // The first bytes said which format it is, so what follows them is at fault.
            SymphoniaError::Unsupported(_) => AudioError::Corrupt {
                path: path.to_owned(),
                found: format!("it starts like {container:?}, and no stream follows"),
            },
            error => stream_error(path, error),
        })?;
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
    let frames = (audio.samples.len() / audio.channels.max(1)) as u64;
    // What could not be decoded at an MP3's start is in its count.
    let frames_lost = u64::from(lost) * MP3_PACKET;
    match promised {
        Some(promised) if frames + frames_lost < promised => Err(AudioError::Truncated {
            path: path.to_owned(),
            found: format!("{frames} frames"),
            expected: format!("the {promised} that its header promises"),
        }),
        _ if cut => Err(AudioError::Truncated {
            path: path.to_owned(),
            found: format!("the stream stops in a packet after {frames} frames"),
            expected: "a complete last packet".to_owned(),
        }),
        _ if frames == 0 => Err(AudioError::NoSamples {
            path: path.to_owned(),
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
