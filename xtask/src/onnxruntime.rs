//! ONNX Runtime's library, out of the wheel on PyPI: loaded at run time by the `ort` engine.

use crate::{python, workspace};
use anyhow::{Context, Result, ensure};
use std::env;
use std::path::{Path, PathBuf};

/// The wheel that the engines are tested with.
const VERSION: &str = "1.32.0";

/// Returns the library's path: `ORT_DYLIB_PATH` if set, else the one in a virtual environment under
/// the target folder, which is made at the first call.
pub fn set_up() -> Result<PathBuf> {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "ORT_DYLIB_PATH is {}, which is not a file: set it to libonnxruntime.so, or unset it \
             to have the library fetched from PyPI",
            path.display()
        );
        return Ok(path);
    }
    let venv = workspace::target_dir().join(format!("venv-onnxruntime-{VERSION}"));
    if let Some(library) = find(&venv) {
        return Ok(library);
    }
    python::environment(&venv).context(
        "python3 fetches ONNX Runtime; or set ORT_DYLIB_PATH to a libonnxruntime of your own",
    )?;
    // Its dependencies are for Python.
    let packages = ["--no-deps".to_owned(), format!("onnxruntime=={VERSION}")];
    python::install(&venv, &packages)
        .context("pip could not fetch ONNX Runtime; ORT_DYLIB_PATH can name a library instead")?;
    find(&venv).with_context(|| format!("no libonnxruntime in {}", venv.display()))
}

/// The library inside the environment `venv`, whatever Python's version.
fn find(venv: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(venv.join("lib")).ok()?;
    // On Windows there is no folder of a version between.
    for folder in pythons
        .flatten()
        .map(|python| python.path())
        .chain([venv.join("lib")])
    {
        let folder = folder.join("site-packages/onnxruntime/capi");
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("libonnxruntime.") || name == "onnxruntime.dll" {
                return Some(entry.path());
            }
        }
    }
    None
}
