//! Bytes of any number in NOR flash, which is read and written in whole words.

use crate::model::Crc32;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;

/// Largest word that flash is written in, bytes.
pub const MAX_WORD: usize = 32;

/// Bytes of flash read at once.
const CHUNK: usize = 256;

/// Tells whether `range` is whole pages of `flash`, one or more, and records of `record` bytes are whole words of it.
pub fn holds_records<F: NorFlash>(flash: &F, range: &Range<u32>, record: usize) -> bool {
    (1..=MAX_WORD).contains(&F::WRITE_SIZE)
        && record.is_multiple_of(F::WRITE_SIZE)
        && record.is_multiple_of(F::READ_SIZE.max(1))
        && F::ERASE_SIZE > 0
        && F::ERASE_SIZE.is_multiple_of(record)
        && range.start < range.end
        && range.end as usize <= flash.capacity()
        && range.start.is_multiple_of(F::ERASE_SIZE as u32)
        && range.end.is_multiple_of(F::ERASE_SIZE as u32)
}

/// Writes bytes from a word's address on, the last word filled up.
pub fn write<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), F::Error> {
    let whole = bytes.len() - bytes.len() % F::WRITE_SIZE;
    let (whole, rest) = bytes.split_at(whole);
    flash.write(at, whole)?;
    if rest.is_empty() {
        return Ok(());
    }
    let mut word = [0xff; MAX_WORD];
    for (to, from) in word.iter_mut().zip(rest) {
        *to = *from;
    }
    let word = word.get(..F::WRITE_SIZE).unwrap_or_default();
    flash.write(at + whole.len() as u32, word)
}

/// Reads the bytes in `range`, which begins at a word, and hands them out in pieces.
pub fn read<F: NorFlash>(
    flash: &mut F,
    range: Range<u32>,
    mut take: impl FnMut(&[u8]),
) -> Result<(), F::Error> {
    let mut chunk = [0; CHUNK];
    for at in range.clone().step_by(CHUNK) {
        let len = chunk.len().min((range.end - at) as usize);
        // What the last word holds beyond the range is not handed out.
        let words = len.next_multiple_of(F::READ_SIZE.max(1)).min(CHUNK);
        let (words, _) = chunk.split_at_mut(words);
        flash.read(at, words)?;
        take(words.get(..len).unwrap_or_default());
    }
    Ok(())
}

/// Computes the CRC-32 of the bytes in `range`, which begins at a word.
pub fn crc32_of<F: NorFlash>(flash: &mut F, range: Range<u32>) -> Result<u32, F::Error> {
    let mut crc = Crc32::new();
    read(flash, range, |bytes| crc = crc.update(bytes))?;
    Ok(crc.finish())
}
