//! Reads small files whole, whatever their names lead to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads the file at `path`, which may hold up to `most` bytes.
///
/// A pipe would make the reader wait and a device never ends, so both are refused before they are
/// opened.
///
/// # Errors
/// [`io::Error`] if it cannot be read, is no regular file or holds more.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    let refused = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    if !found.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    // A file may grow while it is read.
    let read = File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if read as u64 > most {
        let len = found.len().max(read as u64);
        return Err(refused(format!(
            "it has {len} bytes, and at most {most} are read"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, b"1234").unwrap();
        assert_eq!(read_bounded(&path, 4).unwrap(), b"1234");
        let error = read_bounded(&path, 3).unwrap_err().to_string();
        assert_eq!(error, "it has 4 bytes, and at most 3 are read");
        read_bounded(folder.path(), 3).unwrap_err();
        if cfg!(unix) {
            let error = read_bounded(Path::new("/dev/zero"), 3).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
}
