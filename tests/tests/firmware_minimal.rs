//! `firmware-examples/minimal` in QEMU: taught a sound at the press of a button, it recognises it, also
//! after a restart.

use anyhow::{Context, Result, ensure};
use mtslvr_audio::write_wav;
use mtslvr_tests::sounds::{RATE, stream};
use std::env;
use std::path::Path;
use tempfile::TempDir;
use xtask::board::Board;
use xtask::qemu;

fn run(elf: &Path, arguments: &[String]) -> Result<String> {
    let output = qemu::command(Board::An386, elf, arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "the firmware failed: {text}");
    Ok(text)
}

/// Seconds at which the firmware says that it heard the sound.
fn heard(report: &str) -> Result<Vec<u32>> {
    let lines = report
        .lines()
        .filter_map(|line| line.strip_prefix("heard sound "));
    lines
        .map(|line| {
            let (_, at) = line.rsplit_once("at=").context("a line says when")?;
            Ok(at.trim().parse::<u32>()? / RATE)
        })
        .collect()
}

#[test]
fn the_least_device_learns_and_remembers() -> Result<()> {
    let elf = env::var_os("MTSLVR_TEST_MINIMAL").context(
        "MTSLVR_TEST_MINIMAL is not set: run `cargo xtask test`, which builds the firmware",
    )?;
    let elf = Path::new(&elf);
    let folder = TempDir::new()?;
    let recording = folder.path().join("stream.wav");
    write_wav(&recording, &stream(), RATE)?;
    let stream = format!("stream={}", recording.display());
    let flash = format!("flash={}", folder.path().join("flash").display());
    // Pressed when the first sound has ended: nothing was known before.
    let first = run(elf, &[stream.clone(), flash.clone(), "press=4.5".into()])?;
    assert!(first.starts_with("learnt examples=1\n"), "{first}");
    assert_eq!(heard(&first)?, [5, 7], "{first}");
    let second = run(elf, &[stream, flash])?;
    assert!(!second.contains("learnt"), "{second}");
    assert_eq!(heard(&second)?, [2, 5, 7], "{second}");
    Ok(())
}
