//! Tests of the reader of WAV, each on files that it makes itself.

use super::super::{AudioError, load};
use proptest::prelude::*;
use std::fs;

const RATE: u32 = 16_000;

/// A chunk: its name, its length as stated and its contents.
fn chunk(name: &[u8], stated: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(stated.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A chunk that states its length, and its byte of padding if that is odd.
fn whole(name: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = chunk(name, body.len() as u32, body);
    if body.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// Contents of a `fmt ` chunk of 16 bytes.
fn format(tag: u16, channels: u16, frame: u16, bits: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((RATE * u32::from(frame)).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes
}

/// Contents of an extensible `fmt ` chunk, of 40 bytes.
fn extensible(tag: u16, channels: u16, frame: u16, bits: u16, valid: u16) -> Vec<u8> {
    let mut bytes = format(0xfffe, channels, frame, bits);
    bytes.extend(22u16.to_le_bytes());
    bytes.extend(valid.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(tag.to_le_bytes());
    bytes.extend(super::header::TAG_IDENTIFIER);
    bytes
}

/// A file of the chunks given; `stated` is its length as stated.
fn file(magic: &[u8], stated: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = chunk(magic, stated, b"WAVE");
    bytes.extend(chunks.concat());
    bytes
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let length = chunks.iter().map(Vec::len).sum::<usize>() + 4;
    file(b"RIFF", length as u32, chunks)
}

/// Samples that need each of 16 bits.
const SAMPLES: [i16; 6] = [0, 1, -1, 12_345, i16::MIN, i16::MAX];

fn pcm() -> Vec<u8> {
    SAMPLES.iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn pcm_format() -> Vec<u8> {
    whole(b"fmt ", &format(1, 1, 2, 16))
}

fn read(bytes: &[u8]) -> Result<Vec<f32>, AudioError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.wav");
    fs::write(&path, bytes).unwrap();
    load(&path, RATE)
}

/// Reads a file whose samples are [`SAMPLES`], give or take `tolerance`.
#[track_caller]
fn assert_samples(name: &str, bytes: &[u8], tolerance: f32) {
    let samples = read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(samples.len(), SAMPLES.len(), "{name}");
    for (found, expected) in samples.iter().zip(SAMPLES) {
        let expected = f32::from(expected) / 32_768.0;
        assert!(
            (found - expected).abs() <= tolerance,
            "{name}: {found}, expected {expected}"
        );
    }
}

#[test]
fn every_form_of_a_sample_is_read() {
    let wide = |shift: u32, bytes: usize| -> Vec<u8> {
        let samples = SAMPLES.iter();
        let samples = samples.map(|&s| (i64::from(s) << shift).to_le_bytes());
        samples.flat_map(|s| s[..bytes].to_vec()).collect()
    };
    let half_junk = |shift: u32| -> Vec<u8> {
        let samples = SAMPLES.iter();
        samples
            .flat_map(|&s| (i32::from(s) << shift | 0x5a).to_le_bytes())
            .collect()
    };
    let float32 = SAMPLES.iter().map(|&s| f32::from(s) / 32_768.0);
    let float32: Vec<u8> = float32.flat_map(f32::to_le_bytes).collect();
    let float64 = SAMPLES.iter().map(|&s| f64::from(s) / 32_768.0);
    let float64: Vec<u8> = float64.flat_map(f64::to_le_bytes).collect();
    let bytes8: Vec<u8> = SAMPLES.iter().map(|&s| ((s >> 8) + 128) as u8).collect();
    let twelve: Vec<u8> = SAMPLES
        .iter()
        .flat_map(|&s| (s & !15).to_le_bytes())
        .collect();
    let exact = 0.0;
    let cases: Vec<(&str, Vec<u8>, Vec<u8>, f32)> = vec![
        ("8 bits", format(1, 1, 1, 8), bytes8, 1.0 / 128.0),
        ("16 bits", format(1, 1, 2, 16), pcm(), exact),
        ("24 bits", format(1, 1, 3, 24), wide(8, 3), exact),
        ("32 bits", format(1, 1, 4, 32), wide(16, 4), exact),
        ("64 bits", format(1, 1, 8, 64), wide(48, 8), exact),
        ("24 in 32", extensible(1, 1, 4, 32, 24), wide(16, 4), exact),
        ("24 in 32, plain", format(1, 1, 4, 24), wide(16, 4), exact),
        ("20 in 24", extensible(1, 1, 3, 24, 20), wide(8, 3), exact),
        (
            "20 in 32 with junk",
            extensible(1, 1, 4, 32, 20),
            half_junk(16),
            exact,
        ),
        (
            "12 in 16",
            extensible(1, 1, 2, 16, 12),
            twelve.clone(),
            16.0 / 32_768.0,
        ),
        (
            "12 in 16, plain",
            format(1, 1, 2, 12),
            twelve,
            16.0 / 32_768.0,
        ),
        ("no valid bits", extensible(1, 1, 2, 16, 0), pcm(), exact),
        ("frame of 0", format(1, 1, 0, 16), pcm(), exact),
        ("float", format(3, 1, 4, 32), float32.clone(), exact),
        (
            "float, extensible",
            extensible(3, 1, 4, 32, 32),
            float32,
            exact,
        ),
        ("double", format(3, 1, 8, 64), float64.clone(), exact),
        (
            "double, extensible",
            extensible(3, 1, 8, 64, 64),
            float64,
            exact,
        ),
    ];
    for (name, format, data, tolerance) in cases {
        let bytes = riff(&[whole(b"fmt ", &format), whole(b"data", &data)]);
        assert_samples(name, &bytes, tolerance);
    }
    for (tag, silence) in [(6, 0xd5), (7, 0xff)] {
        let format = whole(b"fmt ", &format(tag, 1, 1, 8));
        let samples = read(&riff(&[format, whole(b"data", &[silence; 4])])).unwrap();
        assert!(samples.iter().all(|sample| sample.abs() < 0.001), "{tag}");
    }
}

#[test]
fn the_chunk_of_the_format_may_have_any_length() {
    for tag in [1, 3] {
        let (frame, bits) = if tag == 1 { (2, 16) } else { (4, 32) };
        let data: Vec<u8> = match tag {
            1 => pcm(),
            _ => SAMPLES
                .iter()
                .flat_map(|&s| (f32::from(s) / 32_768.0).to_le_bytes())
                .collect(),
        };
        for length in [16, 17, 18, 20, 24, 28, 40, 48, 1000] {
            let mut format = format(tag, 1, frame, bits);
            // What follows the fields is not looked at.
            format.resize(length, 0x7f);
            let bytes = riff(&[whole(b"fmt ", &format), whole(b"data", &data)]);
            assert_samples(&format!("tag {tag}, {length} bytes"), &bytes, 0.0);
        }
    }
    let short = riff(&[
        whole(b"fmt ", &format(1, 1, 2, 16)[..12]),
        whole(b"data", &pcm()),
    ]);
    assert!(read(&short).unwrap_err().to_string().contains("12 bytes"));
}

#[test]
fn chunks_around_the_samples_are_passed_over() {
    let data = || whole(b"data", &pcm());
    let odd = chunk(b"bext", 5, b"odd..");
    let cases = [
        (
            "after the format",
            vec![pcm_format(), whole(b"LIST", b"even"), data()],
        ),
        (
            "odd, padded",
            vec![pcm_format(), whole(b"bext", b"odd.."), data()],
        ),
        (
            "odd, without padding",
            vec![pcm_format(), odd.clone(), data()],
        ),
        (
            "odd, padded with another byte",
            vec![pcm_format(), odd, b"!".to_vec(), data()],
        ),
        (
            "before the format",
            vec![whole(b"JUNK", &[0; 28]), pcm_format(), data()],
        ),
        (
            "behind the samples",
            vec![pcm_format(), data(), whole(b"LIST", b"tags")],
        ),
        ("the format behind the samples", vec![data(), pcm_format()]),
        (
            "empty",
            vec![
                whole(b"fact", b""),
                pcm_format(),
                whole(b"PAD ", b""),
                data(),
            ],
        ),
    ];
    for (name, chunks) in cases {
        assert_samples(name, &riff(&chunks), 0.0);
    }
}

#[test]
fn a_length_that_cannot_be_right_means_the_rest_of_the_file() {
    let there = 2 * SAMPLES.len() as u32;
    for riff_length in [0, 36, u32::MAX, 0x7fff_f024] {
        for length in [
            0,
            u32::MAX,
            u32::MAX - 36,
            0x7fff_f000,
            0x8000_0000,
            there + 2,
        ] {
            let chunks = [pcm_format(), chunk(b"data", length, &pcm())];
            let bytes = file(b"RIFF", riff_length, &chunks);
            assert_samples(&format!("{length:x} in {riff_length:x}"), &bytes, 0.0);
        }
    }
    // A part of a frame at the end is dropped.
    for extra in 1..4 {
        let mut data: Vec<u8> = pcm().chunks(2).flat_map(|s| [s, s].concat()).collect();
        data.extend(&[0x55; 3][..extra]);
        for length in [0, u32::MAX, data.len() as u32] {
            let stereo = whole(b"fmt ", &format(1, 2, 4, 16));
            let bytes = file(b"RIFF", 0, &[stereo, chunk(b"data", length, &data)]);
            assert_samples(&format!("{extra} odd bytes, {length:x}"), &bytes, 0.0);
        }
    }
    // No samples are there, only tags.
    for chunks in [
        vec![pcm_format(), whole(b"data", b"")],
        vec![pcm_format(), whole(b"data", b""), whole(b"LIST", b"tags")],
        vec![pcm_format(), whole(b"data", b"x")],
    ] {
        let error = read(&riff(&chunks)).unwrap_err();
        assert!(matches!(error, AudioError::NoSamples { .. }), "{error}");
    }
}

#[test]
fn long_files_state_their_length_elsewhere() {
    let ds64 = |length: u64| {
        let mut body = (length + 100).to_le_bytes().to_vec();
        body.extend(length.to_le_bytes());
        body.extend([0; 12]);
        whole(b"ds64", &body)
    };
    let there = 2 * SAMPLES.len() as u64;
    for magic in [b"RF64", b"BW64"] {
        for length in [there, 0, u64::MAX, 1 << 40] {
            let chunks = [ds64(length), pcm_format(), chunk(b"data", u32::MAX, &pcm())];
            assert_samples(&format!("{length:x}"), &file(magic, u32::MAX, &chunks), 0.0);
        }
        // A length of 64 bits is minded.
        let chunks = [
            ds64(there),
            pcm_format(),
            chunk(b"data", u32::MAX, &pcm()),
            whole(b"LIST", b"tags"),
        ];
        assert_samples("tags", &file(magic, u32::MAX, &chunks), 0.0);
    }
}

/// Files of over 4 GB that take no room on the disk.
#[cfg(unix)]
#[test]
fn a_length_of_32_bits_that_overflowed_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.wav");
    let data = (1u64 << 32) + 8;
    let bytes = riff(&[pcm_format(), chunk(b"data", 8, b"")]);
    fs::write(&path, &bytes).unwrap();
    let sparse = fs::OpenOptions::new().write(true).open(&path).unwrap();
    sparse.set_len(bytes.len() as u64 + data).unwrap();
    let found = super::WavSource::open(&path, fs::File::open(&path).unwrap(), 0).unwrap();
    assert_eq!(found.left, data);
}

#[test]
fn what_is_not_read_is_named() {
    for (tag, bits, name) in [
        (
            0x0002,
            4,
            "Microsoft ADPCM inside WAV (format tag 0x0002, 4 bits",
        ),
        (0x0011, 4, "IMA ADPCM inside WAV (format tag 0x0011"),
        (0x0031, 0, "GSM 6.10"),
        (0x0055, 0, "MP3 inside WAV"),
        (0x1234, 16, "an unknown codec inside WAV (format tag 0x1234"),
        (3, 16, "floating point of unusual width"),
        (1, 0, "PCM of unusual width"),
    ] {
        let plain = format(tag, 1, 2, bits);
        let extended = extensible(tag, 1, 2, bits, bits);
        for format in [plain, extended] {
            let bytes = riff(&[whole(b"fmt ", &format), whole(b"data", &pcm())]);
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(error.contains("ffmpeg -i IN OUT.flac"), "{error}");
        }
    }
    let mut other = extensible(1, 1, 2, 16, 16);
    other[30] ^= 1;
    let bytes = riff(&[whole(b"fmt ", &other), whole(b"data", &pcm())]);
    assert!(read(&bytes).unwrap_err().to_string().contains("0100"));
    for (missing, chunks) in [
        ("\"data\"", vec![pcm_format()]),
        ("\"fmt \"", vec![whole(b"data", &pcm())]),
        ("\"fmt \"", vec![chunk(b"LIST", 1 << 30, b"long")]),
    ] {
        let error = read(&riff(&chunks)).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
        assert!(!error.contains("remove"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        head in prop::sample::select(vec![b"RIFF", b"RF64", b"BW64"]),
        chunks in prop::collection::vec(
            (
                prop::sample::select(vec![b"fmt ", b"data", b"ds64", b"LIST", b"\0\xff\0\0"]),
                prop::num::u32::ANY,
                0u32..64,
                any::<bool>(),
                prop::collection::vec(any::<u8>(), 0..64),
            ),
            0..6,
        ),
        tag in prop::sample::select(vec![1u16, 3, 6, 7, 0xfffe]),
    ) {
        let mut bytes = file(head, 0, &[]);
        for (name, far, near, is_near, mut body) in chunks {
            if name == b"fmt " && body.len() >= 2 {
                body[..2].copy_from_slice(&tag.to_le_bytes());
            }
            bytes.extend(chunk(name, if is_near { near } else { far }, &body));
        }
        if let Ok(samples) = read(&bytes) {
            prop_assert!(samples.iter().all(|sample| sample.is_finite()));
        }
    }
}
