//! The committed header is the one that cbindgen makes of the sources.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

#[test]
fn the_header_is_current() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml"))?;
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_crate(folder)
        .generate()?
        .write(&mut made);
    let made = String::from_utf8(made)?;
    let path = folder.join("include/mtslvr.h");
    if env::var_os("MTSLVR_WRITE_HEADER").is_some() {
        fs::write(&path, &made)?;
    }
    let committed = fs::read_to_string(&path)?;
    assert!(
        committed == made,
        "{} is not current: run `MTSLVR_WRITE_HEADER=1 cargo test --release -p mtslvr-c --test header` and \
         commit it",
        path.display()
    );
    Ok(())
}
