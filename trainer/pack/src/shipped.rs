//! Holds the backbones that are part of the program, and reads the name that a user gives a model.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A backbone that is part of the program: a folder of `models/`.
pub struct ShippedModel {
    /// Its name.
    pub name: &'static str,
    /// The float model, an ONNX file; `None` in a program without the feature `onnx`.
    pub onnx: Option<&'static [u8]>,
    /// The packed model, a `.slvr` file.
    pub slvr: &'static [u8],
}

/// Float models, which a program that only runs packed models need not contain.
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

/// All shipped backbones, the smallest first: commands run it if no model is named.
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

/// Returns the names of all shipped backbones, with `separator` in between.
pub fn shipped_names(separator: &str) -> String {
    SHIPPED.each_ref().map(|model| model.name).join(separator)
}

/// Describes the kinds of models, for help texts and errors.
pub fn model_kinds() -> String {
    let names = shipped_names(" or ");
    format!("an .onnx file, a .slvr file, a run folder or a shipped backbone ({names})")
}

/// A model as a user names it.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A file or a run folder.
    Path(PathBuf),
    /// A backbone that is part of the program.
    Shipped(&'static ShippedModel),
}

impl ModelSource {
    /// Returns every backbone that is part of the program, the smallest first.
    pub fn all_shipped() -> Vec<Self> {
        SHIPPED.iter().map(Self::Shipped).collect()
    }
}

impl Default for ModelSource {
    /// Returns the smallest shipped backbone, `edge-s`.
    fn default() -> Self {
        Self::Shipped(&SHIPPED[0])
    }
}

impl From<OsString> for ModelSource {
    /// Returns the shipped backbone `name`, unless a file or folder has that name. A path that leads
    /// nowhere is an error only when it is opened.
    fn from(name: OsString) -> Self {
        match SHIPPED.iter().find(|model| name == model.name) {
            Some(model) if !Path::new(&name).exists() => Self::Shipped(model),
            _ => Self::Path(name.into()),
        }
    }
}

impl fmt::Display for ModelSource {
    /// Writes the name that a user would give.
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
