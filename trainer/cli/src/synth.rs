//! `mtslvr synth`: a labelled set of made-up sounds.

use anyhow::ensure;
use mtslvr_audio::synth::write_dataset;
use std::path::PathBuf;

/// Write a labelled set of made-up sounds: DIR/<class>/<clip>.wav, 16 bit, 16 kHz
#[derive(Debug, clap::Args)]
pub(super) struct Synth {
    /// Folder to write into; made if it is not there
    dir: PathBuf,
    /// Number of classes
    #[arg(long, default_value_t = 10)]
    classes: usize,
    /// Clips of each class
    #[arg(long, default_value_t = 20)]
    clips: usize,
    /// Length of a clip in seconds
    #[arg(long, default_value_t = 1.0)]
    seconds: f32,
    /// Same seed, same sounds
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Synth {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self {
            dir,
            classes,
            clips,
            seconds,
            seed,
        } = self;
        // Sounds of an earlier run would become classes of this one.
        let in_use = dir.is_dir() && std::fs::read_dir(&dir)?.next().is_some();
        ensure!(
            !in_use,
            "{}: the folder is not empty; give a new one, or empty it",
            dir.display()
        );
        write_dataset(&dir, classes, clips, seconds, seed)?;
        println!(
            "{}: {classes} classes of {clips} clips, {seconds} s each (seed {seed})",
            dir.display()
        );
        Ok(())
    }
}
