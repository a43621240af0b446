//! Reads compressed recordings through symphonia, and Opus through a decoder of its own.

use super::container::Container;
use super::error::AudioError;
use super::flac;
use super::guard::guarded;
use super::interleaved::{Layout, Source};
#[cfg(feature = "containers")]
use super::opus::{self, Opus};
use super::region::{Region, end_before_tags};
use super::{codec, ogg_pages};
use std::fs::File;
use std::io::ErrorKind::UnexpectedEof;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
#[cfg(feature = "containers")]
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

/// Largest share of packets that an MP3 stream may lose and still count as read: its first packets
/// often refer to bytes before the start of the file.
const MP3_LOST_PACKETS: f32 = 0.1;

/// Most frames in an MP3 packet.
const MP3_PACKET: u64 = 1152;

/// The audio track of a file.
pub(super) struct StreamSource {
    path: PathBuf,
    container: Container,
    packets: Box<dyn FormatReader>,
    decoder: Decoder,
    /// Number of the track among those of the file.
    track: u32,
    /// Frames that the header promises, if it says and can be trusted.
    promised: Option<u64>,
    layout: Layout,
    /// The samples of the first packet that has some.
    first: Vec<f32>,
    progress: Progress,
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    #[cfg(feature = "containers")]
    Opus(Box<Opus>),
}

/// How decoding goes.
#[derive(Debug, Default)]
struct Progress {
    packets: u32,
    /// Packets that did not decode and were passed over.
    lost: u32,
    frames: u64,
}

/// Result of looking for a packet.
enum Next {
    /// Samples were appended.
    Samples(Layout),
    /// The stream is over; it may end inside a packet.
    End { cut: bool },
}

impl StreamSource {
    /// Opens `file`, whose sound begins at byte `start`; `path` is for messages.
    pub fn open(
        path: &Path,
        mut file: File,
        container: Container,
        start: u64,
    ) -> Result<Self, AudioError> {
        let io = |error| AudioError::Io {
            path: path.to_owned(),
            action: "read",
            error,
        };
        if container == Container::Ogg {
            ogg_pages::check_complete(path, &mut file, start)?;
        }
        let end = match container {
            Container::Flac | Container::Adts => end_before_tags(&mut file, start),
            _ => file.seek(SeekFrom::End(0)),
        };
        let mut region = Region::new(file, start, end.map_err(io)?);
        region.seek(SeekFrom::Start(0)).map_err(io)?;
        if container == Container::Flac {
            flac::mend_block_lengths(&mut region).map_err(io)?;
        }
        let source = MediaSourceStream::new(Box::new(region), Default::default());
        // Without a hint: the name of the file must not matter.
        let probe = || {
            symphonia::default::get_probe().probe(
                &Hint::new(),
                source,
                FormatOptions::default(),
                MetadataOptions::default(),
            )
        };
        let packets =
            decoding(path, probe)?.map_err(|error| probe_error(path, container, error))?;
        let track = packets
            .default_track(TrackType::Audio)
            .ok_or_else(|| unsupported(path, format!("{} without sound", container.name())))?;
        let unread = |codec: &str| {
            let container = container.name();
            unsupported(path, format!("{codec} inside {container}"))
        };
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or_else(|| unread("an unknown codec"))?;
        let decoder = decoding(path, || decoder(parameters, container))?
            .ok_or_else(|| unread(&codec::name(parameters)))?;
        let promised = match container {
            // They count in units of their own, or frames that only fill the decoder.
            Container::Mp4 | Container::Matroska | Container::Adts | Container::Caf => None,
            _ if parameters.codec == CODEC_ID_OPUS => None,
            _ => track.num_frames,
        };
        let track = track.id;
        let mut source = Self {
            path: path.to_owned(),
            container,
            packets,
            decoder,
            track,
            promised,
            layout: Layout {
                channels: 0,
                rate: 0,
            },
            first: Vec::new(),
            progress: Progress::default(),
        };
        let mut first = Vec::new();
        match source.next(&mut first)? {
            Next::Samples(layout) => (source.layout, source.first) = (layout, first),
            Next::End { cut } => source.check_end(cut)?,
        }
        Ok(source)
    }

    /// Decodes packets until one gives samples, which are appended to `samples`.
    fn next(&mut self, samples: &mut Vec<f32>) -> Result<Next, AudioError> {
        loop {
            let packets = &mut self.packets;
            let packet = match decoding(&self.path, || packets.next_packet())? {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(Next::End { cut: false }),
                Err(SymphoniaError::IoError(error)) if error.kind() == UnexpectedEof => {
                    return Ok(Next::End { cut: true });
                }
                Err(error) => return Err(stream_error(&self.path, error)),
            };
            if packet.track_id != self.track {
                continue;
            }
            self.progress.packets += 1;
            let before = samples.len();
            let decoder = &mut self.decoder;
            let decoded = decoding(&self.path, || decoder.decode(&packet, samples))?;
            let layout = match decoded {
                Ok(layout) => layout,
                // The first packets of an MP3 may need bytes that were cut off before the start.
                Err(SymphoniaError::DecodeError(_)) if self.container == Container::Mp3 => {
                    self.progress.lost += 1;
                    continue;
                }
                Err(error) => return Err(stream_error(&self.path, error)),
            };
            let count = samples.len() - before;
            if count > 0 {
                self.progress.frames += (count / layout.channels) as u64;
                return Ok(Next::Samples(layout));
            }
        }
    }

    /// Checks at the end that all samples came, as far as the header and the packets tell.
    fn check_end(&self, cut: bool) -> Result<(), AudioError> {
        let path = || self.path.clone();
        let Progress {
            packets,
            lost,
            frames,
        } = self.progress;
        // One lost packet is normal, however short the file is.
        if lost as f32 > MP3_LOST_PACKETS * packets as f32 && lost > 1 {
            return Err(AudioError::Corrupt {
                path: path(),
                found: format!("{lost} of {packets} packets could not be decoded"),
            });
        }
        // The header of an MP3 also counts the frames of packets that did not decode.
        let frames_lost = u64::from(lost) * MP3_PACKET;
        match self.promised {
            Some(promised) if frames + frames_lost < promised => Err(AudioError::Truncated {
                path: path(),
                found: format!("{frames} frames"),
                expected: format!("the {promised} that its header promises"),
            }),
            _ if cut => Err(AudioError::Truncated {
                path: path(),
                found: format!("the stream stops in a packet after {frames} frames"),
                expected: "a complete last packet".to_owned(),
            }),
            _ if frames == 0 => Err(AudioError::NoSamples { path: path() }),
            _ => Ok(()),
        }
    }
}

impl Source for StreamSource {
    fn layout(&self) -> Layout {
        self.layout
    }

    fn read(&mut self, samples: &mut Vec<f32>) -> Result<bool, AudioError> {
        if !self.first.is_empty() {
            samples.append(&mut self.first);
            return Ok(true);
        }
        match self.next(samples)? {
            Next::Samples(layout) if layout != self.layout => {
                let Layout { channels, rate } = self.layout;
                let found = format!(
                    "a stream that changes from {channels} channels at {rate} Hz to {} at {} Hz midway",
                    layout.channels, layout.rate
                );
                Err(unsupported(&self.path, found))
            }
            Next::Samples(_) => Ok(true),
            Next::End { cut } => self.check_end(cut).map(|()| false),
        }
    }
}

impl Decoder {
    /// Appends the samples of a packet.
    fn decode(
        &mut self,
        packet: &Packet,
        samples: &mut Vec<f32>,
    ) -> Result<Layout, SymphoniaError> {
        match self {
            Self::Symphonia(decoder) => {
                let buffer = decoder.decode(packet)?;
                let mut frames = Vec::new();
                buffer.copy_to_vec_interleaved(&mut frames);
                samples.append(&mut frames);
                Ok(Layout {
                    channels: buffer.num_planes(),
                    rate: buffer.spec().rate(),
                })
            }
            #[cfg(feature = "containers")]
            Self::Opus(decoder) => {
                let trimmed = packet.trim_end.get() as usize;
                let frames = decoder.decode(&packet.data, trimmed);
                let frames = frames.map_err(|_| SymphoniaError::DecodeError("a packet of Opus"))?;
                samples.extend_from_slice(frames);
                Ok(Layout {
                    channels: decoder.channels(),
                    rate: opus::RATE,
                })
            }
        }
    }
}

/// Makes the decoder of a track, if there is one.
#[cfg_attr(
    not(feature = "containers"),
    expect(unused_variables, reason = "for Opus")
)]
fn decoder(parameters: &AudioCodecParameters, container: Container) -> Option<Decoder> {
    #[cfg(feature = "containers")]
    if parameters.codec == CODEC_ID_OPUS {
        let channels = parameters.channels.as_ref().map_or(2, Channels::count);
        let header = parameters.extra_data.as_deref();
        let opus = Opus::new(header, container == Container::Mp4, channels).ok()?;
        return Some(Decoder::Opus(Box::new(opus)));
    }
    let options = AudioDecoderOptions::default();
    let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options);
    decoder.ok().map(Decoder::Symphonia)
}

/// Runs a decoder. Should it panic, the file counts as damaged, and other files go on.
fn decoding<T>(path: &Path, run: impl FnOnce() -> T) -> Result<T, AudioError> {
    guarded(run).map_err(|panic| AudioError::Corrupt {
        path: path.to_owned(),
        found: format!("the decoder failed on bytes that no encoder writes ({panic})"),
    })
}

fn unsupported(path: &Path, found: String) -> AudioError {
    AudioError::Unsupported {
        path: path.to_owned(),
        found,
    }
}

/// Translates an error of opening a stream.
fn probe_error(path: &Path, container: Container, error: SymphoniaError) -> AudioError {
    match error {
        SymphoniaError::Unsupported(found) if found.contains("moov") => AudioError::Truncated {
            path: path.to_owned(),
            found: "MPEG-4 without the index \"moov\"".to_owned(),
            expected: "the index that a recorder writes last".to_owned(),
        },
        // The first bytes said which format it is, so what follows them is at fault.
        SymphoniaError::Unsupported(_) => AudioError::Corrupt {
            path: path.to_owned(),
            found: format!("it starts like {}, and no stream follows", container.name()),
        },
        error => stream_error(path, error),
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
        SymphoniaError::IoError(error) => AudioError::Io {
            path: owned,
            action: "read",
            error,
        },
        SymphoniaError::Unsupported(found) => unsupported(path, found.to_owned()),
        SymphoniaError::ResetRequired => {
            unsupported(path, "a chain of several streams in one file".to_owned())
        }
        other => AudioError::Corrupt {
            path: owned,
            found: other.to_string(),
        },
    }
}
