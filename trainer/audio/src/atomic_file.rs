//! Replaces files so that a crash leaves either the old file or the new one, never a part of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Writes `path` by way of a temporary file beside it, which takes its name once it is whole and on the
/// disk.
///
/// When `write` fails, or the disk is full, or the power goes, the file that was there stays whole.
///
/// # Errors
/// The error of `write`, or an [`io::Error`] if the folder does not let a file be made, synced or renamed
/// in it.
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let directory = directory_of(path);
    let temporary = tempfile::Builder::new()
        .prefix(&unfinished(path))
        .rand_bytes(RANDOM)
        .tempfile_in(&directory)?
        .into_temp_path();
    write(&temporary)?;
    File::open(&temporary)?.sync_all()?;
    // Only its owner may read a temporary file; the final file follows the umask like any other.
    #[cfg(unix)]
    set_default_permissions(&directory, &temporary)?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The rename is on the disk only when the directory is.
    #[cfg(unix)]
    File::open(&directory)?.sync_all()?;
    Ok(())
}

/// Removes the unfinished files that killed writes of `path` left behind.
///
/// Call it only when no other process can be writing `path`: it would lose its file.
///
/// # Errors
/// [`io::Error`] if the folder cannot be read, or a file in it cannot be removed.
pub fn remove_unfinished(path: &Path) -> io::Result<()> {
    let prefix = unfinished(path);
    for entry in std::fs::read_dir(directory_of(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        // Anything longer than the random letters belongs to another file, whose name begins like this
        // one's.
        let random = rest.map(|rest| rest.strip_suffix(PROBE).unwrap_or(rest));
        if random.is_some_and(|r| r.len() == RANDOM && r.chars().all(char::is_alphanumeric)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Returns the beginning of the names of temporary files for `path`; [`RANDOM`] letters follow.
fn unfinished(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!(".unfinished-{}-", name.to_string_lossy())
}

/// Number of random letters in the name of a temporary file.
const RANDOM: usize = 6;

/// Ending of the file that is made only to learn which permissions a new file gets.
const PROBE: &str = "-mode";

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes `bytes` to `path` as [`write_atomically`] does.
///
/// # Errors
/// [`io::Error`] if the folder does not let a file be made, written, synced or renamed in it.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, |temporary| std::fs::write(temporary, bytes))
}

/// Gives `file` the permissions that a plainly created file has.
#[cfg(unix)]
fn set_default_permissions(directory: &Path, file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut probe = file.as_os_str().to_owned();
    probe.push(PROBE);
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
        let error = write_atomically(&path, |temporary| {
            std::fs::write(temporary, b"half of the n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        write_bytes(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
    #[test]
    fn leftovers_of_a_file_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.mtss");
        let others = [
            "p.mtss",
            ".unfinished-p.mtss-other-a1B2c3",
            ".unfinished-p.mtss.clips-a1B2c3",
            ".unfinished-p.mtss-a1B2c3d",
        ];
        let leftovers = [
            ".unfinished-p.mtss-a1B2c3",
            ".unfinished-p.mtss-a1B2c3-mode",
        ];
        for name in others.iter().chain(&leftovers) {
            std::fs::write(directory.path().join(name), b"half").unwrap();
        }
        // They are named as a write names its temporary file.
        write_atomically::<io::Error>(&path, |temporary| {
            let name = temporary.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with(&unfinished(&path)), "{name}");
            assert_eq!(name.len(), leftovers[0].len());
            Ok(())
        })
        .unwrap();
        remove_unfinished(&path).unwrap();
        let there = |name: &&str| directory.path().join(name).exists();
        assert!(others.iter().all(there) && !leftovers.iter().any(there));
    }
}
