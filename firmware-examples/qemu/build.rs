//! Lays out the program for the board, and sizes its buffers by the model that goes into flash.

use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::model::{AlignedBytes, Model};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("memory.x", out.join("memory.x")).expect("cannot copy memory.x");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-search={}", out.display());
    // Sections start where the board's memory says, not at page boundaries.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");

    println!("cargo::rerun-if-env-changed=MTSLVR_MODEL");
    if let Err(message) = embed_model(&out) {
        println!("cargo::error={message}");
    }
}

/// Writes `model.rs` into `out`: the model's bytes, and the sizes that statics need as constants.
fn embed_model(out: &Path) -> Result<(), String> {
    let path = env::var_os("MTSLVR_MODEL").ok_or(
        "MTSLVR_MODEL is not set: set it to the packed model (.slvr) that goes into flash, \
         or use `cargo xtask firmware --model FILE`",
    )?;
    let path = Path::new(&path)
        .canonicalize()
        .map_err(|error| format!("MTSLVR_MODEL is {}: {error}", Path::new(&path).display()))?;
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let bytes = AlignedBytes::new(&bytes);
    let model = Model::open(&bytes)
        .map_err(|error| format!("{} is not a packed model: {error}", path.display()))?;
    let dim = model.invariant_dim() + model.equivariant_dim();
    let source = format!(
        "/// The packed model.\n\
         pub static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!({path:?}));\n\
         /// Bytes of its arena.\n\
         pub const ARENA_LEN: usize = {arena};\n\
         /// Values in an embedding.\n\
         pub const EMBEDDING_DIM: usize = {dim};\n\
         /// Values that the clip embedder works in.\n\
         pub const CLIP_BUFFER_LEN: usize = {clip};\n",
        arena = model.arena_len(),
        clip = ClipEmbedder::buffer_len(model.frontend(), dim),
    );
    fs::write(out.join("model.rs"), source).map_err(|error| format!("model.rs: {error}"))
}
