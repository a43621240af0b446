//! The packed model as a quantised graph in ONNX Runtime.

use mtslvr_pack::engine::OrtBackbone;
use mtslvr_pack::{BackboneFile, Engine, ModelSource, OpenedBackbone, onnx};

/// Opens the packed model in ONNX Runtime, as a quantised graph that gives the packed engine's values
/// but for rounding. Returns `None` if `source` has no packed model.
///
/// # Errors
/// The reason why ONNX Runtime does not run it.
pub(super) fn open(source: &ModelSource) -> Result<Option<OpenedBackbone>, String> {
    let Ok(file) = BackboneFile::open(source, Some(Engine::Packed)) else {
        // The reason is already listed for the packed engine.
        return Ok(None);
    };
    let Some(model) = file.packed_model() else {
        return Ok(None);
    };
    let graph = onnx::write_quantised(&model);
    let name = format!("{source} in int8");
    let backbone =
        OrtBackbone::from_bytes(&graph, &name, None).map_err(|error| error.to_string())?;
    Ok(Some(OpenedBackbone::Float(Box::new(backbone))))
}
