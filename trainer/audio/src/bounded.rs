//! Opens and reads files, whatever their names lead to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens the file at `path` to read it.
///
/// A pipe would make the reader wait, deaf to signals, and a device never ends: both are refused before they are opened.
///
/// # Errors
/// [`io::Error`] if it cannot be opened, or is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    must_be_regular(path)?;
    File::open(path)
}

/// Refuses what is there and is no regular file, before it is opened.
///
/// # Errors
/// [`io::Error`] if nothing is there, or no regular file.
fn must_be_regular(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_file() {
        return Ok(());
    }
    let text = "it is not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Refuses what is there and is no regular file, before it is opened to be written. Nothing need be there.
///
/// # Errors
/// [`io::Error`] if something else is there.
pub fn must_be_regular_or_new(path: &Path) -> io::Result<()> {
    match must_be_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        found => found,
    }
}

/// Reads the regular file at `path`, whatever its size.
///
/// # Errors
/// [`io::Error`] if it cannot be read, or is no regular file.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the regular file at `path`, which may hold up to `most` bytes.
///
/// # Errors
/// [`io::Error`] if it cannot be read, is no regular file or holds more.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    // A file may grow while it is read.
    let read = (&file)
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if read as u64 > most {
        let len = file.metadata()?.len().max(read as u64);
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it has {len} bytes, and at most {most} are read"),
        ));
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
        must_be_regular_or_new(folder.path()).unwrap_err();
        must_be_regular_or_new(&folder.path().join("new")).unwrap();
        if cfg!(unix) {
            let error = read_bounded(Path::new("/dev/zero"), 3).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
            read_regular(Path::new("/dev/zero")).unwrap_err();
            must_be_regular_or_new(Path::new("/dev/zero")).unwrap_err();
        }
    }
}
