//! `firmware-examples/minimal` in QEMU: taught a sound at the press of a button, it recognises it, also
//! after a restart.

use anyhow::{Context, Result, ensure};
use mtslvr_audio::{Noise, write_wav};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::env;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::board::Board;
use xtask::qemu;

const RATE: u32 = 16_000;

/// Ten seconds of quiet noise in which one sound is heard three times, at 3, 6 and 8 seconds.
fn stream(folder: &Path) -> Result<PathBuf> {
    let mut noise = Noise::new(&mut ChaCha8Rng::seed_from_u64(5));
    let mut samples: Vec<f32> = (0..10 * RATE).map(|_| 1e-3 * noise.normal()).collect();
    for second in [3, 6, 8] {
        // A sawtooth with a whistle that dies away.
        for i in 0..RATE * 7 / 10 {
            let time = i as f32 / RATE as f32;
            let whistle = (280.0 * std::f32::consts::TAU * time).sin() * (1.0 - time / 0.7);
            let sample = 0.25 * ((i % 61) as f32 / 61.0 - 0.5) + 0.12 * whistle;
            samples[(second * RATE + i) as usize] += sample;
        }
    }
    let path = folder.join("stream.wav");
    write_wav(&path, &samples, RATE)?;
    Ok(path)
}

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
    let stream = format!("stream={}", stream(folder.path())?.display());
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
