//! `mtslvr synth`: makes a labelled set of synthetic sounds.

use super::examples::examples;
use super::output_place;
use mtslvr_audio::ShowPath;
use mtslvr_audio::synth::write_dataset;
use std::path::PathBuf;

/// Make a labelled set of synthetic sounds to try the program with
///
/// Writes DIR/<class>/<clip>.wav, 16 bit, mono, 16 kHz: a folder that `eval` and `stream` take for
/// --data, and clips that `enrol` and `listen` take.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Make ten classes of twenty clips" => "mtslvr synth sounds",
    "Make a smaller set of other sounds" => "mtslvr synth more --classes 4 --clips 6 --seed 2",
))]
pub(super) struct Args {
    /// Folder to write, made if it does not exist; it must be empty
    dir: PathBuf,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 10)]
    classes: usize,
    /// Number of clips in each class
    #[arg(long, value_name = "N", default_value_t = 20)]
    clips: usize,
    /// Length of each clip, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    seconds: f32,
    /// Seed of the sounds: the same seed makes the same sounds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self {
            dir,
            classes,
            clips,
            seconds,
            seed,
        } = self;
        // Sounds of an earlier run would become classes of this one.
        output_place::check_empty(&dir)?;
        write_dataset(&dir, classes, clips, seconds, seed)?;
        outln!(
            "{}: {classes} classes of {clips} clips, {seconds} s each (seed {seed})",
            dir.shown()
        );
        Ok(())
    }
}
