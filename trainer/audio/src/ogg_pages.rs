//! Checks that an Ogg file is complete.
//!
//! A demuxer takes the last page it finds as the end, so that a download that broke off looks like a
//! shorter recording. The last page of a complete file carries the end-of-stream flag (RFC 3533,
//! section 6).

use super::error::AudioError;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const HEADER: usize = 27;
const END_OF_STREAM: u8 = 4;

/// Walks the pages of `file` from byte `start` on.
///
/// # Errors
/// [`AudioError::Truncated`] if the last page is incomplete or is not marked as the last.
pub(super) fn check_complete(path: &Path, file: &mut File, start: u64) -> Result<(), AudioError> {
    let io = |error| AudioError::Io {
        path: path.to_owned(),
        action: "read",
        error,
    };
    let truncated = |found: String| AudioError::Truncated {
        path: path.to_owned(),
        found,
        expected: "an Ogg stream whose last page is complete and marked as the last".to_owned(),
    };
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let (mut position, mut pages, mut flags) = (start, 0u32, 0);
    while position + HEADER as u64 <= length {
        file.seek(SeekFrom::Start(position)).map_err(io)?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(io)?;
        if !header.starts_with(b"OggS") {
            // Bytes after the last page (tags of some editors) do no harm.
            break;
        }
        let mut lacing = vec![0; header[26].into()];
        let incomplete = || truncated(format!("the file ends in page {}", pages + 1));
        file.read_exact(&mut lacing).map_err(|_| incomplete())?;
        let body: u64 = lacing.iter().map(|&bytes| u64::from(bytes)).sum();
        position += HEADER as u64 + lacing.len() as u64 + body;
        if position > length {
            return Err(incomplete());
        }
        (pages, flags) = (pages + 1, header[5]);
    }
    if flags & END_OF_STREAM == 0 {
        return Err(truncated(format!("{pages} pages without an end mark")));
    }
    Ok(())
}
