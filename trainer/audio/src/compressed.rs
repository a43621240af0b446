//! Reads FLAC, Ogg Vorbis and MP3 through symphonia.

use super::container::Container;
use super::error::AudioError;
use super::interleaved::Interleaved;
use super::ogg_pages;
use std::fs::File;
use std::io::ErrorKind::UnexpectedEof;
use std::path::Path;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Largest share of packets that an MP3 stream may lose and still count as read: its first packets
/// often refer to bytes before the start of the file.
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
    let mut stream = Stream::open(path, file, container)?;
    let decoded = stream.decode()?;
    decoded.complete(path, stream.promised)
}

/// The audio track of a file, opened.
struct Stream<'p> {
    path: &'p Path,
    container: Container,
    packets: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    /// Number of the track among those of the file.
    track: u32,
    /// Frames that the header promises, if it says.
    promised: Option<u64>,
}

/// The samples of a stream, and how its decoding went.
struct Decoded {
    audio: Interleaved,
    packets: u32,
    /// Packets that did not decode and were passed over.
    lost: u32,
    /// Whether the file ends inside a packet.
    cut: bool,
}

impl<'p> Stream<'p> {
    fn open(path: &'p Path, file: File, container: Container) -> Result<Self, AudioError> {
        let source = MediaSourceStream::new(Box::new(file), Default::default());
        // Without a hint: the name of the file must not matter.
        let packets = symphonia::default::get_probe()
            .probe(
                &Hint::new(),
                source,
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
        let track = packets
            .default_track(TrackType::Audio)
            .ok_or_else(|| unsupported(path, "a container without an audio track"))?;
        let other_codec = || unsupported(path, "a codec other than FLAC, Vorbis and MP3");
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or_else(other_codec)?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|_| other_codec())?;
        let (track, promised) = (track.id, track.num_frames);
        Ok(Self {
            path,
            container,
            packets,
            decoder,
            track,
            promised,
        })
    }

    /// Decodes all packets of the track.
    fn decode(&mut self) -> Result<Decoded, AudioError> {
        let mut decoded = Decoded {
            audio: Interleaved {
                samples: Vec::new(),
                channels: 0,
                rate: 0,
            },
            packets: 0,
            lost: 0,
            cut: false,
        };
        let mut samples = Vec::new();
        loop {
            let packet = match self.packets.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(SymphoniaError::IoError(error)) if error.kind() == UnexpectedEof => {
                    decoded.cut = true;
                    break;
                }
                Err(error) => return Err(stream_error(self.path, error)),
            };
            if packet.track_id != self.track {
                continue;
            }
            decoded.packets += 1;
            let buffer = match self.decoder.decode(&packet) {
                Ok(buffer) => buffer,
                // The first packets of an MP3 may need bytes that were cut off before the start.
                Err(SymphoniaError::DecodeError(_)) if self.container == Container::Mp3 => {
                    decoded.lost += 1;
                    continue;
                }
                Err(error) => return Err(stream_error(self.path, error)),
            };
            if buffer.frames() == 0 {
                continue;
            }
            let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
            let audio = &mut decoded.audio;
            if audio.samples.is_empty() {
                (audio.rate, audio.channels) = (rate, channels);
            } else if (rate, channels) != (audio.rate, audio.channels) {
                let found = format!(
                    "a stream that changes from {} channels at {} Hz to {channels} at {rate} Hz midway",
                    audio.channels, audio.rate
                );
                return Err(unsupported(self.path, &found));
            }
            buffer.copy_to_vec_interleaved(&mut samples);
            audio.samples.extend_from_slice(&samples);
        }
        Ok(decoded)
    }
}

impl Decoded {
    /// Gives the samples if all are there, as far as the header and the packets tell.
    fn complete(self, path: &Path, promised: Option<u64>) -> Result<Interleaved, AudioError> {
        let (lost, packets) = (self.lost, self.packets);
        // One lost packet is normal, however short the file is.
        if lost as f32 > MP3_LOST_PACKETS * packets as f32 && lost > 1 {
            return Err(AudioError::Corrupt {
                path: path.to_owned(),
                found: format!("{lost} of {packets} packets could not be decoded"),
            });
        }
        let frames = (self.audio.samples.len() / self.audio.channels.max(1)) as u64;
        // The header of an MP3 also counts the frames of packets that did not decode.
        let frames_lost = u64::from(lost) * MP3_PACKET;
        match promised {
            Some(promised) if frames + frames_lost < promised => Err(AudioError::Truncated {
                path: path.to_owned(),
                found: format!("{frames} frames"),
                expected: format!("the {promised} that its header promises"),
            }),
            _ if self.cut => Err(AudioError::Truncated {
                path: path.to_owned(),
                found: format!("the stream stops in a packet after {frames} frames"),
                expected: "a complete last packet".to_owned(),
            }),
            _ if frames == 0 => Err(AudioError::NoSamples {
                path: path.to_owned(),
            }),
            _ => Ok(self.audio),
        }
    }
}

fn unsupported(path: &Path, found: &str) -> AudioError {
    AudioError::Unsupported {
        path: path.to_owned(),
        found: found.to_owned(),
    }
}

/// Translates an error of symphonia.
fn stream_error(path: &Path, error: SymphoniaError) -> AudioError {
    let owned = path.to_owned();
    match error {
        SymphoniaError::IoError(error) if error.kind() == UnexpectedEof => AudioError::Truncated {
            path: owned,
            found: "the file ends inside its header".to_owned(),
            expected: "a header and packets after it".to_owned(),
        },
        SymphoniaError::IoError(source) => AudioError::Io {
            path: owned,
            action: "read",
            source,
        },
        SymphoniaError::Unsupported(found) => unsupported(path, found),
        SymphoniaError::ResetRequired => {
            unsupported(path, "a chain of several streams in one file")
        }
        other => AudioError::Corrupt {
            path: owned,
            found: other.to_string(),
        },
    }
}
