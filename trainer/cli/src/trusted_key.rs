//! The option `--trusted-key`, and files that hold keys.

use anyhow::{Context, Result};
use mtslvr_audio::{ShowPath, read_bounded};
use mtslvr_pack::signing::public_key;
use mtslvr_runtime::trust::TrustedKey;
use std::path::Path;

/// The option `--trusted-key`, flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct TrustedKeyChoice {
    /// Public key that must have signed it
    ///
    /// A file, as `mtslvr keygen` writes it beside the private key, or the 64 hexadecimal digits that it
    /// prints. Without it, no signature is asked for.
    #[arg(long, value_name = "KEY")]
    trusted_key: Option<String>,
}

impl TrustedKeyChoice {
    /// Returns the key that was given, if one was.
    pub(super) fn key(&self) -> Result<Option<TrustedKey>> {
        let Some(given) = &self.trusted_key else {
            return Ok(None);
        };
        // The digits of a key need no file.
        if let Ok(key) = public_key(given) {
            return Ok(Some(key));
        }
        let path = Path::new(given);
        let key = public_key(&key_text(path)?).with_context(|| path.shown().to_string())?;
        Ok(Some(key))
    }
}

/// Reads the text of a file with a key, which is short.
pub(super) fn key_text(path: &Path) -> Result<String> {
    let bytes = read_bounded(path, 1 << 16);
    let bytes = bytes.with_context(|| format!("cannot read the key {}", path.shown()))?;
    // What is no text is no key either.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
