//! ONNX models packed for devices.

use crate::backbone::described_in;
use crate::error::{Error, raised, warn};
use crate::json::object;
use crate::paths::{cache, folders};
use anyhow::{Context, Result, ensure};
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_audio::{
    DecodeCache, Licences, Samples, ShowPath, Skipped, UnlabelledSet, calibration_clips,
};
use mtslvr_pack::verify::{Verification, verify_packed};
use mtslvr_pack::{CalibrationAudio, DEFAULT_CENTRES, MOST_CENTRES, PackOptions, onnx};
use mtslvr_runtime::frontend::FrontendConfig;
use pyo3::prelude::*;
use serde::Serialize;
use std::path::PathBuf;

/// The packed model, as `mtslvr pack --json` prints it.
#[derive(Debug, Serialize)]
struct Outcome {
    slvr: PathBuf,
    bytes: usize,
    verification: Verification,
    warning: Option<String>,
}

/// A model to pack.
struct Request {
    onnx: PathBuf,
    out: PathBuf,
    frontend: Option<PathBuf>,
    calibrate: Vec<PathBuf>,
    licences: Licences,
    name: Option<String>,
    fold: bool,
    cohort: usize,
    cache: Option<PathBuf>,
}

/// Packs an ONNX backbone into an int8 model for a device, as ``mtslvr pack`` does: with the same bytes.
///
/// The model may come from ``mtslvr train`` or from another program. Nothing is written unless every engine that is
/// there agrees on it.
///
/// Parameters
/// ----------
/// onnx:
///     Path of the ONNX model.
/// out:
///     Path of the packed model to write, ``.slvr``.
/// frontend:
///     Path of a TOML file that describes the input of a model of another program.
/// calibrate:
///     Folder of recordings to calibrate int8 on, or a list of folders; by default, synthetic sounds.
/// no_gpl:
///     Calibrate only on recordings that a ``manifest.csv`` marks as free of the GPL.
/// name:
///     Name to write into the model; by default, the ONNX file's name.
/// fold:
///     Fold the adapters into the kernels of each path: less work at run time, about twice the flash.
/// cohort:
///     Number of centres of ordinary audio to pack, 0 for none.
/// cache:
///     Folder to keep decoded recordings in for later calls.
///
/// Returns
/// -------
/// dict
///     The fields of ``mtslvr pack --json``: ``slvr`` and ``bytes``, path and size of the model; ``verification``, how
///     well the engines agree; ``warning``, words on int8 that is far from float, which are also given as a warning.
#[pyfunction]
#[pyo3(signature = (onnx, out, *, frontend=None, calibrate=None, no_gpl=false, name=None, fold=false, cohort=DEFAULT_CENTRES, cache=None), text_signature = "(onnx, out, *, frontend=None, calibrate=None, no_gpl=False, name=None, fold=False, cohort=32, cache=None)")]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub fn pack(
    py: Python<'_>,
    onnx: PathBuf,
    out: PathBuf,
    frontend: Option<PathBuf>,
    calibrate: Option<&Bound<'_, PyAny>>,
    no_gpl: bool,
    name: Option<String>,
    fold: bool,
    cohort: usize,
    cache: Option<PathBuf>,
) -> PyResult<Py<PyAny>> {
    if cohort > MOST_CENTRES {
        return Err(Error::new_err(format!(
            "cohort={cohort}: expected 0 to {MOST_CENTRES}"
        )));
    }
    let request = Request {
        onnx,
        out,
        frontend,
        calibrate: calibrate.map_or_else(|| Ok(Vec::new()), folders)?,
        licences: if no_gpl {
            Licences::NotGpl
        } else {
            Licences::Any
        },
        name,
        fold,
        cohort,
        cache,
    };
    let (outcome, skipped) = py.detach(|| request.run()).map_err(raised)?;
    for file in &skipped {
        warn(py, &format!("skipped: {file}"))?;
    }
    if let Some(text) = &outcome.warning {
        warn(py, text)?;
    }
    object(py, &outcome)
}

impl Request {
    /// Packs the model, and returns the recordings that could not be read beside the outcome.
    fn run(self) -> Result<(Outcome, Vec<Skipped>)> {
        let file = self.onnx.display().to_string();
        let bytes = onnx::load(&self.onnx).with_context(|| file.clone())?;
        let frontend = self.frontend.as_deref().map(described_in).transpose()?;
        let graph = onnx::read(&bytes, frontend.as_ref()).with_context(|| file.clone())?;
        let cache = cache(self.cache)?;
        let (audio, skipped) = audio(&self.calibrate, self.licences, &graph.frontend, &cache)?;
        let usual = PackOptions::of_file(&self.onnx, &graph);
        let options = PackOptions {
            name: self.name.unwrap_or(usual.name),
            fold: self.fold,
            cohort: self.cohort,
            ..usual
        };
        let packed = mtslvr_pack::pack(&graph, &audio, &options).with_context(|| file.clone())?;
        let verification = verify_packed(&bytes, frontend, &graph, &packed, &audio.clips)
            .with_context(|| file.clone())?;
        write_bytes(&self.out, &packed)
            .with_context(|| format!("cannot write {}", self.out.shown()))?;
        let outcome = Outcome {
            warning: verification.warning(self.calibrate.is_empty()),
            slvr: self.out,
            bytes: packed.len(),
            verification,
        };
        Ok((outcome, skipped))
    }
}

/// Loads the recordings below `folders`, or makes synthetic sounds where there are none.
fn audio(
    folders: &[PathBuf],
    licences: Licences,
    frontend: &FrontendConfig,
    cache: &DecodeCache,
) -> Result<(CalibrationAudio, Vec<Skipped>)> {
    if folders.is_empty() {
        return Ok((calibration_clips(frontend).into(), Vec::new()));
    }
    let set = UnlabelledSet::for_training(folders, licences)?;
    let (recordings, skipped) = set.load_all(frontend.sample_rate, cache, |_| ());
    ensure!(
        !recordings.clips.is_empty(),
        "none of the {} recordings to calibrate on can be read; the first: {}",
        skipped.len(),
        skipped
            .first()
            .map_or_else(String::new, ToString::to_string)
    );
    let clips = recordings.clips.iter().map(Samples::to_vec).collect();
    let audio = CalibrationAudio::of_recordings(clips, &recordings, frontend);
    Ok((audio, skipped))
}
