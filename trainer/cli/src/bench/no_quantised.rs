//! Stands in for the quantised graph in a program without ONNX Runtime.

use mtslvr_pack::{ModelSource, OpenedBackbone};

/// Says that this program was built without ONNX Runtime.
pub(super) fn open(_: &ModelSource) -> Result<Option<OpenedBackbone>, String> {
    Err("this program was built without ONNX Runtime".to_owned())
}
