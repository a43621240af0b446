//! Keeps decoded recordings on disk, so that the next run need not decode and resample them again.
//!
//! Each recording has a file, named by a hash of its key: the recording's path, size and time of
//! change, and the sample rate. The file holds the key too, so that a clash of hashes is seen. Then
//! come the samples as [`Samples`] holds them: the value of a step as a little-endian `f32`, and
//! little-endian 16-bit integers.

use super::decode::load;
use super::error::AudioError;
use super::samples::Samples;
use crate::atomic_file::write_bytes;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// First bytes of a cached recording. A change of the format changes the number in them.
const MAGIC: &[u8] = b"mtslvr samples 2\n";

/// A folder of decoded recordings, or none.
#[derive(Clone, Debug, Default)]
pub struct DecodeCache {
    folder: Option<PathBuf>,
}

impl DecodeCache {
    /// Decodes every time.
    pub const NONE: Self = Self { folder: None };

    /// Opens a cache in `folder`, which is created if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn in_folder(folder: &Path) -> Result<Self, AudioError> {
        fs::create_dir_all(folder).map_err(|source| AudioError::Io {
            path: folder.to_owned(),
            action: "make",
            source,
        })?;
        Ok(Self {
            folder: Some(folder.to_owned()),
        })
    }

    /// Returns the samples of the recording at `path`, at `sample_rate` Hz: the same bits whether they
    /// come from the cache or not.
    ///
    /// A damaged cached file, or a cache that cannot be written, is no error: the recording is decoded.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, path: &Path, sample_rate: u32) -> Result<Samples, AudioError> {
        let decode = || load(path, sample_rate).map(Samples::from);
        let Some((entry, key)) = self.entry(path, sample_rate) else {
            return decode();
        };
        if let Some(samples) = fs::read(&entry).ok().and_then(|b| parse(&b, &key)) {
            return Ok(samples);
        }
        let samples = decode()?;
        let _ = write_bytes(&entry, &serialise(&samples, &key));
        Ok(samples)
    }

    /// Returns the path of the cached samples, and their key; `None` without a cache, or if the
    /// recording's size and time of change cannot be read.
    fn entry(&self, path: &Path, sample_rate: u32) -> Option<(PathBuf, String)> {
        let folder = self.folder.as_ref()?;
        let full = path.canonicalize().ok()?;
        let file = fs::metadata(&full).ok()?;
        let changed = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let key = format!(
            "{} {} {} {sample_rate}",
            file.len(),
            changed.as_nanos(),
            full.display()
        );
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Some((folder.join(format!("{:016x}.i16", hasher.finish())), key))
    }
}

/// Serialises magic, length of the key, key, value of a step, number of samples, and samples.
fn serialise(samples: &Samples, key: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((key.len() as u32).to_le_bytes());
    bytes.extend(key.as_bytes());
    bytes.extend(samples.step().to_le_bytes());
    bytes.extend((samples.len() as u64).to_le_bytes());
    bytes.extend(
        samples
            .values()
            .iter()
            .flat_map(|value| value.to_le_bytes()),
    );
    bytes
}

/// Returns the samples if the bytes are whole and belong to `key`.
fn parse(bytes: &[u8], key: &str) -> Option<Samples> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (found, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (step, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (values, odd) = rest.as_chunks();
    let whole = odd.is_empty() && values.len() as u64 == u64::from_le_bytes(*count);
    let values = || values.iter().map(|bytes| i16::from_le_bytes(*bytes));
    (whole && found == key.as_bytes())
        .then(|| Samples::from_steps(values().collect(), f32::from_le_bytes(*step)))
}

#[cfg(test)]
mod tests {
    use super::super::write_wav;
    use super::*;

    #[test]
    fn the_second_load_gives_the_same_bits_from_the_cache() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clip.wav");
        let tone: Vec<f32> = (0..4_410).map(|i| 0.3 * (i as f32 * 0.05).sin()).collect();
        write_wav(&path, &tone, 44_100).unwrap();
        let folder = directory.path().join("cache");
        let cache = DecodeCache::in_folder(&folder).unwrap();
        let entries = || fs::read_dir(&folder).unwrap().count();
        let first = cache.load(&path, 16_000).unwrap();
        assert_eq!(first, Samples::from(load(&path, 16_000).unwrap()));
        assert_eq!(first, DecodeCache::NONE.load(&path, 16_000).unwrap());
        assert_eq!(entries(), 1);
        assert_eq!(cache.load(&path, 16_000).unwrap(), first);

        // The cached samples are used until they are damaged.
        let (entry, key) = cache.entry(&path, 16_000).unwrap();
        let other = Samples::from(vec![0.5; 3]);
        fs::write(&entry, serialise(&other, &key)).unwrap();
        assert_eq!(cache.load(&path, 16_000).unwrap(), other);
        for damage in [&b"no samples"[..], &serialise(&first, &key)[..200], b""] {
            fs::write(&entry, damage).unwrap();
            assert_eq!(cache.load(&path, 16_000).unwrap(), first);
        }
        fs::write(&entry, serialise(&other, "another recording")).unwrap();
        assert_eq!(cache.load(&path, 16_000).unwrap(), first);

        assert_ne!(cache.load(&path, 8_000).unwrap().len(), first.len());
        write_wav(&path, &tone[..2_205], 44_100).unwrap();
        assert!(cache.load(&path, 16_000).unwrap().len() < first.len());
        assert_eq!(entries(), 3);
        let error = cache.load(&directory.path().join("gone.wav"), 16_000);
        assert!(error.unwrap_err().to_string().contains("gone.wav"));
    }
}
