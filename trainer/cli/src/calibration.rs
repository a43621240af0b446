//! The options that choose the sounds for calibration, of `export` and `pack`.

use super::recordings;
use anyhow::Result;
use mtslvr_audio::{DecodeCache, Samples, calibration_clips};
use mtslvr_pack::CalibrationAudio;
use mtslvr_runtime::frontend::FrontendConfig;
use std::path::PathBuf;

/// Flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct CalibrationChoice {
    /// Folder of recordings to calibrate int8 on; may be repeated [default: synthetic sounds]
    ///
    /// The ranges of the int8 values and the statistics of unrelated sounds are measured on them. Take
    /// recordings like those that the device will hear; all folders below are searched.
    #[arg(long, value_name = "DIR")]
    calibrate: Vec<PathBuf>,
    /// Calibrate only on recordings that a manifest.csv marks as free of the GPL
    ///
    /// These have `no` in the column gpl, or a licence that is not the GPL in the column licence.
    #[arg(long, requires = "calibrate")]
    no_gpl: bool,
}

impl CalibrationChoice {
    /// Returns whether no recordings were named.
    pub(super) fn is_synthetic(&self) -> bool {
        self.calibrate.is_empty()
    }

    /// Loads the recordings, or makes synthetic sounds where no folder was named.
    pub(super) fn audio(
        &self,
        frontend: &FrontendConfig,
        cache: &DecodeCache,
    ) -> Result<CalibrationAudio> {
        if self.calibrate.is_empty() {
            errln!("No --calibrate: calibrating on synthetic sounds.");
            return Ok(calibration_clips(frontend).into());
        }
        let (folders, rate) = (&self.calibrate, frontend.sample_rate);
        let recordings = recordings::load(folders, self.no_gpl, rate, cache)?;
        let clips = recordings.clips.iter().map(Samples::to_vec).collect();
        Ok(CalibrationAudio::of_recordings(
            clips,
            &recordings,
            frontend,
        ))
    }
}
