//! Any bytes give taught sounds or an error, and an error changes nothing.

use crate::taught::{BACKBONE, learner, room, state, taught, use_it};
use mtslvr_runtime::fewshot::persist::import;
use mtslvr_runtime::model::Crc32;

/// Imports `bytes` as a snapshot, as they are and with the checksum put right, so that the fuzzer
/// gets past it to the structure.
pub fn snapshot_import(bytes: &[u8]) {
    try_import(bytes);
    if let Some(content) = bytes.len().checked_sub(4) {
        let crc = Crc32::new().update(&bytes[..content]).finish();
        try_import(&[&bytes[..content], &crc.to_le_bytes()].concat());
    }
}

fn try_import(bytes: &[u8]) {
    let (mut a, mut b) = (room(), room());
    let mut into = taught(&mut a);
    let before = state(&into);
    match import(into.support_mut(), BACKBONE, bytes) {
        Err(_) => assert!(state(&into) == before, "an error changed something"),
        Ok(()) => {
            let mut again = learner(&mut b);
            let restored = import(again.support_mut(), BACKBONE, &state(&into));
            restored.expect("what was accepted can be saved and restored");
            assert!(again.support() == into.support());
            use_it(into);
        }
    }
}
