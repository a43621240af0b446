//! Links for the board, and sizes the firmware's buffers by the model that goes into flash.

use mtslvr_runtime::model::Model;
use std::fs;

fn main() {
    mtslvr_embed::link();
    if let Err(message) = embed_model() {
        println!("cargo::error={message}");
    }
}

/// Writes `model.rs`: the model's bytes, and the sizes that statics need as constants.
fn embed_model() -> Result<(), String> {
    let (bytes, path) = mtslvr_embed::model()?;
    let model = Model::open(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let source = mtslvr_embed::module(&model, &path);
    fs::write(mtslvr_embed::out_dir().join("model.rs"), source)
        .map_err(|error| format!("model.rs: {error}"))
}
