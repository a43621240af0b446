//! The options `--trusted-key` and `--least-version`, and files that hold keys.

use anyhow::{Context, Result};
use mtslvr_audio::{ShowPath, read_bounded};
use mtslvr_pack::signing::public_key;
use mtslvr_runtime::trust::TrustedKey;
use std::path::Path;

/// The options `--trusted-key` and `--least-version`, flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct TrustedKeyChoice {
    /// Public key that must have signed it
    ///
    /// A file, as `mtslvr keygen` writes it beside the private key, or the 64 hexadecimal digits that it
    /// prints. Without it, no signature is asked for.
    #[arg(long, value_name = "KEY")]
    trusted_key: Option<String>,
    /// Lowest version counter that is taken
    ///
    /// A device remembers the highest that it has seen; this program does not.
    #[arg(long, value_name = "N", requires = "trusted_key", default_value_t = 0)]
    least_version: u64,
}

/// Key that must have signed a file, and the lowest version counter of it that is taken.
#[derive(Debug)]
pub(super) struct Trust {
    /// Key that must have signed.
    pub(super) key: TrustedKey,
    /// Lowest version counter that is taken.
    pub(super) least: u64,
}

impl TrustedKeyChoice {
    /// Returns what is trusted, if a key was given.
    pub(super) fn trust(&self) -> Result<Option<Trust>> {
        let least = self.least_version;
        let key = self.trusted_key.as_deref().map(read_public_key);
        Ok(key.transpose()?.map(|key| Trust { key, least }))
    }
}

/// Reads a public key: from its digits, or from a file.
fn read_public_key(given: &str) -> Result<TrustedKey> {
    // The digits of a key need no file.
    if let Ok(key) = public_key(given) {
        return Ok(key);
    }
    let path = Path::new(given);
    public_key(&key_text(path)?).with_context(|| path.shown().to_string())
}

/// Reads the text of a file with a key, which is short.
pub(super) fn key_text(path: &Path) -> Result<String> {
    let bytes = read_bounded(path, 1 << 16);
    let bytes = bytes.with_context(|| format!("cannot read the key {}", path.shown()))?;
    // What is no text is no key either.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
