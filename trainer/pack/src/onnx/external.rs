//! Reads a model's file, and puts in the weights that it keeps in files beside it.

use super::error::ImportError;
use super::limits::Limits;
use super::pb::tensor_proto::{DataLocation, DataType};
use super::pb::{GraphProto, ModelProto, TensorProto};
use crate::regular;
use prost::Message;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Reads an ONNX file as one that needs no other file: bytes for [`super::read`] and the engines.
///
/// Weights in other files are read from the model's own folder and the folders in it. A location that
/// is absolute, holds `..` or leads out through a link is an error, and so are bytes that the file does
/// not have or that do not make the tensor.
///
/// # Errors
/// [`ImportError`] if a file cannot be read, the model is no ONNX model, the files are larger than
/// [`Limits::bytes`], or a location is not as above.
pub fn load(path: &Path) -> Result<Vec<u8>, ImportError> {
    load_within(path, &Limits::from_environment()?)
}

/// Reads as [`load`] does, within `limits`.
fn load_within(path: &Path, limits: &Limits) -> Result<Vec<u8>, ImportError> {
    let read = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    let file = regular::open(path).map_err(read)?;
    let len = file.metadata().map_err(read)?.len();
    Limits::check("bytes", len, limits.bytes)?;
    let mut bytes = Vec::new();
    // A file may grow while it is read.
    file.take(limits.bytes)
        .read_to_end(&mut bytes)
        .map_err(read)?;
    let Ok(mut model) = ModelProto::decode(&bytes[..]) else {
        // Whoever reads the bytes says what is wrong with them.
        return Ok(bytes);
    };
    let mut tensors = Vec::new();
    if let Some(graph) = &mut model.graph {
        external_tensors(graph, &mut tensors);
    }
    if tensors.is_empty() {
        return Ok(bytes);
    }
    let mut folder = Folder::new(path, limits.bytes, bytes.len() as u64);
    for tensor in tensors {
        tensor.raw_data = folder.read(tensor)?;
        tensor.external_data.clear();
        tensor.data_location = DataLocation::Default as i32;
    }
    Ok(model.encode_to_vec())
}

/// Returns whether a tensor's values lie in another file.
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == DataLocation::External as i32 || !tensor.external_data.is_empty()
}

/// Collects the tensors of a graph, and of the graphs in it, whose values lie in other files.
fn external_tensors<'g>(graph: &'g mut GraphProto, found: &mut Vec<&'g mut TensorProto>) {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let mut inner = Vec::new();
    let held = attributes.flat_map(|attribute| {
        inner.extend(attribute.g.as_mut());
        inner.extend(&mut attribute.graphs);
        attribute
            .t
            .as_mut()
            .into_iter()
            .chain(&mut attribute.tensors)
    });
    let tensors = held.chain(&mut graph.initializer);
    found.extend(tensors.filter(|tensor| is_external(tensor)));
    for graph in inner {
        external_tensors(graph, found);
    }
}

/// The model's folder, and the bytes that may still be read from it.
struct Folder {
    path: PathBuf,
    left: u64,
    most: u64,
    open: HashMap<PathBuf, (File, u64)>,
}

impl Folder {
    fn new(model: &Path, most: u64, used: u64) -> Self {
        let parent = model.parent().filter(|path| !path.as_os_str().is_empty());
        Self {
            path: parent.unwrap_or(Path::new(".")).to_owned(),
            left: most - used,
            most,
            open: HashMap::new(),
        }
    }

    /// Reads the values of `tensor`.
    fn read(&mut self, tensor: &TensorProto) -> Result<Vec<u8>, ImportError> {
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter();
            entries
                .find(|entry| entry.key == key)
                .map(|entry| entry.value.as_str())
        };
        let location = entry("location").unwrap_or_default();
        let error = |reason: String| ImportError::External {
            tensor: tensor.name.clone(),
            location: location.to_owned(),
            reason,
        };
        let number = |key: &str| {
            let text = entry(key);
            text.map(|text| {
                let number = text.trim().parse::<u64>();
                number.map_err(|_| error(format!("its {key} is `{text}`, expected a whole number")))
            })
            .transpose()
        };
        let offset = number("offset")?.unwrap_or(0);
        let expected = byte_len(tensor).map_err(error)?;
        let length = number("length")?.unwrap_or(expected);
        if length != expected {
            return Err(error(format!(
                "{length} bytes are stated where its shape and type need {expected}"
            )));
        }
        let file = self.file(location).map_err(error)?;
        let size = file.1;
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(error(format!(
                "it begins at byte {offset} and takes {length}, but the file has {size}"
            )));
        }
        let mut bytes = Vec::new();
        let (file, _) = file;
        let reading = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| file.take(length).read_to_end(&mut bytes));
        reading.map_err(|source| error(source.to_string()))?;
        if bytes.len() as u64 != length {
            return Err(error("the file became shorter while it was read".into()));
        }
        let left = self.left.checked_sub(length);
        self.left = left.ok_or(ImportError::Limit {
            what: "bytes",
            found: self.most.saturating_add(length),
            most: self.most,
        })?;
        Ok(bytes)
    }

    /// Opens the file at `location`, which must lie in this folder.
    fn file(&mut self, location: &str) -> Result<&mut (File, u64), String> {
        let relative = Path::new(location);
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !inside || location.contains(['\\', '\0']) {
            return Err("weights are read only from files in the model's own folder".into());
        }
        let folder = self.path.canonicalize().map_err(|e| e.to_string())?;
        let wanted = self.path.join(relative);
        let path = wanted.canonicalize().map_err(|error| {
            format!(
                "{} cannot be read ({error}); keep it beside the model",
                wanted.display()
            )
        })?;
        if !path.starts_with(&folder) {
            return Err("it is a link out of the model's own folder".into());
        }
        match self.open.entry(path) {
            std::collections::hash_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => {
                let file = regular::open(new.key()).map_err(|e| e.to_string())?;
                let size = file.metadata().map_err(|e| e.to_string())?.len();
                Ok(new.insert((file, size)))
            }
        }
    }
}

/// Returns the bytes that the values of a tensor take in a file.
fn byte_len(tensor: &TensorProto) -> Result<u64, String> {
    let size = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Uint8 | DataType::Int8 | DataType::Bool) => 1,
        Ok(DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16) => 2,
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Double | DataType::Int64 | DataType::Uint64) => 8,
        _ => return Err(format!("its type {} is not supported", tensor.data_type)),
    };
    tensor
        .dims
        .iter()
        .try_fold(size, |len: u64, &dim| {
            len.checked_mul(u64::try_from(dim).ok()?)
        })
        .ok_or_else(|| format!("its shape {:?} cannot be", tensor.dims))
}
