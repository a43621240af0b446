//! Any file is a journal of embeddings, is taken up to its first damage, or is an error.

use crate::file::written;
use mtslvr_evaluate::embed::{Journal, Origin, Stamp};
use mtslvr_runtime::space::BackboneId;
use std::path::Path;

const DIM: usize = 3;

fn origin() -> Origin {
    Origin {
        model: BackboneId::new([0xab; 32]),
        engine: "packed".to_owned(),
        dim: DIM,
    }
}

/// Opens `bytes` as a journal, and behind a right first line; appends to it and reads it back.
pub fn journal_open(bytes: &[u8]) {
    open(bytes);
    let line = journal_seed();
    let line = line.split_inclusive(|byte| *byte == b'\n').next();
    open(&[line.unwrap_or_default(), bytes].concat());
}

fn open(bytes: &[u8]) {
    let path = written("journal", bytes);
    let Ok(mut journal) = Journal::open(&path, &origin()) else {
        return;
    };
    let (name, stamp) = (
        Path::new("new"),
        Stamp {
            size: 5,
            content: [6; 16],
        },
    );
    let appended = journal.append(name, stamp, &[1.0, 2.0, 3.0]);
    appended.expect("there is room");
    drop(journal);
    let mut journal = Journal::open(&path, &origin()).expect("it was opened before");
    let mut values = [0.0; DIM];
    let read = journal.read(name, &mut values);
    assert!(matches!(read, Ok(Some(()))) && values == [1.0, 2.0, 3.0]);
    assert_eq!(journal.stamp(name), Some(stamp));
}

/// A journal of two recordings.
pub fn journal_seed() -> Vec<u8> {
    let path = written("seed", b"");
    let mut journal = Journal::open(&path, &origin()).expect("an empty file is a new journal");
    for (name, size) in [("a.wav", 10), ("b/c.flac", 11)] {
        let stamp = Stamp {
            size,
            content: [7; 16],
        };
        let appended = journal.append(Path::new(name), stamp, &[0.5, -1.0, f32::MIN]);
        appended.expect("there is room");
    }
    drop(journal);
    std::fs::read(&path).expect("it was written")
}
