//! A packed model as C source, and a header with the bytes of memory that it needs.

use anyhow::{Context, Result};
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

/// The sizes are computed on this machine, whose pointers are no shorter than a device's: a device needs
/// no more.
fn header(model: &Model<'_>) -> String {
    let space = model.space();
    let dim = space.dim();
    let page = mtslvr_c::flash::MTSLVR_FLASH_PAGE;
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
    for (what, name, value) in [
        ("Bytes of the model.", "MODEL_SIZE", model.as_bytes().len()),
        ("Values of an embedding.", "EMBEDDING_LEN", dim),
        (
            "Samples a second.",
            "SAMPLE_RATE",
            space.frontend().sample_rate as usize,
        ),
        ("Most classes.", "CLASSES", CLASSES),
        (
            "Most examples of all classes together.",
            "EXAMPLES",
            EXAMPLES,
        ),
        (
            "Bytes for mtslvr_open.",
            "MEMORY_SIZE",
            mtslvr_c::recogniser::memory_len(model, CLASSES, EXAMPLES),
        ),
        (
            "Bytes for mtslvr_clip_open.",
            "CLIP_SIZE",
            mtslvr_c::clip::memory_len(&space),
        ),
        (
            "Bytes for mtslvr_listener_open.",
            "LISTENER_SIZE",
            mtslvr_c::listener::memory_len(&space, CLASSES),
        ),
        (
            "Bytes for mtslvr_store_open.",
            "STORE_SIZE",
            mtslvr_c::store::memory_len(CLASSES, EXAMPLES, dim),
        ),
        (
            "Bytes of flash for what is taught.",
            "FLASH_SIZE",
            flash_len(CLASSES, EXAMPLES, dim, page).unwrap_or_default(),
        ),
    ] {
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
