//! Keeps decoded recordings on disk, so that the next run need not decode and resample them again.
//!
//! Each recording has a file, named by its key: the SHA-256 of the recording's bytes, the sample rate and
//! the version of this program. The file holds the key, too, so that one that was renamed is seen. Then
//! come the samples as [`Samples`] holds them: the value of a step as a little-endian `f32`, and
//! little-endian 16-bit integers. The CRC-32 of all that ends the file.

use super::bounded::open_regular;
use super::decode::load;
use super::error::AudioError;
use super::samples::Samples;
use crate::atomic_file::write_unsynced;
use mtslvr_runtime::model::Crc32;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// First bytes of a cached recording. A change of the format changes the number in them.
const MAGIC: &[u8] = b"mtslvr samples 3\n";

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
        fs::create_dir_all(folder).map_err(|error| AudioError::Io {
            path: folder.to_owned(),
            action: "make",
            error,
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
        let before = stamp(path);
        let Some((entry, key)) = self.entry(path, sample_rate) else {
            return decode();
        };
        if let Some(samples) = fs::read(&entry).ok().and_then(|b| cached_samples(&b, &key)) {
            return Ok(samples);
        }
        let samples = decode()?;
        // A recording that changed meanwhile is not the one that the key names.
        if before.is_some() && before == stamp(path) {
            let _ = write_unsynced(&entry, &serialise(&samples, &key));
        }
        Ok(samples)
    }

    /// Returns the path of the cached samples, and their key; `None` without a cache, or if the
    /// recording cannot be read.
    fn entry(&self, path: &Path, sample_rate: u32) -> Option<(PathBuf, String)> {
        let folder = self.folder.as_ref()?;
        let hash = hexadecimal(&file_hash(path).ok()?.1);
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("{}-{sample_rate}.i16", &hash[..32]);
        Some((folder.join(name), format!("{hash} {sample_rate} {version}")))
    }
}

/// Returns the number of a file's bytes and their SHA-256.
///
/// # Errors
/// [`io::Error`] if it cannot be read.
pub fn file_hash(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let mut file = open_regular(path)?;
    let (mut hash, mut bytes) = (Sha256::new(), vec![0; 1 << 16]);
    let mut size = 0;
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok((size, hash.finalize().into())),
            read => {
                hash.update(&bytes[..read]);
                size += read as u64;
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns size and time of change of a file.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}

/// Serialises magic, length of the key, key, value of a step, number of samples, samples, and checksum.
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
    bytes.extend(Crc32::new().update(&bytes).finish().to_le_bytes());
    bytes
}

/// Returns the samples of a cached recording's bytes if they are whole and belong to `key`.
pub fn cached_samples(bytes: &[u8], key: &str) -> Option<Samples> {
    let (bytes, stated) = bytes.split_last_chunk()?;
    if Crc32::new().update(bytes).finish() != u32::from_le_bytes(*stated) {
        return None;
    }
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
        let mut flipped = serialise(&other, &key);
        for at in 0..flipped.len() {
            flipped[at] ^= 4;
            assert!(cached_samples(&flipped, &key).is_none(), "{at}");
            flipped[at] ^= 4;
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

    #[test]
    fn clips_of_equal_size_and_time_that_change_places_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let cache = DecodeCache::in_folder(&at("cache")).unwrap();
        let write = |name: &str, value: f32| {
            write_wav(&at(name), &vec![value; 1_600], 16_000).unwrap();
            let file = fs::File::options().write(true).open(at(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        write("a.wav", 0.25);
        write("b.wav", -0.5);
        let load = |name: &str| cache.load(&at(name), 16_000).unwrap();
        let (a, b) = (load("a.wav"), load("b.wav"));
        assert_ne!(a, b);
        write("a.wav", -0.5);
        write("b.wav", 0.25);
        assert_eq!((load("a.wav"), load("b.wav")), (b, a));
    }
}
