extern crate std;

use super::*;
use std::{vec, vec::Vec};

fn chunk(id: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

fn format(tag: u16, channels: u16, bits: u16) -> Vec<u8> {
    let block = channels * (bits / 8);
    let mut body = Vec::new();
    body.extend(tag.to_le_bytes());
    body.extend(channels.to_le_bytes());
    body.extend(16_000_u32.to_le_bytes());
    body.extend((16_000 * u32::from(block)).to_le_bytes());
    body.extend(block.to_le_bytes());
    body.extend(bits.to_le_bytes());
    body
}

fn wave(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((body.len() as u32 + 4).to_le_bytes());
    bytes.extend(b"WAVE");
    bytes.extend(body);
    bytes
}

fn pcm(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn read_all(file: &[u8], step: usize) -> Result<Vec<i16>, WavError<core::convert::Infallible>> {
    let mut reader = WavReader::open(file)?;
    let (mut all, mut buffer) = (Vec::new(), vec![0; step]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend(&buffer[..count]),
        }
    }
}

#[test]
fn any_chunk_size_gives_the_same_samples() {
    let samples: Vec<i16> = (0..501).map(|i| (i * 131 - 30_000) as i16).collect();
    let file = wave(&[
        chunk(*b"fmt ", &format(1, 1, 16)),
        chunk(*b"data", &pcm(&samples)),
    ]);
    for step in [1, 7, 256, 4096] {
        assert_eq!(read_all(&file, step).unwrap(), samples);
    }
}

#[test]
fn unknown_chunks_of_odd_length_are_skipped() {
    let file = wave(&[
        chunk(*b"LIST", &[7; 333]),
        chunk(*b"fmt ", &format(1, 1, 16)),
        chunk(*b"fact", &[1, 2, 3]),
        chunk(*b"data", &pcm(&[5, -6])),
        chunk(*b"id3 ", &[9; 20]),
    ]);
    assert_eq!(read_all(&file, 16).unwrap(), [5, -6]);
}

#[test]
fn channels_are_mixed_by_their_mean() {
    let body = pcm(&[100, -50, 40, i16::MAX, i16::MAX, i16::MAX, -1, 0, 0]);
    let file = wave(&[chunk(*b"fmt ", &format(1, 3, 16)), chunk(*b"data", &body)]);
    assert_eq!(read_all(&file, 2).unwrap(), [30, i16::MAX, 0]);
}

#[test]
fn extensible_format_is_pcm_by_its_sub_format() {
    let mut body = format(EXTENSIBLE, 1, 16);
    body.extend([22, 0, 16, 0, 4, 0, 0, 0]);
    body.extend(PCM.to_le_bytes());
    body.extend([0; 14]);
    let file = wave(&[chunk(*b"fmt ", &body), chunk(*b"data", &pcm(&[1, 2, 3]))]);
    assert_eq!(read_all(&file, 2).unwrap(), [1, 2, 3]);
    body[24] = 3;
    let file = wave(&[chunk(*b"fmt ", &body), chunk(*b"data", &pcm(&[1]))]);
    assert_eq!(read_all(&file, 2), Err(WavError::NotPcm(3)));
}

#[test]
fn every_fault_has_its_error() {
    let data = chunk(*b"data", &pcm(&[1, 2]));
    let with = |format: &[u8]| read_all(&wave(&[chunk(*b"fmt ", format), data.clone()]), 4);
    assert_eq!(read_all(b"OggS", 4), Err(WavError::NotWave));
    assert_eq!(read_all(&[], 4), Err(WavError::NotWave));
    assert_eq!(read_all(&wave(&[]), 4), Err(WavError::NoData));
    assert_eq!(
        read_all(&wave(std::slice::from_ref(&data)), 4),
        Err(WavError::NoFormat)
    );
    assert_eq!(with(&[0; 8]), Err(WavError::FormatLength(8)));
    assert_eq!(with(&format(3, 1, 16)), Err(WavError::NotPcm(3)));
    assert_eq!(with(&format(1, 1, 24)), Err(WavError::BitsPerSample(24)));
    assert_eq!(with(&format(1, 0, 16)), Err(WavError::NoChannels));
    let mut odd = format(1, 2, 16);
    odd[12] = 3;
    assert_eq!(with(&odd), Err(WavError::BlockAlign(3)));
}

/// A file cut anywhere gives an error, and never more samples than there were.
#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let whole = wave(&[
        chunk(*b"fmt ", &format(1, 1, 16)),
        chunk(*b"junk", &[1; 5]),
        chunk(*b"data", &pcm(&[1, 2, 3, 4])),
    ]);
    assert_eq!(read_all(&whole, 3).unwrap(), [1, 2, 3, 4]);
    for end in 0..whole.len() {
        assert!(read_all(&whole[..end], 3).is_err(), "cut at {end}");
    }
}
