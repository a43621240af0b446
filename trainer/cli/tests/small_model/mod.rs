//! A backbone that is exported in a moment, for tests of the program.

use mtslvr_audio::calibration_clips;
use mtslvr_train::export::{ExportRequest, export_run};
use mtslvr_train::net::{Device, Parameters, Trunk};
use mtslvr_train::train::{PRESETS, RunConfig};
use std::path::{Path, PathBuf};

/// A small model, packed and as ONNX.
pub fn model(folder: &Path) -> (PathBuf, PathBuf) {
    let settings = [
        "frontend.frames=17",
        "frontend.mels=16",
        "backbone.stem.width=4",
        "backbone.stages=[{ width = 6, blocks = 1, stride = 2 }]",
        "backbone.output.bands=1",
    ];
    let config = RunConfig::from_toml(PRESETS[0].1, &settings.map(str::to_owned)).unwrap();
    let frontend = config.frontend.to_config();
    let mut parameters = Parameters::new(1, &Device::Cpu);
    Trunk::new(&config.backbone, &mut parameters).unwrap();
    let exported = export_run(&ExportRequest {
        spec: &config.backbone,
        weights: &parameters.to_weights().unwrap(),
        frontend: &frontend,
        audio: &calibration_clips(&frontend)[..8].to_vec().into(),
        cohort: 0,
        name: "small",
        provenance: "seeded random weights, for tests",
        out: folder,
    })
    .unwrap();
    (exported.slvr, exported.onnx)
}
