//! The search path of the programs that are tested.

use std::ffi::OsString;
use std::path::Path;

/// Returns the search path of this process without the folder of the program: who has it in there, as the README says,
/// is told to type `mtslvr`, and nobody else is.
pub fn without_the_program() -> OsString {
    let folder = Path::new(env!("CARGO_BIN_EXE_mtslvr")).parent();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).filter(|path| Some(path.as_path()) != folder);
    std::env::join_paths(others).expect("it was split")
}
