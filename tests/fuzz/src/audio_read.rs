//! Any file gives samples within the budget or an error.

use crate::file::written;
use mtslvr_audio::{Budget, Reader};

const BUDGET: Budget = Budget {
    decoded: 200_000,
    for_each_byte: 4096,
    held: 200_000,
};

/// Reads a file of `bytes` as a recording, in pieces.
pub fn audio_read(bytes: &[u8]) {
    let path = written("audio", bytes);
    let Ok(reader) = Reader::open_within(&path, 16_000, BUDGET) else {
        return;
    };
    let mut count = 0;
    for piece in reader {
        let Ok(piece) = piece else {
            return;
        };
        assert!(piece.iter().all(|sample| sample.is_finite()));
        count += piece.len() as u64;
        // A low rate gives up to 16 samples for each that is decoded.
        assert!(
            count <= 16 * (BUDGET.decoded + 65_536),
            "the budget was not kept"
        );
    }
}
