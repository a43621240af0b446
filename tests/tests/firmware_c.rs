//! `firmware-examples/c` in QEMU: a C program gives the host's embeddings and snapshot to the byte, and
//! recognises what it was taught, also after a restart.

use anyhow::{Context, Result, ensure};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::persist::{export, snapshot_len};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::model::{AlignedBytes, Model};
use mtslvr_tests::sounds::{RATE, add_sound, quiet, stream};
use std::path::Path;
use std::{env, fs};
use tempfile::TempDir;
use xtask::board::Board;
use xtask::qemu;

const NAME: &str = "hum";
/// The clips that it is taught, and the one that it is asked about.
const CLIPS: [&str; 4] = ["1.pcm", "2.pcm", "3.pcm", "query.pcm"];

/// Returns samples as a microphone of 16 bits gives them.
fn pcm(samples: &[f32]) -> Vec<i16> {
    let full_scale = f32::from(i16::MAX);
    samples
        .iter()
        .map(|sample| (sample * full_scale) as i16)
        .collect()
}

/// The sound in quiet noise that is never the same.
fn clip(number: u64) -> Vec<i16> {
    let mut samples = quiet(RATE, number);
    add_sound(&mut samples, RATE / 10);
    pcm(&samples)
}

fn write_pcm(path: &Path, samples: &[i16]) -> Result<()> {
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    Ok(fs::write(path, bytes)?)
}

/// Results of the host for the same clips.
struct Expected {
    /// Embedding of the query.
    embedding: Vec<u8>,
    /// Line about the query.
    recognised: String,
    /// Taught sounds.
    snapshot: Vec<u8>,
}

fn on_this_host(clips: &[Vec<i16>]) -> Result<Expected> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/edge-s/model.slvr");
    let bytes = AlignedBytes::new(&fs::read(path)?);
    let model = Model::open(&bytes)?;
    let mut backbone = PackedBackbone::new(model, vec![0; model.arena_len()])?;
    let dim = model.space().dim();
    let mut buffer = vec![0.0; ClipEmbedder::buffer_len(model.frontend(), dim)];
    let mut embedder = ClipEmbedder::new(*model.frontend(), &mut buffer)?;
    let mut embeddings = Vec::new();
    for clip in clips {
        let mut embedding = vec![0.0; dim];
        embedder.push_i16(&mut backbone, clip)?;
        embedder.finish(&mut backbone, &mut embedding)?;
        embeddings.push(embedding);
    }
    let (query, taught) = embeddings.split_last().context("a query")?;
    let mut storage = StorageVec::new(8, 32, dim);
    let mut sounds = Learner::new(storage.lend(), HeadKind::default(), model.space())?;
    for embedding in taught {
        sounds.enrol(NAME, embedding)?;
    }
    let mut scratch = vec![0.0; sounds.scratch_len()];
    sounds.fit(&mut scratch)?;
    let mut scores = [0.0; 8];
    let decision = sounds.classify(query, &mut scores)?;
    let mut snapshot = vec![0; snapshot_len(sounds.support())];
    export(&sounds, &mut snapshot)?;
    Ok(Expected {
        embedding: query.iter().flat_map(|value| value.to_le_bytes()).collect(),
        recognised: format!(
            "recognised {NAME} similarity={:.6} threshold={:.6}",
            decision.similarity, decision.threshold
        ),
        snapshot,
    })
}

/// Seconds at which a line says that the sound was heard.
fn heard_at(line: &str) -> Result<u32> {
    let (heard, at) = line.rsplit_once(" at=").context("a line says when")?;
    ensure!(heard.starts_with(&format!("heard {NAME} ")), "{line}");
    Ok(at.parse::<u32>()? / RATE)
}

#[test]
fn a_c_program_gives_the_bytes_of_this_host_and_remembers() -> Result<()> {
    let elf = env::var_os("MTSLVR_TEST_C")
        .context("MTSLVR_TEST_C is not set: run `cargo xtask test`, which builds the program")?;
    let folder = TempDir::new()?;
    let clips: Vec<_> = (1..=4).map(clip).collect();
    for (name, clip) in CLIPS.iter().zip(&clips) {
        write_pcm(&folder.path().join(name), clip)?;
    }
    write_pcm(&folder.path().join("stream.pcm"), &pcm(&stream()))?;
    let expected = on_this_host(&clips)?;

    let arguments = [&[NAME], &CLIPS[..], &["stream.pcm"]].concat();
    let output = qemu::command(Board::An386, Path::new(&elf), &arguments)
        .current_dir(folder.path())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "the program failed: {text}");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines[..3],
        ["found nothing", &*expected.recognised, "found sounds"],
        "{text}"
    );
    let heard = lines[3..]
        .iter()
        .map(|line| heard_at(line))
        .collect::<Result<Vec<_>>>()?;
    assert_eq!(heard, [2, 5, 7], "{text}");
    assert!(fs::read(folder.path().join("embedding.f32"))? == expected.embedding);
    assert!(fs::read(folder.path().join("sounds.mtss"))? == expected.snapshot);
    Ok(())
}
