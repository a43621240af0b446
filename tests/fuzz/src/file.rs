//! A file for parsers that read files.

use std::path::PathBuf;
use std::sync::OnceLock;

/// A folder in memory where the system has one, of this process alone.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Returns a folder of this process.
pub fn folder() -> &'static PathBuf {
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let folder = root.join(format!("mtslvr-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the inputs");
        folder
    })
}

/// Writes `bytes` to a file called `name` and this thread, and returns its path.
pub fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(format!("{name}-{:?}", std::thread::current().id()));
    std::fs::write(&path, bytes).expect("room for an input");
    path
}
