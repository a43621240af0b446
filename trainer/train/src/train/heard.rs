//! The answers of a teacher on windows, in a file that is only ever appended to, so that no window is heard
//! twice: not after Ctrl-C, not in the next run.
//!
//! The file is named by a hash of what decides its contents beside the clips, and begins with that as a
//! line of text: the teacher's file, its output, and the rule by which windows are cut. Records follow,
//! little-endian: the payload's length and its CRC-32 (4 bytes each), then the payload: the SHA-256 of
//! the clip's samples (32 bytes), and the values of each of its windows in half precision. A record that
//! was not written whole ends the file when it is opened again, and is cut off.

use super::windows::WindowRule;
use anyhow::{Context, Result, bail};
use half::f16;
use mtslvr_audio::Samples;
use mtslvr_runtime::model::Crc32;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes in front of a payload.
const PREFIX: usize = 8;

/// Bytes of a payload in front of the values.
const ID: usize = 32;

/// Longest payload that is believed: more than a day of windows of a thousand values.
const LONGEST: usize = 1 << 30;

/// Samples that are hashed at once.
const HASHED: usize = 1 << 12;

/// SHA-256 of a clip's samples as `f32`, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClipId([u8; ID]);

impl ClipId {
    pub(super) fn of(samples: &Samples) -> Self {
        let mut hash = Sha256::new();
        let mut bytes = Vec::with_capacity(4 * HASHED);
        for start in (0..samples.len()).step_by(HASHED) {
            let chunk = samples.cut(start, HASHED.min(samples.len() - start));
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|sample| sample.to_le_bytes()));
            hash.update(&bytes);
        }
        Self(hash.finalize().into())
    }
}

/// Hexadecimal digits of the SHA-256 of `bytes`.
pub(super) fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Key of a file of [`Heard`]: all that decides its contents, beside the clips.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// [`hash_of`] the teacher's file.
    pub(super) teacher: String,
    /// Its output.
    pub(super) output: String,
    /// Values that it says of a window.
    pub(super) dim: usize,
    /// Rule by which windows are cut.
    pub(super) rule: WindowRule,
}

impl Origin {
    fn line(&self) -> String {
        format!(
            "mtslvr heard 1: teacher {}, output {:?}, {} values, windows of {} samples, one every {}\n",
            self.teacher, self.output, self.dim, self.rule.samples, self.rule.hop
        )
    }
}

/// An open file of what a teacher says, which no other process has open.
#[derive(Debug)]
pub(super) struct Heard {
    path: PathBuf,
    file: File,
    /// Offset of the next record.
    end: u64,
    dim: usize,
    clips: HashMap<ClipId, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Offset of the values in the file.
    at: u64,
    windows: usize,
}

impl Heard {
    /// Opens the file in `folder`, which is made, or begins one. A damaged end is cut off.
    pub(super) fn open(folder: &Path, origin: &Origin) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let line = origin.line();
        let path = folder.join(format!("{}.heard", &hash_of(line.as_bytes())[..16]));
        let cannot = || format!("{}: cannot be used", path.display());
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "{}: another run listens to this teacher; wait for it, or name another folder with --cache",
                path.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        let mut heard = Self {
            path: path.clone(),
            file,
            end: line.len() as u64,
            dim: origin.dim,
            clips: HashMap::new(),
        };
        heard.read_records(line.as_bytes()).with_context(cannot)?;
        Ok(heard)
    }

    /// Remembers whole records up to the first that is none, or the end.
    fn read_records(&mut self, line: &[u8]) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let mut first = vec![0; line.len()];
        if read_up_to(&mut reader, &mut first)? < line.len() || first != line {
            // New, or cut short before its first record.
            let mut file = &self.file;
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            return file.write_all(line);
        }
        let mut prefix = [0; PREFIX];
        let mut payload = Vec::new();
        while read_up_to(&mut reader, &mut prefix)? == PREFIX {
            let [length, crc] = [0, 4].map(|at| word(&prefix[at..]));
            let length = length as usize;
            let whole = |values: usize| values.is_multiple_of(2 * self.dim);
            if !(ID..=LONGEST).contains(&length) || !whole(length - ID) {
                break;
            }
            payload.resize(length, 0);
            if read_up_to(&mut reader, &mut payload)? < length
                || Crc32::new().update(&payload).finish() != crc
            {
                break;
            }
            let (id, values) = payload.split_at(ID);
            let entry = Entry {
                at: self.end + (PREFIX + ID) as u64,
                windows: values.len() / (2 * self.dim),
            };
            let id = ClipId(id.try_into().expect("32 bytes"));
            self.clips.insert(id, entry);
            self.end += (PREFIX + length) as u64;
        }
        self.file.set_len(self.end)
    }

    /// Number of values that the teacher says of a window.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Whether it is known what the teacher says of the `windows` windows of a clip.
    pub(super) fn knows(&self, clip: &ClipId, windows: usize) -> bool {
        self.clips
            .get(clip)
            .is_some_and(|entry| entry.windows == windows)
    }

    /// Appends what the teacher says of a clip's windows.
    ///
    /// # Panics
    /// If `values` are not those of whole windows.
    pub(super) fn append(&mut self, clip: ClipId, values: &[f16]) -> Result<()> {
        assert!(
            values.len().is_multiple_of(self.dim),
            "values of whole windows"
        );
        let mut record = vec![0; PREFIX];
        record.extend(clip.0);
        record.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let payload = &record[PREFIX..];
        let (length, crc) = (payload.len() as u32, Crc32::new().update(payload).finish());
        record[..4].copy_from_slice(&length.to_le_bytes());
        record[4..PREFIX].copy_from_slice(&crc.to_le_bytes());
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&record)
        };
        write().with_context(|| format!("{}: cannot be written", self.path.display()))?;
        let entry = Entry {
            at: self.end + (PREFIX + ID) as u64,
            windows: values.len() / self.dim,
        };
        self.clips.insert(clip, entry);
        self.end += record.len() as u64;
        Ok(())
    }

    /// Appends what the teacher said of a clip's windows to `out`, value after value.
    ///
    /// # Panics
    /// If the clip is not known.
    pub(super) fn read(&mut self, clip: &ClipId, out: &mut Vec<f64>) -> Result<()> {
        let entry = self.clips[clip];
        let mut bytes = vec![0; 2 * entry.windows * self.dim];
        let mut read = || {
            self.file.seek(SeekFrom::Start(entry.at))?;
            self.file.read_exact(&mut bytes)
        };
        read().with_context(|| format!("{}: cannot be read", self.path.display()))?;
        let values = bytes.chunks_exact(2);
        out.extend(values.map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()));
        Ok(())
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Fills `buffer` as far as the file goes.
fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match from.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(output: &str) -> Origin {
        Origin {
            teacher: hash_of(b"a teacher"),
            output: output.into(),
            dim: 3,
            rule: WindowRule {
                samples: 10,
                hop: 5,
            },
        }
    }

    fn id(samples: &[f32]) -> ClipId {
        ClipId::of(&Samples::from(samples))
    }

    fn values(count: usize) -> Vec<f16> {
        (0..count).map(|i| f16::from_f32(i as f32 * 0.25)).collect()
    }

    fn read(heard: &mut Heard, clip: &ClipId) -> Vec<f64> {
        let mut out = Vec::new();
        heard.read(clip, &mut out).unwrap();
        out
    }

    #[test]
    fn what_was_heard_is_there_again_and_a_torn_end_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second, third] = [1.0, 2.0, 3.0].map(|x| id(&[x; 20]));
        let mut heard = Heard::open(directory.path(), &origin("a")).unwrap();
        heard.append(first, &values(6)).unwrap();
        heard.append(second, &values(3)).unwrap();
        assert!(heard.knows(&first, 2) && !heard.knows(&first, 3) && !heard.knows(&third, 1));
        let locked = Heard::open(directory.path(), &origin("a")).unwrap_err();
        assert!(locked.to_string().contains("another run"), "{locked}");
        let path = heard.path.clone();
        drop(heard);

        let whole = std::fs::read(&path).unwrap();
        for torn in [whole.len() - 1, whole.len() - 2 * 3 - ID - 3] {
            std::fs::write(&path, &whole[..torn]).unwrap();
            let mut heard = Heard::open(directory.path(), &origin("a")).unwrap();
            assert!(heard.knows(&first, 2) && !heard.knows(&second, 1));
            assert_eq!(read(&mut heard, &first), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);
            heard.append(third, &values(3)).unwrap();
            assert_eq!(read(&mut heard, &third), [0.0, 0.25, 0.5]);
        }
        // A flipped bit costs what follows it; another header the whole file.
        let mut flipped = whole.clone();
        let at = whole.len() - 1;
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        let heard = Heard::open(directory.path(), &origin("a")).unwrap();
        assert!(heard.knows(&first, 2) && !heard.knows(&second, 1));
        drop(heard);
        for strange in [&b"mtslvr heard 0"[..], b""] {
            std::fs::write(&path, strange).unwrap();
            let heard = Heard::open(directory.path(), &origin("a")).unwrap();
            assert!(!heard.knows(&first, 2));
        }
    }

    #[test]
    fn each_origin_has_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|output| {
            let heard = Heard::open(directory.path(), &origin(output)).unwrap();
            heard.path.clone()
        });
        assert_ne!(files[0], files[1]);
        assert_ne!(id(&[0.5]), id(&[0.5, 0.0]));
        assert_ne!(id(&[0.5; 5000]), id(&[0.25; 5000]));
        assert_eq!(id(&[0.5; 5000]), id(&[0.5; 5000]));
    }
}
