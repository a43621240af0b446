//! Opens the files of models, whatever their names lead to.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens the file at `path` to read it. A pipe would make the reader wait, deaf to signals, and a device never ends:
/// both are refused before they are opened.
///
/// # Errors
/// [`io::Error`] if it cannot be opened, or is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    let text = "it is not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
