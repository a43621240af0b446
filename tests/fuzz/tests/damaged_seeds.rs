//! The targets' bodies on their seeds and on damaged copies, without a fuzzer.

use mtslvr_fuzz::{
    audio_read, cache_read, cache_seed, clips_load, flash_image, flash_load, journal_open,
    journal_seed, link_seed, link_session, manifest_read, model_open, onnx_read, snapshot_import,
    wav_read,
};

/// Runs `target` on `seed`, whole and cut, and on `rounds` copies in which a few bytes are others.
fn damage(seed: &[u8], rounds: usize, target: fn(&[u8])) {
    target(seed);
    for end in (0..seed.len()).step_by(seed.len().div_ceil(200)) {
        target(&seed[..end]);
    }
    let mut state = 1_u64;
    // Knuth's linear congruential generator; the upper bits are the random ones.
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    for _ in 0..rounds {
        let mut bytes = seed.to_vec();
        for _ in 0..=below(4) {
            // Headers and records come first: half of the damage goes there.
            let end = if below(2) == 0 { 512 } else { usize::MAX };
            let at = below(bytes.len().min(end));
            bytes[at] = match below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << below(8)),
                _ => below(256) as u8,
            };
        }
        target(&bytes);
    }
}

#[test]
fn models() {
    let plain = include_bytes!("../../../runtime/tests/golden/v1.slvr");
    damage(plain, 3_000, model_open);
    let every_section = include_bytes!("../../../runtime/tests/golden/v1-sections.slvr");
    damage(every_section, 3_000, model_open);
    let signed = include_bytes!("../../../runtime/tests/golden/v1-signed.slvr");
    damage(signed, 1_000, model_open);
}

#[test]
fn graphs() {
    let pair = include_bytes!("../../../trainer/pack/src/onnx/fixtures/foreign_pair.onnx");
    damage(pair, 2_000, onnx_read);
    let other = include_bytes!("../../../trainer/pack/src/onnx/fixtures/unsupported.onnx");
    damage(other, 2_000, onnx_read);
}

fn wav() -> Vec<u8> {
    let mut wav = b"RIFF\0\0\0\0WAVEjunk\x05\0\0\0abcde\0fmt \x10\0\0\0".to_vec();
    wav.extend([1, 0, 2, 0, 0x80, 0x3e, 0, 0, 0, 0xfa, 0, 0, 4, 0, 16, 0]);
    wav.extend(b"data\xc8\0\0\0");
    wav.extend(0..200);
    wav
}

#[test]
fn recordings() {
    damage(&wav(), 20_000, wav_read);
}

#[test]
fn snapshots() {
    let golden = include_bytes!("../../../runtime/tests/golden/snapshot-v1.mtss");
    damage(golden, 20_000, snapshot_import);
    let signed = include_bytes!("../../../runtime/tests/golden/snapshot-v1-signed.mtss");
    damage(signed, 5_000, snapshot_import);
}

#[test]
fn flash() {
    damage(&flash_image(), 3_000, flash_load);
    // Marks of pages are changed so that an older index counts as the newest.
    flash_load(include_bytes!("../seeds/flash_load/marks_of_pages"));
    // What was never written by this software.
    let mut state = 7_u32;
    for _ in 0..300 {
        let noise = (0..3072).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        flash_load(&noise.collect::<Vec<u8>>());
    }
}

#[test]
fn recordings_in_flash() {
    let golden = include_bytes!("../../../runtime/tests/golden/clips-v1.bin");
    damage(golden, 5_000, clips_load);
}

#[test]
fn lines() {
    damage(&link_seed(), 5_000, link_session);
}

#[test]
fn recordings_of_every_format() {
    for name in ["tone.flac", "tone.mp3", "tone.ogg", "tone.m4a", "tone.webm"] {
        let seed = std::fs::read(fixture(&format!("trainer/audio/src/fixtures/{name}"))).unwrap();
        damage(&seed, 20, audio_read);
    }
}

#[test]
fn files_of_the_program() {
    damage(&journal_seed(), 2_000, journal_open);
    damage(&cache_seed(), 20_000, cache_read);
    damage(MANIFEST, 500, manifest_read);
}

const MANIFEST: &[u8] = b"class,clip,path,group,seconds,gpl,licence,split\n\
    bell,1.wav,bell/1.wav,\"a \"\"b\"\"\",0.5,no,CC0,train\n\
    bell,1.wav,bell/1.wav,,,yes,CC BY-SA 4.0,\n";

fn fixture(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Checks that the seeds in the repository are those that this code makes;
/// `MTSLVR_WRITE_SEEDS=1` writes them instead.
#[test]
fn seeds_are_current() {
    let seeds: [(&str, Vec<u8>); 5] = [
        ("wav_read/short", wav()),
        ("journal_open/two", journal_seed()),
        ("link_session/push", link_seed()),
        ("cache_read/three", cache_seed()),
        ("manifest_read/all", MANIFEST.to_vec()),
    ];
    for (name, bytes) in seeds {
        let path = fixture(&format!("tests/fuzz/seeds/{name}"));
        if std::env::var_os("MTSLVR_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
        } else {
            assert!(std::fs::read(&path).unwrap() == bytes, "{path} is another");
        }
    }
}
