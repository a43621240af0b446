//! The page in the browser: built, served and tested.

use crate::{embedded, process, workspace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::document::grouped;
use xtask::serve::Server;

const TARGET: &str = "wasm32-unknown-unknown";

/// Name of the code beside the page.
const CODE: &str = "mtslvr_web.wasm";

/// Vectors, which every browser of the last years has. Nothing that runs asks for random numbers: the
/// crate that makes them is told that there are none.
const RUSTFLAGS: &str =
    r#"-D warnings -C target-feature=+simd128 --cfg getrandom_backend="unsupported""#;

/// Most bytes of the code, compressed.
const MOST_COMPRESSED: usize = 150_000;

/// A browser, and the program that drives it.
const BROWSER_PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// Chromium's driver.
const DRIVER: &str = "chromedriver";

/// Builds the page into `folder`.
pub fn build(folder: &Path) -> Result<()> {
    let page = workspace::root().join("firmware-examples/web/page");
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let copy = |from: &Path, name: &str| {
        let to = folder.join(name);
        fs::copy(from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
    };
    for entry in fs::read_dir(&page)? {
        let entry = entry?;
        copy(&entry.path(), &entry.file_name().to_string_lossy())?;
    }
    copy(&code(&[])?, CODE)?;
    let model = workspace::root().join("models/edge-s/model.slvr");
    copy(&model, "edge-s.slvr")?;
    Ok(())
}

/// Builds the page and serves it on this machine until the program is ended.
pub fn serve(port: u16) -> Result<()> {
    let folder = embedded::target_dir().join("web");
    build(&folder)?;
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], port)), &folder)
        .with_context(|| format!("port {port} cannot be used; name another with --port"))?;
    println!("http://localhost:{}/", server.address()?.port());
    println!("Ctrl-C ends it. Browsers give the microphone to localhost and to https alone.");
    server.run();
    Ok(())
}

/// Builds the page, checks its size, and tests it in a browser. Returns its size in words.
pub fn test() -> Result<String> {
    let folder = embedded::target_dir().join("web");
    build(&folder)?;
    let compressed = compressed_len(&folder.join(CODE))?;
    ensure!(
        compressed <= MOST_COMPRESSED,
        "the code takes {compressed} bytes, compressed, and may take {MOST_COMPRESSED}"
    );
    let kernels = code(&["--features", "kernels"])?;
    embedded::provide(DRIVER, || embedded::starts(DRIVER), &BROWSER_PACKAGES)?;
    process::run(
        workspace::host_cargo()?
            .args(["test", "--release", "--locked", "--package", "mtslvr-web"])
            .args(["--test", "browser", "--", "--ignored", "--test-threads=3"])
            .env("MTSLVR_WEB", &folder)
            .env("MTSLVR_WEB_KERNELS", kernels),
    )?;
    let whole = fs::metadata(folder.join(CODE))?.len();
    Ok(format!(
        "code {} bytes, compressed {}",
        grouped(whole),
        grouped(compressed as u64)
    ))
}

/// Builds the code with these arguments of cargo; returns a copy of it.
fn code(arguments: &[&str]) -> Result<PathBuf> {
    let mut command = if embedded::add_target(TARGET).is_ok() {
        workspace::host_cargo()?
    } else {
        let mut command = embedded::debian_cargo();
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
        command.arg("-Zbuild-std=std,panic_abort");
        command
    };
    process::run(
        command
            .current_dir(workspace::root())
            // With the library for the tests beside it, link-time optimisation would leave half as much
            // again.
            .args(["rustc", "--profile", "web", "--locked"])
            .args(["--package", "mtslvr-web", "--lib", "--crate-type", "cdylib"])
            .args(["--target", TARGET])
            .args(arguments)
            .env("CARGO_TARGET_DIR", embedded::target_dir())
            .env("RUSTFLAGS", RUSTFLAGS),
    )?;
    let built = embedded::target_dir().join(TARGET).join("web").join(CODE);
    let name = arguments.last().map_or("web", |name| name);
    let copy = embedded::target_dir().join(format!("{name}.wasm"));
    fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(copy)
}

/// Returns the bytes of a file as gzip compresses it, which is how servers send it.
fn compressed_len(file: &Path) -> Result<usize> {
    let output = Command::new("gzip").args(["-9", "-c"]).arg(file).output();
    let output = output.context("gzip is not installed: install it and run this again")?;
    ensure!(
        output.status.success(),
        "gzip cannot read {}",
        file.display()
    );
    Ok(output.stdout.len())
}
