//! The cards of the shipped models state what their files hold: the table of facts is made from them.
//!
//! `MTSLVR_WRITE_CARDS=1 cargo test --release -p mtslvr-tests --test model_cards` writes the tables anew.

use mtslvr_pack::inspect::Inspection;
use mtslvr_pack::{BackboneFile, Engine, SHIPPED};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use xtask::document::{grouped, with_table};

/// Name of the table in a card.
const TABLE: &str = "facts";

#[test]
fn every_card_states_what_its_files_hold() {
    for model in &SHIPPED {
        let folder = folder(model.name);
        let card = folder.join("README.md");
        let text = fs::read_to_string(&card).unwrap();
        let facts = facts(&folder);
        let expected = with_table(&text, TABLE, &facts).unwrap();
        if std::env::var_os("MTSLVR_WRITE_CARDS").is_some() {
            fs::write(&card, &expected).unwrap();
        } else {
            assert!(
                text == expected,
                "{}: the table of facts differs from the files; write it anew with MTSLVR_WRITE_CARDS=1 (see \
                 tests/tests/model_cards.rs). Expected:\n{facts}",
                card.display()
            );
        }
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(name)
}

/// Returns the table of what the model files in `folder` hold.
fn facts(folder: &Path) -> String {
    let packed = folder.join("model.slvr");
    let hash = |file: &Path| {
        let digest = Sha256::digest(fs::read(file).unwrap());
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let opened = BackboneFile::read(&packed, Some(Engine::Packed)).unwrap();
    let model = opened.inspect().unwrap();
    let parts: Vec<String> = model
        .parts
        .iter()
        .map(|part| {
            let macs = grouped(part.macs);
            format!(
                "`{}` {} values, share {:.2}, {macs} multiply-accumulates",
                part.name, part.len, part.share
            )
        })
        .collect();
    let arena = model.ram.arena.expect("a packed model has a plan");
    let rows = [
        (
            "SHA-256 of `model.onnx`",
            format!("`{}`", hash(&folder.join("model.onnx"))),
        ),
        ("SHA-256 of `model.slvr`", format!("`{}`", hash(&packed))),
        ("id", format!("`{}`", identity(&model))),
        ("parts", parts.join("; ")),
        (
            "work for a second of sound, all parts",
            format!("{} multiply-accumulates", grouped(model.macs)),
        ),
        (
            "flash",
            format!("{} bytes", grouped(model.file_bytes as u64)),
        ),
        (
            "RAM",
            format!(
                "arena {} bytes, buffer for a clip {} bytes",
                grouped(arena as u64),
                grouped(model.ram.clip_buffer as u64)
            ),
        ),
    ];
    let mut table = String::from("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(table, "| {name} | {value} |");
    }
    table
}

/// Returns the id by which profiles and devices know the model.
fn identity(model: &Inspection) -> &str {
    let hash = model.hash.as_ref().expect("a packed model has a hash");
    assert!(hash.verified);
    &hash.stated
}
