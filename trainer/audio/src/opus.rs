//! Decodes Opus packets of one or two channels, as RFC 7845 says.

use opus_decoder::{OpusDecoder, OpusError};

/// Rate that Opus is decoded at, Hz.
pub(super) const RATE: u32 = 48_000;

/// Most frames in a packet: 120 ms.
const PACKET: usize = 5760;

/// Decodes the packets of one track.
pub(super) struct Opus {
    decoder: OpusDecoder,
    channels: usize,
    /// Frames at the start that only fill the decoder.
    to_skip: usize,
    /// Factor that the header asks for.
    gain: f32,
    /// Room for a packet.
    frames: Vec<f32>,
}

impl Opus {
    /// Prepares for the stream that `header` describes: an identification header (RFC 7845, section
    /// 5.1), its numbers big-endian in MPEG-4. Without one, a stream of `channels` channels is assumed.
    ///
    /// # Errors
    /// If the stream has more than two channels.
    pub fn new(
        header: Option<&[u8]>,
        big_endian: bool,
        channels: usize,
    ) -> Result<Self, OpusError> {
        let number = |bytes: [u8; 2]| match big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        };
        let (mut channels, mut to_skip, mut gain) = (channels, 0, 1.0);
        if let Some(header) = header.filter(|header| header.len() >= 19) {
            channels = header[9].into();
            to_skip = number([header[10], header[11]]).into();
            let decibels = f32::from(number([header[16], header[17]]).cast_signed()) / 256.0;
            gain = 10f32.powf(decibels / 20.0);
        }
        Ok(Self {
            decoder: OpusDecoder::new(RATE, channels)?,
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
        // An empty packet would make the decoder invent sound.
        let frames = match packet {
            [] => 0,
            _ => self.decoder.decode_float(packet, &mut self.frames, false)?,
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
