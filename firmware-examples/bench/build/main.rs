//! Puts the model and the layers to measure into flash, with the bytes that the host makes of the
//! same input.

#[path = "../src/input.rs"]
mod input;
mod shapes;

use input::{Random, Sound};
use mtslvr_pack::signing::SigningKey;
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::frontend::Frontend;
use mtslvr_runtime::model::{Crc32, Model};
use std::fmt::Write;
use std::fs;

fn main() {
    mtslvr_embed::link();
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/input.rs");
    if let Err(message) = write_models() {
        println!("cargo::error={message}");
    }
}

/// Writes `model.rs` and `shapes.rs`.
fn write_models() -> Result<(), String> {
    let out = mtslvr_embed::out_dir();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(out.join(name), bytes).map_err(|error| format!("{name}: {error}"))
    };
    let (bytes, path) = mtslvr_embed::model()?;
    let model = Model::open(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let patch = sound_patch(&model)?;
    let key = SigningKey::from_seed([7; 32]);
    let signature = key.sign(model.id().as_bytes());
    let module = format!(
        "{}\
         /// A key that has signed the model.\n\
         pub const KEY: [u8; 32] = {:?};\n\
         /// Its signature.\n\
         pub const SIGNATURE: mtslvr_runtime::model::wire::SignatureRecord = \
             mtslvr_runtime::model::wire::{signature:?};\n\
         /// CRC-32 of the features that the host makes of the sound.\n\
         pub const PATCH_CRC32: u32 = {:#010x};\n\
         /// CRC-32 of the embedding that the host makes of them.\n\
         pub const EMBEDDING_CRC32: u32 = {:#010x};\n",
        mtslvr_embed::module(&model, &path),
        key.public().as_bytes(),
        crc32(&patch),
        crc32(&embed(model, &patch)?),
    );
    write("model.rs", module.as_bytes())?;

    let mut table = String::from("/// The layers to measure.\npub static SHAPES: &[Shape] = &[\n");
    let (mut arena, mut patch_len, mut features) = (0, 0, 0);
    for (i, layer) in shapes::LAYERS.iter().enumerate() {
        let bytes = layer
            .model()
            .map_err(|error| format!("{}: {error}", layer.name()))?;
        let model = Model::open(&bytes).map_err(|error| format!("{}: {error}", layer.name()))?;
        let file = format!("shape{i}.slvr");
        write(&file, &bytes)?;
        let patch = noise_patch(model.frontend().patch_len());
        let embedding = crc32(&embed(model, &patch)?);
        arena = arena.max(model.arena_len());
        patch_len = patch_len.max(patch.len());
        features = features.max(model.space().dim());
        let _ = writeln!(
            table,
            "    Shape {{ name: {:?}, op: {}, embedding_crc32: {embedding:#010x}, \
             model: &Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))) }},",
            layer.name(),
            layer.op(),
        );
    }
    let _ = writeln!(
        table,
        "];\n\
         /// Bytes of the largest of their arenas.\n\
         pub const SHAPE_ARENA_LEN: usize = {arena};\n\
         /// Values of the largest of their patches.\n\
         pub const SHAPE_PATCH_LEN: usize = {patch_len};\n\
         /// Values of the longest of their embeddings.\n\
         pub const SHAPE_FEATURES: usize = {features};"
    );
    write("shapes.rs", table.as_bytes())
}

/// The first patch of the sound.
fn sound_patch(model: &Model<'_>) -> Result<Vec<f32>, String> {
    let config = *model.frontend();
    let mut buffer = vec![0.0; config.buffer_len()];
    let mut frontend = Frontend::new(config, &mut buffer).map_err(|error| error.to_string())?;
    let mut sound = Sound::new();
    let samples: Vec<i16> = (0..config.patch_samples()).map(|_| sound.next()).collect();
    let mut patch = Vec::new();
    frontend.push_i16(&samples, |frame| patch.extend_from_slice(frame));
    Ok(patch)
}

/// As the device makes it for layers, which are not measured on sounds.
fn noise_patch(len: usize) -> Vec<f32> {
    let mut random = Random::new(len as u32);
    (0..len)
        .map(|_| f32::from(random.next()) / 16_384.0)
        .collect()
}

fn embed(model: Model<'_>, patch: &[f32]) -> Result<Vec<f32>, String> {
    let arena = vec![0_i8; model.arena_len()];
    let mut backbone = PackedBackbone::new(model, arena).map_err(|error| error.to_string())?;
    let mut embedding = vec![0.0; model.space().dim()];
    let embedded = backbone.embed(patch, &mut embedding);
    embedded.map_err(|error| error.to_string())?;
    Ok(embedding)
}

fn crc32(values: &[f32]) -> u32 {
    let bytes = values.iter().map(|value| value.to_le_bytes());
    bytes
        .fold(Crc32::new(), |crc, bytes| crc.update(&bytes))
        .finish()
}
