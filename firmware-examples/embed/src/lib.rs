//! For build scripts of firmwares: links for the board, and puts a packed model into flash.

use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::model::{AlignedBytes, Model};
use mtslvr_runtime::trust::TrustedKey;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Where the build script writes.
pub fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"))
}

/// Links the package's binaries with the start-up code's script and the board's memory map.
pub fn link() {
    // Sections start where the board's memory says, not at page boundaries.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    // The start-up code of Cortex-M includes the memory map by itself.
    if env::var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|arch| arch == "riscv32") {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}

/// The whole build script of a board that logs through defmt: links with the `memory.x` of its
/// folder, and writes `model.rs` about the model that `MTSLVR_MODEL` names, or else the shipped
/// `edge-s`.
pub fn device() {
    link_with_memory();
    finish_device(module);
}

/// Is [`device`] for a board with two slots for models: the model is linked into the first one, by the section `.model`
/// of `memory.x`.
pub fn device_with_slots() {
    link_with_memory();
    finish_device(module_in_slot);
}

fn link_with_memory() {
    link();
    println!("cargo::rustc-link-search={}", folder().display());
    println!("cargo::rerun-if-changed=memory.x");
}

/// Is [`device`] for Espressif's chips, whose linker scripts, memory map among them, come with esp-hal.
pub fn espressif_device() {
    println!("cargo::rustc-link-arg-bins=-Tlinkall.x");
    finish_device(module);
}

fn finish_device(module: fn(&Model<'_>, &Path) -> String) {
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    let shipped = folder().join("../../models/edge-s/model.slvr");
    let written = model_or(Some(shipped)).and_then(|(bytes, path)| {
        let model = Model::open(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        fs::write(out_dir().join("model.rs"), module(&model, &path))
            .map_err(|error| format!("model.rs: {error}"))
    });
    if let Err(message) = written {
        println!("cargo::error={message}");
    }
}

/// The folder of the package that is built.
fn folder() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
}

/// Writes `model.rs` into the folder of the build script: [`module`] about the model that `MTSLVR_MODEL`
/// names.
///
/// # Errors
/// A sentence about the model that cannot be read, or the file that cannot be written.
pub fn write_module() -> Result<(), String> {
    let (bytes, path) = model()?;
    let model = Model::open(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    fs::write(out_dir().join("model.rs"), module(&model, &path))
        .map_err(|error| format!("model.rs: {error}"))
}

/// Environment variable with the key that a firmware trusts, as 64 hexadecimal digits.
const PUBLIC_KEY: &str = "MTSLVR_PUBLIC_KEY";
/// Environment variable with the least version counter of a model that a firmware takes.
const LEAST_VERSION_COUNTER: &str = "MTSLVR_LEAST_VERSION_COUNTER";

/// Writes `trust.rs` into the folder of the build script: the key that `MTSLVR_PUBLIC_KEY` holds, and the number in
/// `MTSLVR_LEAST_VERSION_COUNTER`, or else 0. For a package whose feature `signed` makes it open signed models alone;
/// without the feature there is no such file.
///
/// # Errors
/// A sentence about a variable that is missing, or holds something else; or that holds a key that the firmware would
/// not ask for, because the feature is off.
pub fn write_trust() -> Result<(), String> {
    for name in [PUBLIC_KEY, LEAST_VERSION_COUNTER] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let key = env::var(PUBLIC_KEY).ok();
    if env::var_os("CARGO_FEATURE_SIGNED").is_none() {
        return match key {
            Some(_) => Err(format!(
                "{PUBLIC_KEY} is set, but the feature `signed` is off, so this firmware would take any model: add \
                 `--features signed`, or unset the variable"
            )),
            None => Ok(()),
        };
    }
    let key = key.unwrap_or_default();
    let trusted = TrustedKey::from_hex(key.trim()).ok_or_else(|| {
        format!("{PUBLIC_KEY} is {key:?}, expected the 64 hexadecimal digits that `mtslvr keygen` prints")
    })?;
    let least = env::var(LEAST_VERSION_COUNTER).unwrap_or_else(|_| "0".to_owned());
    let least: u64 = least
        .parse()
        .map_err(|_| format!("{LEAST_VERSION_COUNTER} is {least:?}, expected a whole number"))?;
    let module = format!(
        "/// The key whose models are taken.\n\
         pub const KEY: mtslvr_runtime::trust::TrustedKey = mtslvr_runtime::trust::TrustedKey::new({:?});\n\
         /// The least version counter of a model that is taken.\n\
         pub const LEAST_VERSION_COUNTER: u64 = {least};\n",
        trusted.as_bytes()
    );
    fs::write(out_dir().join("trust.rs"), module).map_err(|error| format!("trust.rs: {error}"))
}

/// The packed model that `MTSLVR_MODEL` names, and its path.
pub fn model() -> Result<(AlignedBytes, PathBuf), String> {
    model_or(None)
}

fn model_or(shipped: Option<PathBuf>) -> Result<(AlignedBytes, PathBuf), String> {
    println!("cargo::rerun-if-env-changed=MTSLVR_MODEL");
    let path = env::var_os("MTSLVR_MODEL")
        .map(PathBuf::from)
        .or(shipped)
        .ok_or(
            "MTSLVR_MODEL is not set: set it to the packed model (.slvr) that goes into flash, \
             or use `cargo xtask firmware --model FILE`",
        )?;
    let path = path
        .canonicalize()
        .map_err(|error| format!("the model for the firmware, {}: {error}", path.display()))?;
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let bytes = AlignedBytes::new(&bytes);
    Model::open(&bytes)
        .map_err(|error| format!("{} is not a packed model: {error}", path.display()))?;
    Ok((bytes, path))
}

/// The source of a module that holds the model at `path`, and the sizes that statics need as
/// constants, not all of which every firmware uses.
pub fn module(model: &Model<'_>, path: &Path) -> String {
    format!(
        "/// The packed model.\n\
         pub static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!({path:?}));\n\
         {}",
        sizes(model)
    )
}

/// Is [`module`] with the model in the section `.model`, where the slots find it.
fn module_in_slot(model: &Model<'_>, path: &Path) -> String {
    format!(
        "/// The packed model, which is read in its slot.\n\
         #[used]\n\
         #[allow(unsafe_code)]\n\
         // SAFETY: the section holds nothing else, and is linked into memory that is read as this type.\n\
         #[unsafe(link_section = \".model\")]\n\
         static MODEL: Aligned<[u8; {}]> = Aligned(*include_bytes!({path:?}));\n\
         {}",
        model.as_bytes().len(),
        sizes(model)
    )
}

fn sizes(model: &Model<'_>) -> String {
    let dim = model.space().dim();
    format!(
        "/// Bytes of its arena.\n\
         pub const ARENA_LEN: usize = {arena};\n\
         /// The features that it was made for.\n\
         #[allow(dead_code)]\n\
         pub const FRONTEND: mtslvr_runtime::frontend::FrontendConfig = {frontend};\n\
         /// Values in an embedding.\n\
         pub const EMBEDDING_DIM: usize = {dim};\n\
         /// Values that the clip embedder works in.\n\
         #[allow(dead_code)]\n\
         pub const CLIP_BUFFER_LEN: usize = {clip};\n\
         /// Values that the frontend works in.\n\
         #[allow(dead_code)]\n\
         pub const FRONTEND_BUFFER_LEN: usize = {frontend_len};\n\
         /// Values in a patch.\n\
         #[allow(dead_code)]\n\
         pub const PATCH_LEN: usize = {patch};\n",
        arena = model.arena_len(),
        frontend = frontend(model.frontend()),
        frontend_len = model.frontend().buffer_len(),
        patch = model.frontend().patch_len(),
        clip = ClipEmbedder::buffer_len(model.frontend(), dim),
    )
}

/// The source of an expression that makes `config`.
fn frontend(config: &FrontendConfig) -> String {
    let FrontendConfig {
        sample_rate,
        window,
        hop,
        mels,
        frames,
        f_min,
        f_max,
        floor,
        mean,
        scale,
        form,
    } = config;
    let FrontendForm {
        transform,
        spectrum,
        mel_scale,
        band_norm,
        floor_rule,
        framing,
    } = form;
    // `Debug` of a float is the shortest text that reads back to the same bits, and has a point.
    format!(
        "{{\n\
             use mtslvr_runtime::frontend as f;\n\
             f::FrontendConfig {{ sample_rate: {sample_rate}, window: {window}, hop: {hop}, mels: {mels}, \
             frames: {frames}, f_min: {f_min:?}, f_max: {f_max:?}, floor: {floor:?}, mean: {mean:?}, \
             scale: {scale:?}, form: f::FrontendForm {{ transform: {transform:?}, \
             spectrum: f::Spectrum::{spectrum:?}, mel_scale: f::MelScale::{mel_scale:?}, \
             band_norm: f::BandNorm::{band_norm:?}, floor_rule: f::FloorRule::{floor_rule:?}, \
             framing: f::Framing::{framing:?} }} }}\n\
         }}"
    )
}
