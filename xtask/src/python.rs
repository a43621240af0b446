//! The Python package: built as a wheel, and tested in an environment where nothing else of it is.

use crate::{embedded, process, workspace};
use anyhow::{Context, Result, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::document::grouped;

/// Builds the wheel.
const MATURIN: &str = "1.16.0";

/// Python's program outside of environments.
const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Packages that the tests need beside the wheel and what that depends on.
const TEST_PACKAGES: [&str; 2] = ["pytest==9.2.0", "mypy==2.4.1"];

/// The package's folder.
const FOLDER: &str = "trainer/python";

/// Manifest of the package, which is a workspace of its own.
pub const MANIFEST: &str = "trainer/python/Cargo.toml";

/// Builds the wheel and returns its path.
pub fn wheel() -> Result<PathBuf> {
    let tools = workspace::target_dir().join(format!("venv-maturin-{MATURIN}"));
    let maturin = installed(&tools, "maturin");
    if !maturin.is_file() {
        environment(&tools)?;
        install(&tools, &[format!("maturin=={MATURIN}")])?;
    }
    let folder = workspace::target_dir().join("wheels");
    // A wheel of another version would be found, too.
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    process::run(
        workspace::host_command(&maturin)?
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(workspace::root().join(MANIFEST))
            .arg("--out")
            .arg(&folder),
    )?;
    let mut files = fs::read_dir(&folder)?;
    let wheel = files.next().context("maturin made no wheel")??;
    ensure!(
        files.next().is_none(),
        "maturin made several files in {}, expected one wheel",
        folder.display()
    );
    Ok(wheel.path())
}

/// Builds the wheel, installs it into a fresh environment, and tests it there against the program. Returns its size
/// in words.
pub fn test(program: &Path) -> Result<String> {
    ensure!(
        program.is_file(),
        "{} is missing, which the package is compared with: build it with `cargo build --release`",
        program.display()
    );
    let wheel = wheel()?;
    let fresh = workspace::target_dir().join("venv-python-test");
    environment(&fresh)?;
    let mut packages = TEST_PACKAGES.map(str::to_owned).to_vec();
    packages.push(wheel.display().to_string());
    install(&fresh, &packages)?;
    process::run(
        Command::new(installed(&fresh, "python"))
            .current_dir(workspace::root().join(FOLDER))
            .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MTSLVR_PROGRAM", program),
    )?;
    let bytes = fs::metadata(&wheel)?.len();
    Ok(format!("wheel {} bytes", grouped(bytes)))
}

/// Returns the path of a program in an environment.
fn installed(environment: &Path, name: &str) -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    environment
        .join(folder)
        .join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Makes a virtual environment without packages in `folder`, in place of one that is there.
pub fn environment(folder: &Path) -> Result<()> {
    embedded::provide(
        "python3 with its venv module",
        || process::succeeds(Command::new(PYTHON).args(["-c", "import venv, ensurepip"])),
        &["python3", "python3-venv"],
    )?;
    process::run(
        Command::new(PYTHON)
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )
}

/// Installs packages of PyPI, and files, into an environment.
pub fn install(environment: &Path, packages: &[String]) -> Result<()> {
    process::run(
        Command::new(installed(environment, "python"))
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--no-input"])
            .args(packages),
    )
}
