//! Decodes Opus packets, as RFC 7845 says.

use opus_decoder::{OpusDecoder, OpusError, OpusMultistreamDecoder};

/// Rate that Opus is decoded at, Hz.
pub(super) const RATE: u32 = 48_000;

/// Most frames in a packet: 120 ms.
const PACKET: usize = 5760;

/// Decodes the packets of one track.
pub(super) struct Opus {
    decoder: Decoder,
    channels: usize,
    /// Frames at the start that only fill the decoder.
    to_skip: usize,
    /// Factor that the header asks for.
    gain: f32,
    /// Room for a packet.
    frames: Vec<f32>,
}

enum Decoder {
    /// One or two channels.
    Single(Box<OpusDecoder>),
    Several(OpusMultistreamDecoder),
}

impl Opus {
    /// Prepares for the stream that `header` describes: an identification header (RFC 7845, section
    /// 5.1), its numbers big-endian in MPEG-4. Without one, a stream of `channels` channels is assumed.
    ///
    /// # Errors
    /// If the header is not valid.
    pub fn new(
        header: Option<&[u8]>,
        big_endian: bool,
        channels: usize,
    ) -> Result<Self, OpusError> {
        let number = |bytes: [u8; 2]| match big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        };
        let header = header.filter(|header| header.len() >= 19);
        let (mut channels, mut to_skip, mut gain, mut mapping) = (channels, 0, 1.0, None);
        if let Some(header) = header {
            channels = header[9].into();
            to_skip = number([header[10], header[11]]).into();
            let decibels = f32::from(number([header[16], header[17]]).cast_signed()) / 256.0;
            gain = 10f32.powf(decibels / 20.0);
            mapping = (header[18] != 0).then(|| header.get(19..)).flatten();
        }
        let decoder = match mapping {
            None => Decoder::Single(Box::new(OpusDecoder::new(RATE, channels)?)),
            Some([streams, coupled, mapping @ ..]) => {
                let mapping = mapping
                    .get(..channels)
                    .ok_or(OpusError::InvalidArgument("mapping"))?;
                let (streams, coupled) = (usize::from(*streams), usize::from(*coupled));
                let several =
                    OpusMultistreamDecoder::new(RATE, channels, streams, coupled, mapping)?;
                Decoder::Several(several)
            }
            Some(_) => return Err(OpusError::InvalidArgument("mapping")),
        };
        Ok(Self {
            decoder,
            channels,
            to_skip,
            gain,
            frames: vec![0.0; PACKET * channels],
        })
    }

    /// Returns the number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes a packet and leaves its last `trimmed` frames out.
    ///
    /// # Errors
    /// If the packet is damaged.
    pub fn decode(&mut self, packet: &[u8], trimmed: usize) -> Result<&[f32], OpusError> {
        let room = &mut self.frames[..];
        // An empty packet would make the decoder invent sound.
        let frames = match &mut self.decoder {
            _ if packet.is_empty() => 0,
            Decoder::Single(decoder) => decoder.decode_float(packet, room, false)?,
            Decoder::Several(decoder) => decoder.decode_float(packet, room, false)?,
        };
        let skipped = self.to_skip.min(frames);
        self.to_skip -= skipped;
        let end = frames.saturating_sub(trimmed).max(skipped);
        let samples = &mut self.frames[skipped * self.channels..end * self.channels];
        for sample in &mut *samples {
            *sample *= self.gain;
        }
        Ok(samples)
    }
}
