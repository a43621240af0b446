//! Reads and writes the metadata of an ONNX file, which describes the model beside its graph.

mod frontend;

pub use frontend::{FrontendDescription, Layout};

use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::FrontendConfigError;
use mtslvr_runtime::space::PartsError;

/// Name of the ONNX input: log-mel patches, `[batch, 1, frames, mels]`.
pub const INPUT: &str = "log_mel";

/// Metadata key of the [`FrontendDescription`].
pub const KEY_FRONTEND: &str = "mtslvr.frontend";
/// Metadata key of the base mean: the values in embedding order, separated by spaces.
pub const KEY_BASE_MEAN: &str = "mtslvr.base_mean";
/// Metadata key of the parts of an embedding in their order: a line `name = share` for each, `name`
/// being the output that holds it.
pub const KEY_PARTS: &str = "mtslvr.parts";
/// Metadata key of the reference: its quantiles, separated by spaces.
pub const KEY_REFERENCE: &str = "mtslvr.reference";
/// Metadata key of free text that says where the weights come from.
pub const KEY_PROVENANCE: &str = "mtslvr.provenance";

/// Metadata of an ONNX file; absent entries are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnnxMetadata {
    /// Frontend, and layout of the patch.
    pub frontend: Option<FrontendDescription>,
    /// Mean embedding over base audio.
    pub base_mean: Option<Vec<f32>>,
    /// Name and share of each part of an embedding, in their order.
    pub parts: Option<Vec<(String, f32)>>,
    /// How alike the directions of unrelated sounds are.
    pub reference: Option<Reference>,
    /// Origin of the weights.
    pub provenance: Option<String>,
}

/// Errors of the metadata of an ONNX file, or of a frontend file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A metadata entry that is needed is not there.
    #[error(
        "the metadata has no `{0}`; export it with `mtslvr export`, or give what is missing by hand"
    )]
    Missing(&'static str),
    /// A line is not of the form `key = value`.
    #[error("`{0}` is not a line of the form `key = value`")]
    Line(String),
    /// A key that the frontend description does not know.
    #[error("`{0}` is no frontend parameter; known are {known}", known = frontend::known())]
    UnknownKey(String),
    /// A key of the frontend description is not there.
    #[error("the frontend parameter `{0}` is missing")]
    MissingKey(&'static str),
    /// A value cannot be read as what its key needs.
    #[error("`{key}` is `{found}`, expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// The text found.
        found: String,
        /// Form that was expected.
        expected: String,
    },
    /// The parameters do not make a frontend.
    #[error("the frontend cannot be used: {0}")]
    Frontend(FrontendConfigError),
    /// The parts do not make an embedding.
    #[error("`{KEY_PARTS}`: {0}")]
    Parts(PartsError),
    /// The base mean is not as long as an embedding.
    #[error("`{KEY_BASE_MEAN}` holds {found} values, but an embedding has {expected}")]
    BaseMeanLength {
        /// Values found.
        found: usize,
        /// Length of an embedding.
        expected: usize,
    },
}

impl OnnxMetadata {
    /// Reads the entries through `get`, which returns the text of a metadata key.
    ///
    /// # Errors
    /// [`MetadataError`] if an entry is there whose text is not of its key's kind.
    pub fn read(mut get: impl FnMut(&str) -> Option<String>) -> Result<Self, MetadataError> {
        let numbers = |key: &str, text: &str| {
            text.split_whitespace()
                .map(|value| number(key, value, "numbers separated by spaces"))
                .collect::<Result<Vec<f32>, _>>()
        };
        let reference = |text: String| {
            let values = numbers(KEY_REFERENCE, &text)?;
            let reference = values.try_into().ok().and_then(Reference::new);
            reference.ok_or_else(|| MetadataError::Value {
                key: KEY_REFERENCE.to_owned(),
                found: text,
                expected: "8 similarities from -1 to 1, none below the one before it".to_owned(),
            })
        };
        let parts = |text: String| {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let part = |line: &str| {
                let (name, share) = line
                    .rsplit_once('=')
                    .ok_or_else(|| MetadataError::Line(line.to_owned()))?;
                let share = number(KEY_PARTS, share.trim(), "a share from 0 to 1")?;
                Ok((name.trim().to_owned(), share))
            };
            lines.map(part).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            frontend: get(KEY_FRONTEND)
                .map(|text| FrontendDescription::parse(&text))
                .transpose()?,
            base_mean: get(KEY_BASE_MEAN)
                .map(|text| numbers(KEY_BASE_MEAN, &text))
                .transpose()?,
            parts: get(KEY_PARTS).map(parts).transpose()?,
            reference: get(KEY_REFERENCE).map(reference).transpose()?,
            provenance: get(KEY_PROVENANCE),
        })
    }

    /// Returns the entries that are there, as pairs of key and text.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = Vec::new();
        if let Some(frontend) = &self.frontend {
            entries.push((KEY_FRONTEND, frontend.write()));
        }
        if let Some(base_mean) = &self.base_mean {
            let values: Vec<String> = base_mean.iter().map(|v| format!("{v:?}")).collect();
            entries.push((KEY_BASE_MEAN, values.join(" ")));
        }
        if let Some(parts) = &self.parts {
            let line = |(name, share): &(String, f32)| format!("{name} = {share:?}\n");
            entries.push((KEY_PARTS, parts.iter().map(line).collect()));
        }
        if let Some(reference) = &self.reference {
            let values = reference.quantiles().map(|value| format!("{value:?}"));
            entries.push((KEY_REFERENCE, values.join(" ")));
        }
        if let Some(provenance) = &self.provenance {
            entries.push((KEY_PROVENANCE, provenance.clone()));
        }
        entries
    }
}

/// Reads a number, which must be finite.
fn number<T: core::str::FromStr + PartialOrd>(
    key: &str,
    text: &str,
    expected: &'static str,
) -> Result<T, MetadataError> {
    let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
    // TOML lets digits be grouped by underscores.
    text.replace('_', "")
        .parse()
        .ok()
        .filter(|_| finite || text.contains('_'))
        .ok_or_else(|| MetadataError::Value {
            key: key.to_owned(),
            found: text.to_owned(),
            expected: expected.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::frontend::tests::description;
    use super::*;

    #[test]
    fn entries_read_back_to_the_same_bits() {
        let metadata = OnnxMetadata {
            frontend: Some(description()),
            base_mean: Some(vec![0.1, -1.0e-20, 3.0]),
            parts: Some(vec![("invariant".into(), 0.7), ("a=b".into(), 1.0 / 3.0)]),
            reference: Reference::new([-0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0 / 3.0 + 0.5]),
            provenance: Some("a test".into()),
        };
        let entries = metadata.entries();
        let read = OnnxMetadata::read(|key| {
            entries
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| v.clone())
        });
        assert_eq!(read, Ok(metadata));
    }

    #[test]
    fn a_reference_that_cannot_be_is_named() {
        for text in [
            "0.7",
            "",
            "1 0 0 0 0 0 0 0",
            "0 0 0 0 0 0 0 2",
            "0 0 0 0 0 0 0 x",
        ] {
            let read = OnnxMetadata::read(|key| (key == KEY_REFERENCE).then(|| text.to_owned()));
            assert!(
                read.unwrap_err().to_string().contains(KEY_REFERENCE),
                "{text}"
            );
        }
    }

    #[test]
    fn parts_that_cannot_be_are_named() {
        for (text, named) in [("invariant", "`invariant`"), ("a = x", KEY_PARTS)] {
            let read = OnnxMetadata::read(|key| (key == KEY_PARTS).then(|| text.to_owned()));
            assert!(read.unwrap_err().to_string().contains(named), "{text}");
        }
    }
}
