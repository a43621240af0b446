//! Replaces files so that a crash leaves either the old file or the new one, never a part of it.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::{NamedTempFile, TempDir, TempPath};

/// Writes `path` by way of a temporary file beside it, which takes its name once it is whole and on the
/// disk.
///
/// When `write` fails, or the disk is full, or the power goes, the file that was there stays whole. Its
/// mode and its owner are kept; a link is followed and stays a link.
///
/// # Errors
/// The error of `write`, or an [`io::Error`] if the folder does not let a file be made, synced or renamed
/// in it, if `path` is no regular file or a link to nothing, or if its owner cannot be kept.
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let mut files = Together::default();
    files.write(path, write)?;
    Ok(files.commit()?)
}

/// Writes `bytes` to `path` as [`write_atomically`] does.
///
/// # Errors
/// [`io::Error`] if the folder does not let a file be made, written, synced or renamed in it.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, |temporary| fs::write(temporary, bytes))
}

/// Writes `bytes` to `path` as [`write_bytes`] does, with the mode of the file `like`, and with its owner where this
/// user may give it away: for a file that tells what `like` does. Without that file it is [`write_bytes`].
///
/// # Errors
/// [`io::Error`] if the folder does not let a file be made, written, synced or renamed in it.
pub fn write_bytes_like(path: &Path, like: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, |temporary| {
        let mut file = File::options().write(true).open(temporary)?;
        be_like(&file, like)?;
        file.write_all(bytes)
    })
}

/// Gives `file` the mode of the file at `like`, if there is one, and its owner where this user may.
///
/// # Errors
/// [`io::Error`] if the mode cannot be changed.
pub fn be_like(file: &File, like: &Path) -> io::Result<()> {
    let Ok(found) = fs::metadata(like) else {
        return Ok(());
    };
    #[cfg(unix)]
    {
        // Another user's file may be read by this one, and a file of one's own be given to nobody.
        let _ = keep_owner(file, &found);
        // Who may not run or change the mode of a file that he does not own keeps it as it is.
        match file.set_permissions(found.permissions()) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            done => done?,
        }
    }
    #[cfg(not(unix))]
    let _ = (file, found);
    Ok(())
}

/// Writes `bytes` to `path` as [`write_bytes`] does, but waits for no disk: after a power cut the file may be
/// damaged. For what its reader checks and can make again: thousands of files would wait for the disk longer than they
/// take to make.
///
/// # Errors
/// [`io::Error`] if the folder does not let a file be made, written or renamed in it.
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = Unfinished::new(path)?;
    fs::write(&unfinished.temporary, bytes)?;
    unfinished.rename().map(|_| ())
}

/// Files that belong together: all of them are replaced, or none.
///
/// The file that is written last is the commit point. It is there only beside the others that were
/// written with it: [`Self::commit`] takes the old one away before it replaces the others, and puts the
/// new one in place at the end.
#[derive(Debug, Default)]
pub struct Together {
    files: Vec<Unfinished>,
}

impl Together {
    /// Writes a file under a temporary name and waits until it is on the disk.
    ///
    /// # Errors
    /// As [`write_atomically`]; no file has been replaced then.
    pub fn write<E: From<io::Error>>(
        &mut self,
        path: &Path,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let unfinished = Unfinished::new(path)?;
        write(&unfinished.temporary)?;
        File::open(&unfinished.temporary)?.sync_all()?;
        self.files.push(unfinished);
        Ok(())
    }

    /// Gives all files their names.
    ///
    /// # Errors
    /// [`io::Error`] if the folder does not let a file be renamed. Of several files, the last is then
    /// missing.
    pub fn commit(mut self) -> io::Result<()> {
        let Some(last) = self.files.pop() else {
            return Ok(());
        };
        if !self.files.is_empty() {
            match fs::remove_file(&last.target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => sync_folder(&last.target)?,
            }
        }
        for file in self.files {
            file.replace()?;
        }
        last.replace()
    }
}

/// A file that does not have its name yet.
#[derive(Debug)]
struct Unfinished {
    /// The file to replace, at the end of all links.
    target: PathBuf,
    temporary: TempPath,
    /// Held until the file has its name, so that other processes leave it alone.
    lock: File,
}

impl Unfinished {
    /// Makes an empty temporary file with the mode and owner of the file at `path`, if there is one.
    fn new(path: &Path) -> io::Result<Self> {
        let (target, old) = resolved(path)?;
        let folder = directory_of(&target);
        clear_once(&folder);
        loop {
            let named = temporary_file(&target, &folder)?;
            lock(named.as_file());
            // Between its making and its lock another process may have taken it for a left-over.
            if !named.path().exists() {
                continue;
            }
            note(named.path(), true);
            if let Some(old) = &old {
                keep_owner_and_mode(named.as_file(), old)?;
            }
            let (lock, temporary) = named.into_parts();
            return Ok(Self {
                target,
                temporary,
                lock,
            });
        }
    }

    /// Puts the file in the place of the old one, and waits until it is there on the disk.
    fn replace(self) -> io::Result<()> {
        sync_folder(&self.rename()?)
    }

    /// Puts the file in the place of the old one; returns its path.
    fn rename(self) -> io::Result<PathBuf> {
        let name = self.temporary.to_path_buf();
        let replaced = self.temporary.persist(&self.target);
        note(&name, false);
        drop(self.lock);
        replaced.map_err(|error| error.error)?;
        Ok(self.target)
    }
}

/// A folder that does not have its name yet: it is made beside its place, and takes its name once all is in it.
///
/// When it is dropped before that, or the program ends in order, nothing of it stays.
#[derive(Debug)]
pub struct UnfinishedFolder {
    target: PathBuf,
    /// Whether the target was there, empty, and holds the temporary folder.
    within: bool,
    temporary: TempDir,
    /// Held until the folder has its name, so that other processes leave it alone.
    lock: Option<File>,
}

impl UnfinishedFolder {
    /// Makes a folder that will be called `path`, as the umask has it. A folder of that name may be there if it is
    /// empty.
    ///
    /// # Errors
    /// [`io::Error`] if the folder cannot be made, or something is in the one that is there.
    pub fn new(path: &Path) -> io::Result<Self> {
        Self::with_mode(path, 0o777)
    }

    /// Makes a folder as [`Self::new`] does, which other users cannot look into.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn private(path: &Path) -> io::Result<Self> {
        Self::with_mode(path, 0o700)
    }

    fn with_mode(path: &Path, mode: u32) -> io::Result<Self> {
        let target = std::path::absolute(path)?;
        let within = match fs::read_dir(&target).map(|mut entries| entries.next().is_none()) {
            Ok(true) => true,
            Ok(false) => return Err(io::Error::other("the folder is not empty")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let parent = match within {
            true => target.clone(),
            false => directory_of(&target),
        };
        fs::create_dir_all(&parent)?;
        clear_once(&parent);
        let prefix = unfinished(&target);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).rand_bytes(RANDOM);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        loop {
            let temporary = builder.tempdir_in(&parent)?;
            let lock = File::open(temporary.path()).ok();
            lock.iter().for_each(self::lock);
            // Between its making and its lock another process may have taken it for a left-over.
            if temporary.path().exists() {
                note(temporary.path(), true);
                return Ok(Self {
                    target,
                    within,
                    temporary,
                    lock,
                });
            }
        }
    }

    /// Returns the path to write to.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the folder its name. Into a folder that was there, folders are moved before files.
    ///
    /// # Errors
    /// [`io::Error`] if something cannot be renamed.
    pub fn finish(self) -> io::Result<()> {
        drop(self.lock);
        if !self.within {
            fs::rename(self.temporary.path(), &self.target)?;
            // It has another name now, under which nothing is to be removed.
            note(&self.temporary.keep(), false);
            return sync_folder(&self.target);
        }
        let entries = fs::read_dir(self.temporary.path())?;
        let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| (entry.path().is_file(), entry.file_name()));
        for entry in entries {
            fs::rename(entry.path(), self.target.join(entry.file_name()))?;
        }
        let name = self.temporary.path().to_owned();
        self.temporary.close()?;
        note(&name, false);
        sync_folder(&name)
    }
}

/// Follows links to the file that is to be replaced, and describes it if it is there.
fn resolved(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    let refused = |what: &str| {
        let text = format!("{what}, and is not replaced");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    let is_link = path.is_symlink();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => refused("it is a folder"),
        Ok(found) if !found.is_file() => refused("it is a pipe, a device or a socket"),
        Ok(found) if is_link => Ok((path.canonicalize()?, Some(found))),
        Ok(found) => Ok((path.to_owned(), Some(found))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) if is_link => refused("it is a link to a file that is not there"),
        Err(_) => Ok((path.to_owned(), None)),
    }
}

fn temporary_file(target: &Path, folder: &Path) -> io::Result<NamedTempFile> {
    let prefix = unfinished(target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).rand_bytes(RANDOM);
    // The final file follows the umask like any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(|error| {
        let text = match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist; make it first".to_owned(),
            // Without the path of a file that nobody has asked for.
            _ => match error.get_ref().and_then(|inner| inner.source()) {
                Some(cause) => cause.to_string(),
                None => return error,
            },
        };
        io::Error::new(error.kind(), text)
    })
}

/// Gives `file` the owner and the mode of `old`, before there is anything in it to read.
#[cfg(unix)]
fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    keep_owner(file, old)?;
    file.set_permissions(old.permissions())
}

/// Gives `file` the owner of `old`.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(|error| {
            let text = format!(
                "it belongs to user {} and group {}, which a new file cannot be given ({error})",
                old.uid(),
                old.gid()
            );
            io::Error::new(error.kind(), text)
        })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Waits for the lock of `file`. Where a file system has none, nobody can take the file for a left-over.
/// Elsewhere than on Unix a lock would keep this process itself from writing.
fn lock(file: &File) {
    if cfg!(unix) {
        let _ = file.lock();
    }
}

/// The rename is on the disk only when the directory is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory_of(path))?.sync_all()?;
    }
    Ok(())
}

/// Temporary files and folders of this process.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Folders that this process has cleared.
static CLEARED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn note(path: &Path, there: bool) {
    let Ok(mut unfinished) = UNFINISHED.lock() else {
        return;
    };
    if there {
        unfinished.insert(path.to_owned());
    } else {
        unfinished.remove(path);
    }
}

/// Removes the temporary files and folders of this process, which is about to end.
pub fn remove_own_unfinished() {
    if let Ok(unfinished) = UNFINISHED.lock() {
        // From the last: a file may lie in a folder.
        for path in unfinished.iter().rev() {
            remove(path);
        }
    }
}

/// Removes a file or a folder, which may have its name by now, or be gone with an error.
fn remove(path: &Path) {
    if !path.is_dir() {
        let _ = fs::remove_file(path);
        return;
    }
    // Another thread may put a last file into a folder that is being emptied.
    let _ = (0..100).find(|_| fs::remove_dir_all(path).is_ok());
}

/// Removes what killed processes left unfinished in `folder`, the first time that this process writes there: that whose
/// lock nobody holds.
fn clear_once(folder: &Path) {
    let new = CLEARED
        .lock()
        .is_ok_and(|mut cleared| cleared.insert(folder.to_owned()));
    // Without locks a left-over cannot be told from a file that is being written.
    if !new || cfg!(not(unix)) {
        return;
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name
            .as_encoded_bytes()
            .starts_with(UNFINISHED_PREFIX.as_bytes())
            && entry
                .file_type()
                .is_ok_and(|kind| kind.is_file() || kind.is_dir())
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            remove(&entry.path());
        }
    }
}

/// First letters of the names of temporary files.
const UNFINISHED_PREFIX: &str = ".unfinished-";

/// Returns the beginning of the names of temporary files for `path`; [`RANDOM`] letters follow.
fn unfinished(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("{UNFINISHED_PREFIX}{}-", name.to_string_lossy())
}

/// Number of random letters in the name of a temporary file.
const RANDOM: usize = 6;

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
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
    fn what_waits_for_no_disk_replaces_a_file_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cached");
        for text in ["old", "the new one"] {
            write_unsynced(&path, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), text.as_bytes());
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write_unsynced(directory.path(), b"").is_err());
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_another_writes_stays() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (left, held) = (".unfinished-weights-a1B2c3", ".unfinished-other-a1B2c3");
        let set = at(".unfinished-set-a1B2c3");
        fs::create_dir(&set).unwrap();
        fs::write(set.join("half"), b"half").unwrap();
        for name in [left, held, "kept"] {
            fs::write(at(name), b"half").unwrap();
        }
        let writer = File::open(at(held)).unwrap();
        writer.lock().unwrap();
        write_bytes(&at("weights"), b"new").unwrap();
        let there = [left, held, "kept", "weights"].map(|name| at(name).exists());
        assert_eq!(there, [!cfg!(unix), true, true, true]);
        assert_eq!(set.exists(), !cfg!(unix));
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("empty")).unwrap();
        for name in ["new/below", "empty"] {
            let target = at(name);
            let folder = UnfinishedFolder::new(&target).unwrap();
            fs::create_dir(folder.path().join("class")).unwrap();
            fs::write(folder.path().join("class/clip"), b"x").unwrap();
            fs::write(folder.path().join("last"), b"y").unwrap();
            assert!(!target.join("last").exists());
            folder.finish().unwrap();
            assert_eq!(fs::read(target.join("class/clip")).unwrap(), b"x");
            assert_eq!(fs::read_dir(&target).unwrap().count(), 2, "{name}");
            let error = UnfinishedFolder::new(&target).unwrap_err();
            assert!(error.to_string().contains("not empty"), "{error}");
        }
        let dropped = UnfinishedFolder::private(&at("never")).unwrap();
        fs::write(dropped.path().join("half"), b"x").unwrap();
        let temporary = dropped.path().to_owned();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&temporary).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        drop(dropped);
        assert!(!temporary.exists() && !at("never").exists());
    }

    #[test]
    fn of_files_that_belong_together_none_is_replaced_before_all_are_whole() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let write = |text: &'static str| move |path: &Path| fs::write(path, text);
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        let mut files = Together::default();
        files.write(&at("names"), write("old names")).unwrap();
        files.write(&at("rows"), write("old rows")).unwrap();
        files.commit().unwrap();

        let mut files = Together::default();
        files.write(&at("names"), write("new names")).unwrap();
        let full = |_: &Path| Err(io::Error::from(io::ErrorKind::StorageFull));
        files.write(&at("rows"), full).unwrap_err();
        drop(files);
        assert_eq!([read("names"), read("rows")], ["old names", "old rows"]);

        let mut files = Together::default();
        files.write(&at("names"), write("new names")).unwrap();
        files.write(&at("rows"), write("new rows")).unwrap();
        files.commit().unwrap();
        assert_eq!([read("names"), read("rows")], ["new names", "new rows"]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn mode_and_links_stay_and_what_is_no_file_is_refused() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("private"), b"old").unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(at("private"), PermissionsExt::from_mode(0o600)).unwrap();
        symlink("private", at("link")).unwrap();
        write_bytes(&at("link"), b"new").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(fs::read(at("private")).unwrap(), b"new");
        assert_eq!(mode("private"), 0o600);

        fs::write(at("beside"), b"open to all").unwrap();
        for name in ["beside", "another"] {
            write_bytes_like(&at(name), &at("link"), b"as private").unwrap();
            assert_eq!(mode(name), 0o600, "{name}");
            assert_eq!(fs::read(at(name)).unwrap(), b"as private");
        }

        fs::write(at("plain"), b"").unwrap();
        write_bytes_like(&at("like nothing"), &at("nothing"), b"").unwrap();
        assert_eq!(mode("like nothing"), mode("plain"));
        write_bytes(&at("new"), b"").unwrap();
        assert_eq!(mode("new"), mode("plain"));

        symlink("nothing", at("dangling")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(pipe.unwrap().success());
        for name in ["dangling", "pipe", "."] {
            let error = write_bytes(&at(name), b"").unwrap_err();
            assert!(error.to_string().contains("not replaced"), "{error}");
        }
        assert!(at("dangling").is_symlink() && !at("nothing").exists());
    }
}
