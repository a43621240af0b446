//! ONNX Runtime's library, out of the wheel on PyPI: loaded at run time by the `ort` engine.

use crate::{embedded, process, workspace};
use anyhow::{Context, Result, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python, and where it is in a virtual environment.
const PYTHON: [&str; 2] = if cfg!(windows) {
    ["python", "Scripts/python"]
} else {
    ["python3", "bin/python"]
};

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
    let python =
        || process::succeeds(Command::new(PYTHON[0]).args(["-c", "import venv, ensurepip"]));
    embedded::provide(
        "python3 with its venv module, which fetches ONNX Runtime (ORT_DYLIB_PATH can name a library instead),",
        python,
        &["python3", "python3-venv"],
    )?;
    process::run(Command::new(PYTHON[0]).args(["-m", "venv"]).arg(&venv))?;
    process::run(
        Command::new(venv.join(PYTHON[1]))
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--no-input"])
            .arg(format!("onnxruntime=={VERSION}")),
    )
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
