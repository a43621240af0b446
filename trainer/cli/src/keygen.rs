//! `mtslvr keygen`: makes the key of a maker of devices.

use super::examples::examples;
use anyhow::{Context, Result, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_pack::signing::{SigningKey, public_pem};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Make a key that signs models and profiles for your devices
///
/// Writes an Ed25519 private key, which only you may read, and beside it the public key, with `.pub`
/// behind the name. Both are in PEM, as OpenSSL has them. A firmware with the public key in it takes only
/// models that `mtslvr sign` has signed with the private one, and profiles likewise.
///
/// Whoever has the private key can make models for your devices, and without it nobody can, you included:
/// keep a copy where the first one cannot be lost with it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Make a key, sign a model, and see who signed it" =>
        "mtslvr keygen maker.key"
        "mtslvr sign model.slvr --key maker.key --version-counter 1"
        "mtslvr inspect model.slvr --trusted-key maker.key.pub",
    "Make a key for devices that are only tried out" => "mtslvr keygen keys/test.key",
))]
pub(super) struct Args {
    /// File to write the private key to; it must not exist
    file: PathBuf,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let private = self.file;
        let mut public = private.clone().into_os_string();
        public.push(".pub");
        let public = PathBuf::from(public);
        for file in [&private, &public] {
            // A link to nothing would be followed.
            ensure!(
                file.symlink_metadata().is_err(),
                "{}: exists already, and a key is never replaced; give another name",
                file.shown()
            );
        }
        let key = SigningKey::generate()?;
        let trusted = key.public();
        write_new(&private, &key.to_pem(), 0o600)?;
        if let Err(error) = write_new(&public, &public_pem(&trusted), 0o644) {
            // One without the other is no key.
            let _ = fs::remove_file(&private);
            return Err(error);
        }
        outln!("{}: private key, to be kept secret", private.shown());
        outln!("{}: public key", public.shown());
        outln!("id          {}", trusted.id());
        outln!("public key  {trusted}");
        outln!();
        outln!("const MAKER: mtslvr_runtime::trust::TrustedKey =");
        outln!("    mtslvr_runtime::trust::TrustedKey::from_hex(");
        outln!("        \"{trusted}\",");
        outln!("    )");
        outln!("    .unwrap();");
        Ok(())
    }
}

/// Writes `text` to a file that must not exist, with `mode` where files have modes.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(path).and_then(|mut file| {
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(path);
        }
        written
    });
    written.with_context(|| format!("{}: cannot be written", path.shown()))
}
