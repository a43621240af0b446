//! Makes the random-weights control of a model: a network of its shape that learned nothing.

use anyhow::Result;
use mtslvr_evaluate::RandomWeights;
use mtslvr_pack::{BackboneFile, ModelSource};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_train::net::BackboneSpec;
use mtslvr_train::train::RunFolder;
use mtslvr_train::trunk_backbone::random_weights;

/// Makes the control of `model`, which is open as `file`, with weights drawn from `seed` and norms
/// measured on the clips of `reference`.
pub(super) fn control(
    model: &ModelSource,
    file: &BackboneFile,
    frontend: &FrontendConfig,
    reference: &[Vec<f32>],
    seed: u64,
) -> Result<RandomWeights> {
    random_weights(trunk_of(model, file).as_ref(), frontend, reference, seed)
}

/// Returns the shape of the model's trunk, if it is known: from the run's configuration, or from the
/// provenance that the exporter wrote into the model.
fn trunk_of(model: &ModelSource, file: &BackboneFile) -> Option<BackboneSpec> {
    if let ModelSource::Path(folder) = model
        && folder.is_dir()
        && let Ok((config, _)) = RunFolder::new(folder).load()
    {
        return Some(config.backbone);
    }
    BackboneSpec::from_provenance(&file.inspect().ok()?.provenance)
}
