//! Shows a decoder the part of a file that is sound, without the tags around it.

use super::container::{Container, Kind, START};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// A part of a file, as if it were a file. A few of its bytes may be shown differently.
#[derive(Debug)]
pub(super) struct Region {
    file: File,
    start: u64,
    end: u64,
    /// Next byte to read, counted in the file.
    position: u64,
    /// Place in the file and bytes to be shown there.
    shown: Option<(u64, [u8; 4])>,
}

impl Region {
    /// Shows the bytes of `file` from `start` to before `end`.
    pub fn new(file: File, start: u64, end: u64) -> Self {
        Self {
            file,
            start,
            end: end.max(start),
            position: start,
            shown: None,
        }
    }

    /// Shows `bytes` at byte `place` of the region, instead of those in the file.
    pub fn show(&mut self, place: u64, bytes: [u8; 4]) {
        self.shown = Some((self.start + place, bytes));
    }

    /// Reads up to `N` bytes at byte `place` of the region; those that are not there are 0.
    pub fn peek<const N: usize>(&mut self, place: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.seek(SeekFrom::Start(place))?;
        let mut filled = 0;
        while filled < N {
            match self.read(&mut bytes[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        self.seek(SeekFrom::Start(0))?;
        Ok(bytes)
    }
}

impl Read for Region {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.position);
        let most = left.min(buffer.len() as u64) as usize;
        let count = self.file.read(&mut buffer[..most])?;
        if let Some((place, bytes)) = self.shown {
            for (at, byte) in (place..).zip(bytes) {
                let within = at.checked_sub(self.position);
                if let Some(within) = within.filter(|&within| within < count as u64) {
                    buffer[within as usize] = byte;
                }
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Region {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(place) => self.start.checked_add(place),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let target = target.filter(|&target| target >= self.start);
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.position = self.file.seek(SeekFrom::Start(target))?;
        Ok(self.position - self.start)
    }
}

impl MediaSource for Region {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.end - self.start)
    }
}

/// First bytes of a file behind a tag of ID3v2, if one is there.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Byte at which they are.
    pub start: u64,
    pub bytes: Vec<u8>,
}

impl Beginning {
    /// Looks for the sound in `file`. A tag that is followed by nothing known counts as the sound: it
    /// may be an MP3 that begins with other bytes.
    pub fn find(file: &mut File) -> io::Result<Self> {
        let first = Self::at(file, 0)?;
        let mut start = 0;
        // Two tags in a row have been seen.
        for _ in 0..4 {
            let here = Self::at(file, start)?;
            if start > 0
                && let Some(kind) = Kind::of(&here.bytes)
                && !matches!(kind, Kind::Read(Container::Mp3) | Kind::Named("AC-3"))
            {
                return Ok(here);
            }
            let Some(length) = id3v2_length(&here.bytes) else {
                break;
            };
            start += length;
        }
        Ok(first)
    }

    fn at(file: &mut File, start: u64) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(START);
        file.seek(SeekFrom::Start(start))?;
        file.take(START as u64).read_to_end(&mut bytes)?;
        Ok(Self { start, bytes })
    }
}

/// Returns the length of the ID3v2 tag that begins with `bytes`.
fn id3v2_length(bytes: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, size @ ..] = bytes else {
        return None;
    };
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + u64::from(seven_bits_each(size)?) + footer)
}

/// Returns the number in four bytes of seven bits each.
fn seven_bits_each(bytes: &[u8]) -> Option<u32> {
    let bytes = bytes.get(..4)?;
    let all = bytes.iter().all(|byte| byte & 0x80 == 0);
    all.then(|| bytes.iter().fold(0, |n, &byte| n << 7 | u32::from(byte)))
}

/// Returns the byte at which the tags behind the sound begin: of ID3v1, ID3v2, APE and Lyrics3, in any
/// order.
pub(super) fn end_before_tags(file: &mut File, start: u64) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    // There is one of each at most.
    for _ in 0..5 {
        let tag = tag_length(file, start, end)?;
        match tag.filter(|&length| length > 0 && length <= end - start) {
            Some(length) => end -= length,
            None => break,
        }
    }
    Ok(end)
}

/// Returns the length of a tag that ends at byte `end`.
fn tag_length(file: &mut File, start: u64, end: u64) -> io::Result<Option<u64>> {
    let mut last = |count: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let from = end.saturating_sub(count).max(start);
        file.seek(SeekFrom::Start(from))?;
        file.take(end.saturating_sub(from).min(count))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    if last(128)?.starts_with(b"TAG") && end - start >= 128 {
        return Ok(Some(128));
    }
    let ape = last(32)?;
    if let Some(rest) = ape.strip_prefix(b"APETAGEX")
        && let [_, _, _, _, a, b, c, d, _, _, _, _, _, _, _, flags, ..] = rest
    {
        // The size counts the footer and leaves the header out, if there is one.
        let header = if flags & 0x80 == 0 { 0 } else { 32 };
        let size = u32::from_le_bytes([*a, *b, *c, *d]);
        return Ok(Some(u64::from(size) + header));
    }
    let id3v2 = last(10)?;
    if id3v2.starts_with(b"3DI") {
        let size = id3v2.get(6..).and_then(seven_bits_each);
        return Ok(size.map(|size| u64::from(size) + 20));
    }
    let lyrics = last(15)?;
    if lyrics.ends_with(b"LYRICS200") {
        let digits = std::str::from_utf8(&lyrics[..lyrics.len() - 9]);
        let size = digits.ok().and_then(|digits| digits.parse::<u64>().ok());
        return Ok(size.map(|size| size + 15));
    }
    Ok(None)
}
