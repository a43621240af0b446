//! A packed model as C source, and a header with the bytes of memory that it needs.

use crate::firmware;
use anyhow::{Context, Result};
use mtslvr_c::flash::MTSLVR_FLASH_PAGE;
use mtslvr_runtime::fewshot::persist::flash_len;
use mtslvr_runtime::model::{AlignedBytes, Model};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Classes that the header makes room for.
const CLASSES: usize = 8;
/// Examples of all classes together that the header makes room for.
const EXAMPLES: usize = 32;
/// Bytes in a line of the array.
const LINE: usize = 24;

/// Writes `mtslvr_model.c` and `mtslvr_model.h` about the model at `path` into `folder`.
pub fn write(path: &Path, folder: &Path) -> Result<()> {
    let named = || path.display().to_string();
    let bytes = AlignedBytes::new(&fs::read(path).with_context(named)?);
    let model = Model::open(&bytes).with_context(named)?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join("mtslvr_model.h"), header(&model)))
        .and_then(|()| fs::write(folder.join("mtslvr_model.c"), source(&bytes)))
        .with_context(|| folder.display().to_string())
}

/// A number that the header defines.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Meaning, as a sentence.
    pub what: &'static str,
    /// Its name in the header, behind `MTSLVR_`.
    name: &'static str,
    /// The number.
    pub value: usize,
}

/// Opens the shipped model, and returns the bytes of memory and flash that it asks for.
pub fn shipped_memory() -> Result<[Size; 5]> {
    let path = firmware::model_or_shipped(None)?;
    let bytes = AlignedBytes::new(&fs::read(&path).with_context(|| path.display().to_string())?);
    Ok(memory(&Model::open(&bytes)?))
}

/// The bytes are computed on this machine, whose pointers are no shorter than a device's: a device needs
/// no more.
fn memory(model: &Model<'_>) -> [Size; 5] {
    let space = model.space();
    let dim = space.dim();
    let size = |what, name, value| Size { what, name, value };
    [
        size(
            "Bytes for mtslvr_open.",
            "MEMORY_SIZE",
            mtslvr_c::recogniser::memory_len(model, CLASSES, EXAMPLES),
        ),
        size(
            "Bytes for mtslvr_clip_open.",
            "CLIP_SIZE",
            mtslvr_c::clip::memory_len(&space),
        ),
        size(
            "Bytes for mtslvr_listener_open.",
            "LISTENER_SIZE",
            mtslvr_c::listener::memory_len(&space, CLASSES),
        ),
        size(
            "Bytes for mtslvr_store_open.",
            "STORE_SIZE",
            mtslvr_c::store::memory_len(CLASSES, EXAMPLES, dim),
        ),
        size(
            "Bytes of flash for what is taught.",
            "FLASH_SIZE",
            flash_len(CLASSES, EXAMPLES, dim, MTSLVR_FLASH_PAGE).unwrap_or_default(),
        ),
    ]
}

/// Facts about the model, and the room that the memory is for.
fn facts(model: &Model<'_>) -> [Size; 5] {
    let space = model.space();
    let size = |what, name, value| Size { what, name, value };
    [
        size("Bytes of the model.", "MODEL_SIZE", model.as_bytes().len()),
        size("Values of an embedding.", "EMBEDDING_LEN", space.dim()),
        size(
            "Samples a second.",
            "SAMPLE_RATE",
            space.frontend().sample_rate as usize,
        ),
        size("Most classes.", "CLASSES", CLASSES),
        size(
            "Most examples of all classes together.",
            "EXAMPLES",
            EXAMPLES,
        ),
    ]
}

fn header(model: &Model<'_>) -> String {
    let mut text = format!(
        "// The model {name}, and the bytes of memory that the library needs for it.\n\
         // This file is made by `cargo xtask c-packages`: do not edit it.\n\
         #ifndef MTSLVR_MODEL_H\n\
         #define MTSLVR_MODEL_H\n\n\
         #include <stdint.h>\n\n\
         #ifdef __cplusplus\n\
         extern \"C\" {{\n\
         #endif\n\n\
         // The packed model, in flash.\n\
         extern const uint8_t mtslvr_model[];\n\n",
        name = model.name(),
    );
    for Size { what, name, value } in facts(model).into_iter().chain(memory(model)) {
        let _ = writeln!(text, "// {what}\n#define MTSLVR_{name} {value}");
    }
    text + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
}

fn source(bytes: &[u8]) -> String {
    let mut text = String::from(
        "// This file is made by `cargo xtask c-packages`: do not edit it.\n\
         #include \"mtslvr_model.h\"\n\n\
         _Alignas(16) const uint8_t mtslvr_model[MTSLVR_MODEL_SIZE] = {\n",
    );
    for line in bytes.chunks(LINE) {
        for byte in line {
            let _ = write!(text, "{byte},");
        }
        text.push('\n');
    }
    text + "};\n"
}
