//! Reads and writes the metadata of an ONNX file, which describes the model beside its graph.
//!
//! The frontend is described by lines `key = value`, a subset of TOML, so that the metadata entry
//! `mtslvr.frontend` and a frontend file given by hand for a foreign model are one format:
//!
//! ```toml
//! sample_rate = 16000   # Hz
//! window = 512          # samples, power of two
//! hop = 256             # samples
//! mels = 40
//! frames = 61           # of a patch
//! f_min = 60            # Hz
//! f_max = 7800          # Hz
//! floor = 1e-6          # added to the mel power before the natural logarithm
//! mean = -6.5           # subtracted from the log-mel value ...
//! scale = 0.25          # ... which is then multiplied by this
//! layout = "time-mel"   # order of the patch's axes in the ONNX input; or "mel-time"
//! ```

use core::fmt::Write;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{FrontendConfig, FrontendConfigError};
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

/// Order of the two axes of a patch in an ONNX graph's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[batch, 1, frames, mels]`, what this project exports.
    #[default]
    TimeMel,
    /// `[batch, 1, mels, frames]`, the usual order of spectrogram images.
    MelTime,
}

/// The frontend's parameters and the layout of the graph's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontendDescription {
    /// Parameters of the features.
    pub config: FrontendConfig,
    /// Order of the patch's axes in the graph's input.
    pub layout: Layout,
}

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
    #[error("`{0}` is no frontend parameter; known are {known}", known = KEYS.join(", "))]
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
        expected: &'static str,
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

/// Keys of a frontend description, in the order in which they are written.
const KEYS: [&str; 11] = [
    "sample_rate",
    "window",
    "hop",
    "mels",
    "frames",
    "f_min",
    "f_max",
    "floor",
    "mean",
    "scale",
    "layout",
];

impl FrontendDescription {
    /// Reads a description. `layout` may be left out and is then `time-mel`; every other key must be there.
    ///
    /// # Errors
    /// [`MetadataError`] if a line is not `key = value`, a key is unknown or missing, a value is not of its
    /// key's kind, or the values together are no usable front end.
    pub fn parse(text: &str) -> Result<Self, MetadataError> {
        let mut values: [Option<&str>; KEYS.len()] = [None; KEYS.len()];
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() || line == "[frontend]" {
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| MetadataError::Line(line.to_owned()))?;
            let key = key.trim();
            let index = KEYS
                .iter()
                .position(|known| *known == key)
                .ok_or_else(|| MetadataError::UnknownKey(key.to_owned()))?;
            values[index] = Some(value.trim().trim_matches(['"', '\'']));
        }
        let text = |index: usize| values[index].ok_or(MetadataError::MissingKey(KEYS[index]));
        let whole = |index: usize| number::<u16>(KEYS[index], text(index)?, "a whole number");
        let real = |index: usize| number::<f32>(KEYS[index], text(index)?, "a number");
        let config = FrontendConfig {
            sample_rate: number(KEYS[0], text(0)?, "a whole number")?,
            window: whole(1)?,
            hop: whole(2)?,
            mels: whole(3)?,
            frames: whole(4)?,
            f_min: real(5)?,
            f_max: real(6)?,
            floor: real(7)?,
            mean: real(8)?,
            scale: real(9)?,
        };
        config.validate().map_err(MetadataError::Frontend)?;
        let layout = match values[10] {
            None | Some("time-mel") => Layout::TimeMel,
            Some("mel-time") => Layout::MelTime,
            Some(other) => {
                return Err(MetadataError::Value {
                    key: KEYS[10].to_owned(),
                    found: other.to_owned(),
                    expected: "\"time-mel\" or \"mel-time\"",
                });
            }
        };
        Ok(Self { config, layout })
    }

    /// Returns the text that [`Self::parse`] reads back to the same bits.
    pub fn write(&self) -> String {
        let c = &self.config;
        let layout = match self.layout {
            Layout::TimeMel => "\"time-mel\"",
            Layout::MelTime => "\"mel-time\"",
        };
        let mut text = String::new();
        for (key, value) in KEYS.iter().zip([
            c.sample_rate.to_string(),
            c.window.to_string(),
            c.hop.to_string(),
            c.mels.to_string(),
            c.frames.to_string(),
            // `Debug` of a float is the shortest text that reads back to the same bits.
            format!("{:?}", c.f_min),
            format!("{:?}", c.f_max),
            format!("{:?}", c.floor),
            format!("{:?}", c.mean),
            format!("{:?}", c.scale),
            layout.to_owned(),
        ]) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }
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
                expected: "8 similarities from -1 to 1, none below the one before it",
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
            expected,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> FrontendDescription {
        FrontendDescription {
            config: FrontendConfig {
                sample_rate: 16_000,
                window: 512,
                hop: 256,
                mels: 40,
                frames: 61,
                f_min: 60.0,
                f_max: 7_800.1,
                floor: 1e-7,
                mean: -6.543_21,
                scale: 1.0 / 3.0,
            },
            layout: Layout::MelTime,
        }
    }

    #[test]
    fn what_is_written_reads_back_to_the_same_bits() {
        let written = description().write();
        assert_eq!(FrontendDescription::parse(&written), Ok(description()));
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
    fn a_file_with_comments_and_without_layout_is_taken() {
        let text = "[frontend]\nsample_rate = 16_000 # Hz\nwindow = 512\nhop=160\nmels = 32\n\
                    frames = 50\nf_min = 0\nf_max = 8000\nfloor = 1e-6\nmean = 0\nscale = 1\n";
        let read = FrontendDescription::parse(text).unwrap();
        assert_eq!(read.layout, Layout::TimeMel);
        assert_eq!(read.config.sample_rate, 16_000);
        assert_eq!(read.config.hop, 160);
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

    #[test]
    fn errors_name_key_and_value() {
        let with = |from: &str, to: &str| {
            FrontendDescription::parse(&description().write().replace(from, to))
                .unwrap_err()
                .to_string()
        };
        assert!(with("hop = 256\n", "").contains("`hop` is missing"));
        assert!(with("hop = 256", "hop = many").contains("`hop` is `many`"));
        assert!(with("hop = 256", "hopp = 256").contains("`hopp` is no frontend parameter"));
        assert!(with("window = 512", "window = 500").contains("power of two"));
        assert!(with("mean = -6.54321", "mean = nan").contains("`mean` is `nan`"));
        assert!(with("hop = 256", "hop").contains("`hop` is not a line"));
        assert!(with("mel-time", "diagonal").contains("diagonal"));
    }
}
