//! The sounds that ranges and statistics are measured on: what `export` and `pack` have in common.

use anyhow::Result;
use mtslvr_audio::DecodeCache;
use mtslvr_audio::calibration_clips;
use mtslvr_runtime::frontend::FrontendConfig;
use std::path::PathBuf;

/// Flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Calibration {
    /// Folders of recordings like those the device will hear, to find the ranges of the int8 values
    /// on; without any, sounds are synthesised
    #[arg(long, value_name = "DIR", num_args = 1..)]
    calibrate: Vec<PathBuf>,
    /// Calibrate only on recordings that a manifest.csv in the folder marks with gpl = no, or
    /// with a licence that is not the GPL
    #[arg(long, requires = "calibrate")]
    no_gpl: bool,
}

impl Calibration {
    /// The recordings, or synthetic sounds where no folder was named.
    pub(super) fn clips(
        &self,
        frontend: &FrontendConfig,
        cache: &DecodeCache,
    ) -> Result<Vec<Vec<f32>>> {
        if self.calibrate.is_empty() {
            eprintln!("No --calibrate: ranges and statistics come from synthetic sounds.");
            return Ok(calibration_clips(frontend));
        }
        let (folders, rate) = (&self.calibrate, frontend.sample_rate);
        let recordings = super::train::load_recordings(folders, self.no_gpl, rate, cache)?;
        let clips = recordings.clips.into_iter();
        Ok(clips.map(|samples| samples.to_vec()).collect())
    }
}
