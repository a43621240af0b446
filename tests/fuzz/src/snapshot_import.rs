//! Any bytes give taught sounds or an error, and an error changes nothing.

use crate::taught::{learner, room, state, taught, use_it};
use crate::{TRUSTED, UNSEEN};
use mtslvr_runtime::fewshot::persist::{import, import_signed};
use mtslvr_runtime::model::Crc32;

/// Imports `bytes` as a snapshot, as they are and with length and checksum put right, so that the
/// fuzzer gets past them to the structure.
pub fn snapshot_import(bytes: &[u8]) {
    try_import(bytes);
    if let Some((_, rest)) = bytes.split_at_checked(16) {
        let len = (bytes.len() as u32).to_le_bytes();
        let before = [&bytes[..8], &len].concat();
        let crc = Crc32::new().update(&before).update(rest).finish();
        try_import(&[&before[..], &crc.to_le_bytes(), rest].concat());
    }
}

fn try_import(bytes: &[u8]) {
    let (mut a, mut b) = (room(), room());
    let mut into = taught(&mut a);
    let before = state(&into);
    // Nothing but a signature makes it one that is trusted.
    let imported = import_signed(&mut into, bytes, &TRUSTED, UNSEEN);
    assert!(imported.is_err() && state(&into) == before);
    match import(&mut into, bytes) {
        Err(_) => assert!(state(&into) == before, "an error changed something"),
        Ok(()) => {
            let mut again = learner(&mut b);
            let restored = import(&mut again, &state(&into));
            restored.expect("what was accepted can be saved and restored");
            assert!(again.support() == into.support());
            use_it(into);
        }
    }
}
