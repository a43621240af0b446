//! Files that are either the old ones or the new ones, whatever happens in between.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Writes `path` through a neighbour that is renamed into place once it is whole and on the disk.
///
/// When `write` fails, or the disk is full, or the power goes, the file that was there stays whole.
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let neighbour = tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempfile_in(&directory)?
        .into_temp_path();
    write(&neighbour)?;
    File::open(&neighbour)?.sync_all()?;
    // A temporary file is the owner's alone; one that takes a name is for whoever the umask lets.
    #[cfg(unix)]
    set_default_permissions(&directory, &neighbour)?;
    neighbour.persist(path).map_err(|error| error.error)?;
    // The rename itself is on the disk once the directory is.
    #[cfg(unix)]
    File::open(&directory)?.sync_all()?;
    Ok(())
}

/// [`write_atomically`] for bytes that are already there.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, |neighbour| std::fs::write(neighbour, bytes))
}

/// Gives `file` the permissions that a plainly created file has.
#[cfg(unix)]
fn set_default_permissions(directory: &Path, file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut probe = file.as_os_str().to_owned();
    probe.push("-mode");
    let probe = directory.join(probe);
    let mode = File::create_new(&probe)?.metadata()?.permissions().mode();
    std::fs::remove_file(&probe)?;
    std::fs::set_permissions(file, PermissionsExt::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights");
        write_bytes(&path, b"old").unwrap();
        let error = write_atomically(&path, |neighbour| {
            std::fs::write(neighbour, b"half of the n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        write_bytes(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
