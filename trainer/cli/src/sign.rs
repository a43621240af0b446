//! `mtslvr sign`: signs a model or a profile.

use super::examples::examples;
use super::trusted_key::key_text;
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_audio::{ShowPath, read_bounded};
use mtslvr_pack::signing::SigningKey;
use mtslvr_pack::{ModelSource, SLVR_FILE, WorkLimit, builder};
use mtslvr_runtime::fewshot::persist;
use mtslvr_runtime::model::{AlignedBytes, Model};
use std::path::{Path, PathBuf};

/// Sign a model or a profile for devices that trust a key
///
/// Adds an Ed25519 signature of the contents, in place of one that was there. A device that trusts the key
/// opens the model, or imports the profile, and refuses what was changed, what others signed, and what has
/// a lower version counter than it has seen. Other devices take the file as before.
///
/// A version counter is a part of the contents. A new one makes a model another backbone, which profiles
/// of the old one do not fit: give each model its counter before anything is enrolled under it. A counter
/// that is lower than the file's own is refused, for devices would refuse the file.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Sign the first release of a model" =>
        "mtslvr sign model.slvr --key maker.key --version-counter 1",
    "Sign a shipped backbone as it is" =>
        "mtslvr sign edge-s --key maker.key --out signed.slvr",
    "Sign a profile that devices are sold with" =>
        "mtslvr classes export doorbells.mtss"
        "mtslvr sign doorbells.mtss --key maker.key",
))]
pub(super) struct Args {
    /// Model (.slvr) or profile (.mtss) to sign, or a shipped backbone
    #[arg(value_name = "FILE")]
    source: ModelSource,
    /// Private key, as `mtslvr keygen` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Number that grows from one release to the next
    ///
    /// Without it, the counter that the file has stays.
    #[arg(long, value_name = "N")]
    version_counter: Option<u64>,
    /// File to write [default: the file that was signed]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let key = read_key(&self.key)?;
        let (bytes, out) = match &self.source {
            ModelSource::Path(path) => {
                ensure!(
                    !path.is_dir(),
                    "{}: a folder, expected a file, such as {SLVR_FILE} in a run folder",
                    path.shown()
                );
                let bytes = read_bounded(path, WorkLimit::BYTES);
                let bytes = bytes.with_context(|| format!("cannot read {}", path.shown()))?;
                (bytes, self.out.as_ref().unwrap_or(path))
            }
            ModelSource::Shipped(model) => {
                let out = self.out.as_ref();
                let out = out.with_context(|| {
                    format!(
                        "{}: part of the program; name a file with --out",
                        model.name
                    )
                })?;
                (model.slvr.to_vec(), out)
            }
        };
        let named = || self.source.to_string();
        let counter = self.version_counter;
        let (signed, told) = match bytes.get(..4) {
            Some(b"SLVR") => {
                let before = AlignedBytes::new(&bytes);
                let before = Model::open(&before).with_context(named)?;
                self.check_counter(before.version_counter())
                    .with_context(named)?;
                let signed = builder::sign(&bytes, counter, |hash| key.sign(hash));
                let signed = signed.with_context(named)?;
                let told = about_model(&before, &signed).with_context(named)?;
                (signed.to_vec(), told)
            }
            Some(b"MTSS") => {
                let before = persist::signed_contents(&bytes).with_context(named)?;
                self.check_counter(before.version_counter)
                    .with_context(named)?;
                let signed = persist::sign(&bytes, counter, |hash| key.sign(hash));
                let signed = signed.with_context(named)?;
                let contents = persist::signed_contents(&signed).with_context(named)?;
                (signed, counted(contents.version_counter))
            }
            _ => bail!(
                "{}: neither a packed model (.slvr) nor a profile (.mtss)",
                self.source
            ),
        };
        write_bytes(out, &signed).with_context(|| format!("cannot write {}", out.shown()))?;
        outln!(
            "{}: signed by the key {}, {told}",
            out.shown(),
            key.public().id()
        );
        Ok(())
    }

    /// Refuses to lower the version counter.
    fn check_counter(&self, before: Option<u64>) -> Result<()> {
        if let (Some(before), Some(new)) = (before, self.version_counter) {
            ensure!(
                new >= before,
                "has version counter {before}, and devices that have seen it refuse {new}; give {before} or more, \
                 or sign the file that had no counter"
            );
        }
        Ok(())
    }
}

/// Says which counter a signed model has, and whether it is still the same backbone.
fn about_model(before: &Model<'_>, signed: &AlignedBytes) -> Result<String> {
    let signed = Model::open(signed)?;
    let counted = counted(signed.version_counter());
    Ok(match before.id() == signed.id() {
        true => counted,
        false => format!(
            "{counted}; it is the backbone {} now, and profiles of {} do not fit it",
            signed.id(),
            before.id()
        ),
    })
}

/// Says which version counter there is.
fn counted(counter: Option<u64>) -> String {
    match counter {
        Some(counter) => format!("version counter {counter}"),
        None => "no version counter".to_owned(),
    }
}

/// Reads a private key.
fn read_key(path: &Path) -> Result<SigningKey> {
    SigningKey::from_pem(&key_text(path)?).with_context(|| path.shown().to_string())
}
