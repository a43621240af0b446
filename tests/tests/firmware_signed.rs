//! The example firmware in QEMU that takes only the models of a key: it starts with the golden model that is signed,
//! and refuses whatever somebody writes into its flash in place of that.

use anyhow::{Context, Result, ensure};
use mtslvr_pack::builder::{seal, sign};
use mtslvr_pack::signing::SigningKey;
use mtslvr_runtime::model::AlignedBytes;
use mtslvr_runtime::model::wire::{Header, SectionKind, SectionRecord, checksum, field};
use std::path::{Path, PathBuf};
use std::{env, fs};
use tempfile::TempDir;
use xtask::board::Board;
use xtask::qemu;
use xtask::report::Report;

/// The key of the golden model, as its own test has it.
fn maker() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

fn golden() -> Result<AlignedBytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/golden/v1-signed.slvr");
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(AlignedBytes::new(&bytes))
}

/// A firmware whose flash can be written.
struct Device {
    elf: Vec<u8>,
    model_at: usize,
    folder: TempDir,
}

impl Device {
    fn new() -> Result<Self> {
        let path = env::var_os("MTSLVR_TEST_SIGNED").context(
            "MTSLVR_TEST_SIGNED is not set: run `cargo xtask test`, which builds the firmware",
        )?;
        let elf = fs::read(PathBuf::from(path))?;
        let model = golden()?;
        let at = elf.windows(model.len()).position(|bytes| *bytes == *model);
        Ok(Self {
            model_at: at.context("the model is in the firmware")?,
            elf,
            folder: tempfile::tempdir()?,
        })
    }

    /// Starts with `model`, which is as long as the golden one, in flash. Returns what is said, and whether it
    /// got as far as to ask for recordings.
    fn start_with(&self, model: &[u8]) -> Result<(Report, bool)> {
        let golden = golden()?;
        ensure!(model.len() == golden.len(), "{} bytes", model.len());
        let mut elf = self.elf.clone();
        elf[self.model_at..][..model.len()].copy_from_slice(model);
        let path = self.folder.path().join("device.elf");
        fs::write(&path, elf)?;
        let output = qemu::command::<&str>(Board::An386, &path, &[]).output()?;
        let report: Report = String::from_utf8(output.stdout)?.parse()?;
        let opened = report.of("model").count() == 1;
        Ok((report, opened))
    }

    /// Asserts that it does not start with `model`, and says why.
    fn refuses(&self, model: &[u8], why: &str) -> Result<()> {
        let (report, opened) = self.start_with(model)?;
        ensure!(!opened, "opened, expected {why:?}");
        let error = report.of("error").next().context("an error")?;
        let said = error.get("text")?;
        ensure!(
            said.contains("the model in flash") && said.contains(why),
            "said {said:?}, expected {why:?}"
        );
        Ok(())
    }
}

#[test]
fn a_signed_model_starts_and_no_other() -> Result<()> {
    let device = Device::new()?;
    let signed = golden()?;
    let (report, opened) = device.start_with(&signed)?;
    ensure!(opened, "{report:?}");

    // The section of the signature, last in the table, under a kind that nobody knows.
    let mut unsigned = signed.clone();
    let record = records(&signed).len() - 1;
    unsigned[Header::LEN + record * SectionRecord::LEN + 1] = 0x7F;
    seal(&mut unsigned);
    device.refuses(&unsigned, "not signed")?;

    // Weights changed, with hash and checksum put right.
    let mut tampered = signed.clone();
    let found = records(&signed);
    let weights = found
        .iter()
        .find(|r| r.kind == SectionKind::Constants as u16);
    tampered[weights.context("weights")?.offset as usize] ^= 1;
    seal(&mut tampered);
    device.refuses(&tampered, "changed after it was signed")?;

    // The id of another backbone, so that its taught sounds are taken for this one's.
    let mut renamed = signed.clone();
    renamed[40] ^= 1;
    let crc = checksum(&renamed);
    field::header::CHECKSUM.set(renamed.first_chunk_mut::<{ Header::LEN }>().unwrap(), crc);
    device.refuses(&renamed, "do not have the hash")?;

    let older = sign(&signed, Some(1), |hash| maker().sign(hash))?;
    device.refuses(&older, "version counter is 1, at least 2 expected")?;
    let newer = sign(&signed, Some(3), |hash| maker().sign(hash))?;
    ensure!(device.start_with(&newer)?.1, "a newer one");

    let other = SigningKey::from_seed([8; 32]);
    let theirs = sign(&signed, None, |hash| other.sign(hash))?;
    device.refuses(
        &theirs,
        &format!("signed by the key {}", other.public().id()),
    )?;

    // An accident is still called one.
    let mut damaged = signed.clone();
    damaged[500] ^= 1;
    device.refuses(&damaged, "damaged")?;
    Ok(())
}

fn records(file: &[u8]) -> Vec<SectionRecord> {
    let header = file.first_chunk().map(Header::read).expect("a header");
    let (records, _) = file[header.table_at as usize..].as_chunks();
    let records = records.iter().take(header.sections.into());
    records.map(SectionRecord::read).collect()
}
