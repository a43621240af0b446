//! The answers of a teacher on windows, in a file that is only ever appended to, so that no window is heard
//! twice: not after Ctrl-C, not in the next run.
//!
//! It is a [`RecordFile`], named by a hash of what decides its contents beside the clips, which is its
//! first line: the teacher's file, its output, and the rule by which windows are cut. The payload of a
//! record, little-endian: the SHA-256 of the clip's samples (32 bytes), and the values of each of its
//! windows in half precision.

use super::windows::WindowRule;
use anyhow::{Context, Result, bail};
use half::f16;
use mtslvr_audio::{RecordFile, RecordFileError, Samples};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

/// Bytes of a payload in front of the values.
const ID: usize = 32;

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
    file: RecordFile,
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
    /// Opens the file in `folder`, which is made, or begins one. A damaged end is cut off
    /// ([`Self::cut_off`]).
    pub(super) fn open(folder: &Path, origin: &Origin) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let line = origin.line();
        let path = folder.join(format!("{}.heard", &hash_of(line.as_bytes())[..16]));
        let mut clips = HashMap::new();
        let take = |place, payload: &[u8]| {
            let Some((id, values)) = payload.split_first_chunk() else {
                return false;
            };
            let entry = Entry {
                at: place + ID as u64,
                windows: values.len() / (2 * origin.dim),
            };
            clips.insert(ClipId(*id), entry);
            values.len().is_multiple_of(2 * origin.dim)
        };
        let file = match RecordFile::open(&path, &line, take) {
            Err(RecordFileError::Locked { path }) => bail!(
                "{}: another run listens to this teacher; wait for it, or name another folder with --cache",
                path.display()
            ),
            Err(error @ RecordFileError::OtherLine { .. }) => {
                bail!("{error}: it is damaged; delete it, and the teacher listens again")
            }
            file => file?,
        };
        Ok(Self {
            file,
            dim: origin.dim,
            clips,
        })
    }

    /// Number of bytes that were cut off when the file was opened: the teacher listens to their clips
    /// again.
    pub(super) fn cut_off(&self) -> u64 {
        self.file.cut_off()
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
        let mut payload = Vec::from(clip.0);
        payload.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let place = self.file.append(&payload);
        let place = place.with_context(|| self.cannot_be("written"))?;
        let entry = Entry {
            at: place + ID as u64,
            windows: values.len() / self.dim,
        };
        self.clips.insert(clip, entry);
        Ok(())
    }

    /// Appends what the teacher said of a clip's windows to `out`, value after value.
    ///
    /// # Panics
    /// If the clip is not known.
    pub(super) fn read(&mut self, clip: &ClipId, out: &mut Vec<f64>) -> Result<()> {
        let entry = self.clips[clip];
        let mut bytes = vec![0; 2 * entry.windows * self.dim];
        let read = self.file.read(entry.at, &mut bytes);
        read.with_context(|| self.cannot_be("read"))?;
        let values = bytes.as_chunks().0.iter();
        out.extend(values.map(|bytes| f16::from_le_bytes(*bytes).to_f64()));
        Ok(())
    }

    fn cannot_be(&self, done: &str) -> String {
        format!("{}: cannot be {done}", self.file.path().display())
    }
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
        let path = heard.file.path().to_owned();
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
        // A flipped bit costs what follows it.
        let mut flipped = whole.clone();
        let at = whole.len() - 1;
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        let heard = Heard::open(directory.path(), &origin("a")).unwrap();
        assert!(heard.knows(&first, 2) && !heard.knows(&second, 1));
        drop(heard);
        std::fs::write(&path, b"mtslvr heard 0").unwrap();
        let damaged = Heard::open(directory.path(), &origin("a")).unwrap_err();
        assert!(damaged.to_string().contains("delete it"), "{damaged}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mtslvr heard 0");
        std::fs::write(&path, b"").unwrap();
        let heard = Heard::open(directory.path(), &origin("a")).unwrap();
        assert!(!heard.knows(&first, 2));
    }

    #[test]
    fn each_origin_has_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|output| {
            let heard = Heard::open(directory.path(), &origin(output)).unwrap();
            heard.file.path().to_owned()
        });
        assert_ne!(files[0], files[1]);
        assert_ne!(id(&[0.5]), id(&[0.5, 0.0]));
        assert_ne!(id(&[0.5; 5000]), id(&[0.25; 5000]));
        assert_eq!(id(&[0.5; 5000]), id(&[0.5; 5000]));
    }
}
