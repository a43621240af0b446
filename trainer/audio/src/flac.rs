//! Mends what the header of a FLAC file says about the lengths of its blocks.
//!
//! The demuxer trusts that header: it takes a stream for one of fixed blocks only if the least and the
//! greatest length are equal, and passes over frames that say otherwise. Some encoders state the length
//! of the last, shorter block as the least, or 0. The first frame tells which kind of stream it is
//! (RFC 9639, section 9.1.1).

use super::region::Region;
use std::io;

/// Least length of a block that may be stated.
const LEAST: u16 = 16;

/// Shows the stream in `region` with lengths that fit its frames. A file that is no FLAC stays as it is.
pub(super) fn mend_block_lengths(region: &mut Region) -> io::Result<()> {
    // Marker, header of the first metadata block, least and greatest length.
    let start: [u8; 12] = region.peek(0)?;
    if &start[..4] != b"fLaC" || start[4] & 0x7f != 0 {
        return Ok(());
    }
    let least = u16::from_be_bytes([start[8], start[9]]);
    let greatest = u16::from_be_bytes([start[10], start[11]]);
    let Some((variable, first)) = first_block(region)? else {
        return Ok(());
    };
    let consistent = least >= LEAST && first <= greatest && variable != (least == greatest);
    if consistent {
        return Ok(());
    }
    let (least, greatest) = if variable {
        (LEAST, greatest.max(first).max(LEAST + 1))
    } else {
        let length = first.max(LEAST);
        (length, length)
    };
    let [a, b] = least.to_be_bytes();
    let [c, d] = greatest.to_be_bytes();
    region.show(8, [a, b, c, d]);
    Ok(())
}

/// Returns whether the first frame is of a stream of variable blocks, and the length of its block.
fn first_block(region: &mut Region) -> io::Result<Option<(bool, u16)>> {
    let mut place = 4;
    // No file has as many metadata blocks.
    for _ in 0..1024 {
        let [kind, a, b, c] = region.peek(place)?;
        place += 4 + u64::from(u32::from_be_bytes([0, a, b, c]));
        if kind & 0x80 != 0 {
            let frame: [u8; 16] = region.peek(place)?;
            return Ok(block_of_frame(&frame));
        }
    }
    Ok(None)
}

/// Reads the header of a frame.
fn block_of_frame(frame: &[u8; 16]) -> Option<(bool, u16)> {
    if frame[0] != 0xff || frame[1] & 0xfe != 0xf8 {
        return None;
    }
    // The number of the frame is coded as UTF-8 codes a character.
    let number = match frame[4].leading_ones() {
        0 => 1,
        ones => ones as usize,
    };
    let behind = 4 + number;
    let length = match frame[2] >> 4 {
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => u16::from(*frame.get(behind)?) + 1,
        7 => u16::from_be_bytes([*frame.get(behind)?, *frame.get(behind + 1)?]).checked_add(1)?,
        code @ 8..=15 => 256 << (code - 8),
        _ => return None,
    };
    Some((frame[1] & 1 == 1, length))
}
