//! The cards of the shipped models state what their files hold: the table of facts is made from them.
//!
//! `MTSLVR_WRITE_CARDS=1 cargo test --release -p mtslvr-tests --test model_cards` writes the tables anew.

use mtslvr_pack::inspect::Inspection;
use mtslvr_pack::{BackboneFile, Engine, SHIPPED};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- facts -->\n";
const END: &str = "<!-- end of facts -->\n";

#[test]
fn every_card_states_what_its_files_hold() {
    for model in &SHIPPED {
        let folder = folder(model.name);
        let card = folder.join("README.md");
        let text = fs::read_to_string(&card).unwrap();
        let expected = with_facts(&text, &facts(&folder));
        if std::env::var_os("MTSLVR_WRITE_CARDS").is_some() {
            fs::write(&card, &expected).unwrap();
        } else {
            assert!(
                text == expected,
                "{}: the table of facts differs from the files; write it anew with MTSLVR_WRITE_CARDS=1 (see \
                 tests/tests/model_cards.rs). Expected:\n{}",
                card.display(),
                facts(&folder)
            );
        }
    }
}

#[test]
fn facts_are_replaced_between_their_markers() {
    let card = format!("a\n{BEGIN}old\n{END}b\n");
    assert_eq!(
        with_facts(&card, "new\n"),
        format!("a\n{BEGIN}new\n{END}b\n")
    );
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(name)
}

/// Returns the card with other facts.
///
/// # Panics
/// If the card has no markers.
fn with_facts(card: &str, facts: &str) -> String {
    let (before, rest) = card
        .split_once(BEGIN)
        .expect("a card has the marker of facts");
    let (_, after) = rest.split_once(END).expect("facts have an end");
    format!("{before}{BEGIN}{facts}{END}{after}")
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
            let macs = grouped(part.macs as usize);
            format!(
                "`{}` {} values, share {:.2}, {macs} multiply-accumulates",
                part.name, part.len, part.share
            )
        })
        .collect();
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
            format!("{} multiply-accumulates", grouped(model.macs as usize)),
        ),
        ("flash", format!("{} bytes", grouped(model.file_bytes))),
        (
            "RAM",
            format!(
                "arena {} bytes, buffer for a clip {} bytes",
                grouped(model.ram.arena.expect("a packed model has a plan")),
                grouped(model.ram.clip_buffer)
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

/// Returns a number with commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
