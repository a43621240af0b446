//! Tests of the formats that are read and named, and the tables of them in this crate's README.
//!
//! `MTSLVR_WRITE_TABLES=1 cargo test --release -p mtslvr-audio --lib formats` writes the tables anew.

use super::container::NAMED;
use super::{AudioError, Budget, DecodeCache, LabelledSet, Reader, load, write_wav};
use proptest::prelude::*;
use std::f32::consts::TAU;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use xtask::document::with_table;

const RATE: u32 = 16_000;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixtures")).join(name)
}

/// Files of the tone of the fixtures: container, codec, file, remark.
const COMPRESSED: [(&str, &str, &str, &str); 14] = [
    (
        "FLAC",
        "FLAC",
        "tone.flac",
        "tags in front and behind are passed over",
    ),
    ("Ogg", "Vorbis", "tone.ogg", ""),
    ("Ogg", "Opus", "tone.opus", "one or two channels"),
    ("Ogg", "FLAC", "tone-flac.oga", ""),
    ("MP3", "MPEG layer III", "tone.mp3", ""),
    (
        "MPEG-4 (`.m4a`, `.mp4`, `.mov`)",
        "AAC-LC",
        "tone.m4a",
        "an encoder's silence at the start is kept, 20 to 60 ms",
    ),
    (
        "MPEG-4 (`.m4a`, `.mp4`, `.mov`)",
        "ALAC",
        "tone-alac.m4a",
        "",
    ),
    (
        "MPEG-4 (`.m4a`, `.mp4`, `.mov`)",
        "Opus",
        "tone-opus.mp4",
        "one or two channels",
    ),
    ("ADTS (`.aac`)", "AAC-LC", "tone.aac", "as in MPEG-4"),
    (
        "WebM and Matroska",
        "Opus",
        "tone.webm",
        "one or two channels",
    ),
    ("WebM and Matroska", "Vorbis", "tone-vorbis.webm", ""),
    ("WebM and Matroska", "FLAC", "tone-flac.mka", ""),
    ("AIFF and AIFC", "PCM", "tone.aiff", ""),
    ("CAF", "PCM", "tone.caf", ""),
];

/// Formats that are tested elsewhere in this crate.
const ELSEWHERE: [(&str, &str, &str); 6] = [
    (
        "WAV, RF64, BW64",
        "PCM, 1 to 64 bits",
        "fewer valid bits than the container are its top bits",
    ),
    (
        "WAV, RF64, BW64",
        "floating point, 32 or 64 bits",
        "full scale at 1",
    ),
    ("WAV, RF64, BW64", "A-law, µ-law", ""),
    (
        "WAV, RF64, BW64",
        "any",
        "a length of 0, or beyond the file, means the rest of the file",
    ),
    ("any", "any", "1 to 768 kHz"),
    (
        "any",
        "any",
        "channels that sound are averaged; of channels that cancel each other, the loudest is taken",
    ),
];

/// Asserts that a recording is a sine of 1 kHz and amplitude 1/4, of 0.25 s, with up to 0.05 s around.
#[track_caller]
fn assert_is_tone(path: &Path) {
    let samples = load(path, RATE).unwrap();
    let name = path.display();
    assert!(
        (3990..=4800).contains(&samples.len()),
        "{name}: {}",
        samples.len()
    );
    let middle = &samples[1600..3200];
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in middle.iter().enumerate() {
        let angle = TAU * n as f32 / 16.0;
        re += sample * angle.cos();
        im += sample * angle.sin();
        power += sample * sample;
    }
    let amplitude = 2.0 * (re * re + im * im).sqrt() / middle.len() as f32;
    let rest = (power / middle.len() as f32 - 0.5 * amplitude * amplitude)
        .max(0.0)
        .sqrt();
    assert!(
        (amplitude - 0.25).abs() < 0.02,
        "{name}: amplitude {amplitude}"
    );
    assert!(rest < 0.015, "{name}: rest {rest}");
}

#[test]
fn the_tables_of_formats_are_what_is_read() {
    let mut read = "| container | codec | remark |\n|---|---|---|\n".to_owned();
    for (container, codec, file, remark) in COMPRESSED {
        assert_is_tone(&fixture(file));
        let _ = writeln!(read, "| {container} | {codec} | {remark} |");
    }
    assert_is_tone(&fixture("tone-alac.caf"));
    read.push_str("| CAF | ALAC |  |\n");
    for (container, codec, remark) in ELSEWHERE {
        let _ = writeln!(read, "| {container} | {codec} | {remark} |");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let mut names: Vec<&str> = NAMED
        .iter()
        .map(|(magic, name)| {
            let mut bytes = magic.to_vec();
            bytes.resize(64, 0);
            fs::write(&path, &bytes).unwrap();
            let message = load(&path, RATE).unwrap_err().to_string();
            assert!(
                message.contains(&format!("{name} is not read")),
                "{message}"
            );
            assert!(message.contains("ffmpeg -i IN OUT.flac"), "{message}");
            *name
        })
        .collect();
    names.extend(["ADPCM inside WAV", "HE-AAC inside MPEG-4", "MPEG layer II"]);
    names.sort_unstable();
    names.dedup();
    let named = format!("{}.\n", names.join(", "));

    let document = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let text = fs::read_to_string(document).unwrap();
    let expected = with_table(&text, "read", &read).unwrap();
    let expected = with_table(&expected, "named", &named).unwrap();
    if std::env::var_os("MTSLVR_WRITE_TABLES").is_some() {
        fs::write(document, &expected).unwrap();
    } else {
        assert!(
            text == expected,
            "the tables of trainer/audio/README.md differ; write them anew with MTSLVR_WRITE_TABLES=1. \
             Expected:\n{read}\n{named}"
        );
    }
}

#[test]
fn a_codec_that_is_not_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.m4a");
    let bytes = fs::read(fixture("tone.m4a")).unwrap();
    // The configuration of AAC-LC at 32 kHz with one channel; the first five bits are the profile.
    let place = bytes.windows(2).position(|pair| pair == [0x12, 0x88]);
    let place = place.expect("an AudioSpecificConfig");
    for (profile, name) in [
        (5u8, "HE-AAC"),
        (29, "HE-AAC v2"),
        (1, "AAC Main"),
        (23, "AAC-LD"),
    ] {
        let mut other = bytes.clone();
        other[place] = profile << 3 | other[place] & 7;
        fs::write(&path, &other).unwrap();
        let message = load(&path, RATE).unwrap_err().to_string();
        assert!(
            message.contains(&format!("{name} inside MPEG-4 is not read")),
            "{message}"
        );
    }
    // The recorder did not finish: the index is missing.
    let place = bytes.windows(4).position(|four| four == b"moov").unwrap();
    let mut unfinished = bytes.clone();
    unfinished[place..place + 4].copy_from_slice(b"free");
    fs::write(&path, &unfinished).unwrap();
    let message = load(&path, RATE).unwrap_err().to_string();
    assert!(message.contains("without the index"), "{message}");
    fs::write(&path, [0xff, 0xfd, 0xe0, 0xc4, 0, 0, 0, 0]).unwrap();
    let message = load(&path, RATE).unwrap_err().to_string();
    assert!(message.contains("MPEG layer II is not read"), "{message}");
}

#[test]
fn no_message_advises_to_remove_a_file_that_holds_sound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    for (_, _, file, _) in COMPRESSED {
        let bytes = fs::read(fixture(file)).unwrap();
        for kept in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 9] {
            fs::write(&path, &bytes[..kept]).unwrap();
            if let Err(error) = load(&path, RATE) {
                let message = error.to_string();
                for word in ["remove", "delete"] {
                    assert!(!message.contains(word), "{file}: {message}");
                }
            }
        }
    }
}

/// A tag of ID3v1.
fn id3v1() -> Vec<u8> {
    let mut tag = b"TAG".to_vec();
    tag.resize(128, b' ');
    tag
}

/// A tag of APE, with or without its header.
fn ape(with_header: bool) -> Vec<u8> {
    let part = |is_header: bool| {
        let mut part = b"APETAGEX".to_vec();
        part.extend(2000u32.to_le_bytes());
        part.extend(52u32.to_le_bytes());
        part.extend(1u32.to_le_bytes());
        let flags = u32::from(with_header) << 31 | u32::from(is_header) << 29;
        part.extend(flags.to_le_bytes());
        part.extend([0; 8]);
        part
    };
    let header = if with_header { part(true) } else { Vec::new() };
    [header, vec![0xff; 20], part(false)].concat()
}

/// A tag of ID3v2, with its footer behind the sound.
fn id3v2(with_footer: bool) -> Vec<u8> {
    // 300 bytes, seven bits in each of four.
    let fields = [4, 0, if with_footer { 0x10 } else { 0 }, 0, 0, 2, 44];
    let footer = match with_footer {
        true => [&b"3DI"[..], &fields].concat(),
        false => Vec::new(),
    };
    [&b"ID3"[..], &fields, &[0xff; 300], &footer].concat()
}

fn lyrics() -> Vec<u8> {
    b"LYRICSBEGININD0000200000021LYRICS200".to_vec()
}

/// A FLAC whose header does not say how many samples there are.
fn of_unknown_length(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[21] &= 0xf0;
    bytes[22..26].fill(0);
    bytes
}

#[test]
fn tags_around_flac_take_nothing_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.flac");
    let bytes = fs::read(fixture("tone.flac")).unwrap();
    let whole = load(&fixture("tone.flac"), RATE).unwrap();
    let behind = [
        ("nothing", Vec::new()),
        ("ID3v1", id3v1()),
        ("APE", ape(false)),
        ("APE with a header", ape(true)),
        ("APE, then ID3v1", [ape(true), id3v1()].concat()),
        ("ID3v2", id3v2(true)),
        ("Lyrics3, then ID3v1", [lyrics(), id3v1()].concat()),
    ];
    let front = [
        Vec::new(),
        id3v2(false),
        id3v2(true),
        [id3v2(false), id3v2(false)].concat(),
    ];
    for (name, tag) in &behind {
        for front in &front {
            for flac in [bytes.clone(), of_unknown_length(&bytes)] {
                fs::write(&path, [&front[..], &flac, tag].concat()).unwrap();
                let samples = load(&path, RATE).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(samples == whole, "{name}: {} samples", samples.len());
            }
        }
    }
    // Other formats behind a tag.
    let wav = directory.path().join("x.wav");
    write_wav(&wav, &[0.25; 100], RATE).unwrap();
    fs::write(&wav, [id3v2(false), fs::read(&wav).unwrap()].concat()).unwrap();
    assert_eq!(load(&wav, RATE).unwrap(), [0.25; 100]);
}

#[test]
fn lengths_of_blocks_in_the_header_of_flac_need_not_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.flac");
    let bytes = fs::read(fixture("tone.flac")).unwrap();
    let whole = load(&fixture("tone.flac"), RATE).unwrap();
    let greatest = u16::from_be_bytes([bytes[10], bytes[11]]);
    for (least, greatest) in [
        (0, greatest),
        (1, greatest),
        (15, greatest),
        (16, greatest),
        (2833, greatest),
        (greatest - 1, greatest),
        (0, 0),
        (greatest, u16::MAX),
    ] {
        for total in [bytes.clone(), of_unknown_length(&bytes)] {
            let mut other = total;
            other[8..10].copy_from_slice(&u16::to_be_bytes(least));
            other[10..12].copy_from_slice(&u16::to_be_bytes(greatest));
            fs::write(&path, &other).unwrap();
            let samples = load(&path, RATE);
            let samples = samples.unwrap_or_else(|error| panic!("{least}, {greatest}: {error}"));
            assert!(samples == whole, "{least}, {greatest}: {}", samples.len());
        }
    }
}

/// A FLAC of constant blocks: some 30 bytes for each half million samples.
fn constant_flac(frames: u32, channels: u8) -> Vec<u8> {
    let crc = |bits: u32, polynomial: u32, bytes: &[u8]| {
        let top = 1 << (bits - 1);
        bytes.iter().fold(0u32, |mut crc, &byte| {
            crc ^= u32::from(byte) << (bits - 8);
            for _ in 0..8 {
                let carry = crc & top != 0;
                crc = crc << 1 & ((top << 1) - 1);
                crc ^= if carry { polynomial } else { 0 };
            }
            crc
        })
    };
    let block = u16::MAX;
    let mut file = b"fLaC\x80\0\0\x22".to_vec();
    file.extend(block.to_be_bytes());
    file.extend(block.to_be_bytes());
    file.extend([0; 6]);
    let total = u64::from(frames) * u64::from(block);
    let packed = u64::from(RATE) << 44 | u64::from(channels - 1) << 41 | 15 << 36 | total;
    file.extend(packed.to_be_bytes());
    file.extend([0; 16]);
    for number in 0..frames {
        let mut frame = vec![0xff, 0xf8, 0x75, (channels - 1) << 4 | 8];
        frame.extend(match number {
            0..0x80 => vec![number as u8],
            _ => vec![0xc0 | (number >> 6) as u8, 0x80 | (number & 63) as u8],
        });
        frame.extend((block - 1).to_be_bytes());
        frame.push(crc(8, 0x07, &frame) as u8);
        for channel in 0..channels {
            frame.extend([0, 0, 10 + channel]);
        }
        frame.extend((crc(16, 0x8005, &frame) as u16).to_be_bytes());
        file.extend(frame);
    }
    file
}

#[test]
fn a_small_file_of_endless_sound_ends_with_a_sentence_and_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let class = directory.path().join("class");
    fs::create_dir(&class).unwrap();
    let path = class.join("bomb.flac");
    let bytes = constant_flac(300, 8);
    fs::write(&path, &bytes).unwrap();
    write_wav(&class.join("good.wav"), &[0.25; 100], RATE).unwrap();
    let set = LabelledSet::open(directory.path()).unwrap();
    let (loaded, skipped) = set.load_all(RATE, &DecodeCache::NONE, |_| ());
    assert_eq!((loaded.len(), skipped.len()), (1, 1));
    let message = skipped[0].to_string();
    let limit = (4096 * bytes.len()).to_string();
    for part in ["bomb.flac", &limit, "MTSLVR_MAX_SAMPLES=N"] {
        assert!(message.contains(part), "{message}");
    }

    // Raised, all of it is read, in pieces of a few megabytes.
    let budget = Budget {
        for_each_byte: u64::MAX,
        ..Budget::DEFAULT
    };
    let reader = Reader::open_within(&path, RATE, budget).unwrap();
    let mut samples = 0;
    for piece in reader {
        let piece = piece.unwrap();
        assert!(piece.len() <= 1 << 20, "{}", piece.len());
        samples += piece.len();
    }
    assert_eq!(samples, 300 * 65_535);

    // The limit on all samples, whatever the length of the file.
    let budget = Budget {
        decoded: 1 << 20,
        ..budget
    };
    let last = Reader::open_within(&path, RATE, budget).unwrap().last();
    assert!(matches!(
        last,
        Some(Err(AudioError::TooLong {
            limit: 1_048_576,
            ..
        }))
    ));
}

#[test]
fn what_looks_like_sound_is_listed_whatever_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let class = directory.path().join("dog");
    fs::create_dir(&class).unwrap();
    let counted = [
        "a.m4a", "b.AAC", "c.wma", "d.amr", "e.opus", "f.webm", "g.aif", "h.caf", "i.3gp",
    ];
    for name in counted {
        fs::write(class.join(name), "no sound").unwrap();
    }
    // By its content.
    fs::write(class.join("j"), b"#!AMR\n\x3c").unwrap();
    fs::copy(fixture("tone.webm"), class.join("k.part")).unwrap();
    for name in ["notes.txt", "cover.jpg", "table.csv"] {
        fs::write(class.join(name), "ID3 and so on").unwrap();
    }
    let set = LabelledSet::open(directory.path()).unwrap();
    assert_eq!(set.clips.len(), counted.len() + 2);
    let (loaded, skipped) = set.load_all(RATE, &DecodeCache::NONE, |_| ());
    assert_eq!((loaded.len(), skipped.len()), (1, counted.len() + 1));
}

#[test]
fn a_reader_gives_the_samples_that_loading_gives() {
    for (_, _, file, _) in COMPRESSED {
        let reader = Reader::open(&fixture(file), RATE).unwrap();
        let pieces: Result<Vec<Vec<f32>>, AudioError> = reader.collect();
        let whole = load(&fixture(file), RATE).unwrap();
        assert!(pieces.unwrap().concat() == whole, "{file}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Decoders are of others: whatever they do, a damaged file is an error or finite samples.
    #[test]
    fn damaged_files_are_errors_or_sound(
        file in 0..COMPRESSED.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        kept in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = fs::read(fixture(COMPRESSED[file].2)).unwrap();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cut {
            bytes.truncate(kept.index(bytes.len()));
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, &bytes).unwrap();
        if let Ok(samples) = load(&path, RATE) {
            prop_assert!(samples.iter().all(|sample| sample.is_finite()));
        }
    }
}
