//! The backbones that are part of the program, and how a user names a model.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A backbone that is part of the program: a folder of `models/`.
pub struct ShippedModel {
    /// What it is called.
    pub name: &'static str,
    /// The float model, an ONNX file; `None` in a program without the feature `onnx`.
    pub onnx: Option<&'static [u8]>,
    /// The packed model, a `.slvr` file.
    pub slvr: &'static [u8],
}

/// The float models, which a program that runs packed ones alone need not carry.
#[cfg(feature = "onnx")]
mod float {
    pub const EDGE_S: Option<&[u8]> = Some(include_bytes!("../../../models/edge-s/model.onnx"));
    pub const EDGE_M: Option<&[u8]> = Some(include_bytes!("../../../models/edge-m/model.onnx"));
}
#[cfg(not(feature = "onnx"))]
mod float {
    pub const EDGE_S: Option<&[u8]> = None;
    pub const EDGE_M: Option<&[u8]> = None;
}

/// All of them, the smallest first: it is the one that commands run where no model is named.
pub static SHIPPED: [ShippedModel; 2] = [
    ShippedModel {
        name: "edge-s",
        onnx: float::EDGE_S,
        slvr: include_bytes!("../../../models/edge-s/model.slvr"),
    },
    ShippedModel {
        name: "edge-m",
        onnx: float::EDGE_M,
        slvr: include_bytes!("../../../models/edge-m/model.slvr"),
    },
];

impl fmt::Debug for ShippedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShippedModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The names of all of them, with `separator` in between.
pub fn shipped_names(separator: &str) -> String {
    SHIPPED.each_ref().map(|model| model.name).join(separator)
}

/// What a model may be, for help texts and errors.
pub fn model_kinds() -> String {
    let names = shipped_names(" or ");
    format!("an .onnx file, a .slvr file, a run folder or a shipped backbone ({names})")
}

/// A model as a user names it.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A file or a run folder.
    Path(PathBuf),
    /// Part of the program.
    Shipped(&'static ShippedModel),
}

impl ModelSource {
    /// Every backbone that is part of the program, the smallest first.
    pub fn all_shipped() -> Vec<Self> {
        SHIPPED.iter().map(Self::Shipped).collect()
    }
}

impl Default for ModelSource {
    /// The smallest shipped backbone, `edge-s`.
    fn default() -> Self {
        Self::Shipped(&SHIPPED[0])
    }
}

impl From<OsString> for ModelSource {
    /// The shipped backbone `name`, unless a file or folder is called that. A path that leads
    /// nowhere is found out by whoever opens it.
    fn from(name: OsString) -> Self {
        match SHIPPED.iter().find(|model| name == model.name) {
            Some(model) if !Path::new(&name).exists() => Self::Shipped(model),
            _ => Self::Path(name.into()),
        }
    }
}

impl fmt::Display for ModelSource {
    /// As it can be given again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Shipped(model) => f.write_str(model.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_all_else_is_a_path() {
        for model in &SHIPPED {
            let found = ModelSource::from(OsString::from(model.name));
            assert!(matches!(found, ModelSource::Shipped(found) if found.name == model.name));
            assert_eq!(found.to_string(), model.name);
        }
        for path in ["edge-x", "./edge-s", "EDGE-S", ""] {
            let found = ModelSource::from(OsString::from(path));
            assert!(matches!(&found, ModelSource::Path(p) if p.as_os_str() == path));
            assert_eq!(found.to_string(), path);
        }
        assert_eq!(ModelSource::default().to_string(), "edge-s");
    }
}
