//! Stands in for the random-weights control in a program that cannot train.

use anyhow::Result;
use mtslvr_evaluate::RandomWeights;
use mtslvr_pack::{BackboneFile, ModelSource};
use mtslvr_runtime::frontend::FrontendConfig;

/// Says that there is no control.
pub(super) fn control(
    _: &ModelSource,
    _: &BackboneFile,
    _: &FrontendConfig,
    _: &[Vec<f32>],
    _: u64,
) -> Result<RandomWeights> {
    Ok(RandomWeights::None(
        "this program was built without training",
    ))
}
