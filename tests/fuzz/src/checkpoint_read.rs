//! Any bytes are a whole checkpoint or an error.

use mtslvr_train::train::check_checkpoint;

/// Reads `bytes` as a checkpoint, as they are and with a header of the right length.
pub fn checkpoint_read(bytes: &[u8]) {
    let _ = check_checkpoint(bytes);
    if let Some((_, rest)) = bytes.split_first_chunk::<8>() {
        let end = rest
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(rest.len());
        let len = (end as u64).to_le_bytes();
        let _ = check_checkpoint(&[&len, rest].concat());
    }
}
