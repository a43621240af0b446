//! A run's configuration: one TOML file with a default for everything but the backbone's shape.

mod data;
mod frontend;
mod monitor;
mod training;

pub use data::{DataConfig, PairsConfig};
pub use frontend::FrontendSection;
pub use monitor::MonitorConfig;
pub use training::{DeviceKind, Precision, TrainConfig, ViewsOn};

use crate::augment::{AugmentConfig, EnvironmentConfig};
use crate::net::BackboneSpec;
use crate::ssl::ObjectiveConfig;
use anyhow::{Context, Result, bail};
use mtslvr_audio::read_bounded;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The presets that come with the program, by name.
pub const PRESETS: [(&str, &str); 3] = [
    ("edge-s", include_str!("../../presets/edge-s.toml")),
    ("edge-m", include_str!("../../presets/edge-m.toml")),
    ("resnet18", include_str!("../../presets/resnet18.toml")),
];

/// Longest configuration that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Everything that decides a run's outcome, apart from the recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Log-mel features.
    pub frontend: FrontendSection,
    /// Shape of the network.
    pub backbone: BackboneSpec,
    /// Losses and heads.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// Operators and their ranges.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// Surroundings of the views.
    #[serde(default)]
    pub environment: EnvironmentConfig,
    /// Source of the pairs.
    #[serde(default)]
    pub data: DataConfig,
    /// Pairs of two recordings of one thing.
    #[serde(default)]
    pub pairs: PairsConfig,
    /// Optimiser, schedule and length.
    #[serde(default)]
    pub train: TrainConfig,
    /// Checks on held-out sets while it trains.
    #[serde(default)]
    pub monitor: MonitorConfig,
}

impl RunConfig {
    /// Returns one of [`PRESETS`].
    ///
    /// # Errors
    /// If there is no preset of this name.
    pub fn preset(name: &str) -> Result<Self> {
        let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PRESETS.iter().map(|(known, _)| *known).collect();
            bail!(
                "there is no preset {name:?}; the presets are {}",
                known.join(", ")
            );
        };
        Self::from_toml(text, &[]).with_context(|| format!("preset {name}"))
    }

    /// Reads a configuration file and applies `overrides`, each `table.key=value` in TOML's syntax.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, names an unknown key, or holds a value that cannot be used.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self> {
        let cannot = || format!("cannot read {}", path.display());
        let bytes = read_bounded(path, MOST_BYTES).with_context(cannot)?;
        let text = String::from_utf8(bytes).with_context(cannot)?;
        Self::from_toml(&text, overrides).with_context(|| format!("in {}", path.display()))
    }

    /// Parses a configuration and applies `overrides`.
    ///
    /// # Errors
    /// If the text or an override is not TOML, names an unknown key, or holds a value that cannot be used.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(text)?;
        for setting in overrides {
            let Some((path, value)) = setting.split_once('=') else {
                bail!("{setting:?} is not of the form table.key=value, such as train.minutes=5");
            };
            apply(&mut table, path.trim(), value.trim())?;
        }
        let config: Self = table.try_into()?;
        config.check()?;
        Ok(config)
    }

    /// Returns the configuration as TOML, as it is kept with a run.
    ///
    /// # Errors
    /// If a value has no form in TOML, such as a count of 2^63 or more.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// Refuses values that cannot work, naming the key, the value and what is expected.
    ///
    /// # Errors
    /// If a value of a table cannot be used, or values of two tables do not fit each other.
    pub fn check(&self) -> Result<()> {
        self.frontend.to_config().validate().context("[frontend]")?;
        let (frames, mels) = (self.frontend.frames.into(), self.frontend.mels.into());
        self.backbone
            .check(frames, mels)
            .map_err(anyhow::Error::msg)?;
        self.objective
            .check_paths(self.backbone.adapters.kind)
            .map_err(anyhow::Error::msg)?;
        self.data.check()?;
        self.pairs.check()?;
        let (same, synth) = (self.pairs.same, self.data.synth_share);
        if same + synth > 1.0 {
            bail!(
                "pairs.same is {same} and data.synth_share {synth}: together more than all pairs; lower one of them"
            );
        }
        self.environment.check()?;
        self.objective.check()?;
        self.check_taught_parts()?;
        self.train.check()?;
        self.monitor.check()
    }

    /// Refuses teachers of parts that the backbone lacks, and two teachers of one part.
    fn check_taught_parts(&self) -> Result<()> {
        let mut taught: Vec<(&str, &str)> = Vec::new();
        for (name, teacher) in &self.objective.teachers {
            let Some(part) = &teacher.part else {
                continue;
            };
            if let Some((_, other)) = taught.iter().find(|(known, _)| known == part) {
                bail!(
                    "objective.teachers: {other} and {name} teach the same part, {part}; give each a part of its own"
                );
            }
            if !self.backbone.parts.iter().any(|known| known.name == *part) {
                bail!(
                    "objective.teachers.{name}.part is {part:?}, which is none of backbone.parts; add \
                     {{ name = {part:?}, dim = 96 }} there"
                );
            }
            taught.push((part, name));
        }
        Ok(())
    }

    /// Names the file of each teacher in `models`, given as `NAME=FILE`.
    ///
    /// # Errors
    /// If an entry is not of this form, or the configuration has no such teacher.
    pub fn name_teachers(&mut self, models: &[String]) -> Result<()> {
        for model in models {
            let Some((name, file)) = model.split_once('=') else {
                bail!("--teacher {model} is not of the form NAME=FILE, such as events=yamnet.onnx");
            };
            let known = self.objective.teachers.keys();
            let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
            let Some(teacher) = self.objective.teachers.get_mut(name) else {
                bail!(
                    "--teacher {model}: the configuration has no teacher {name}; its teachers are: {}",
                    if known.is_empty() { "none" } else { &known }
                );
            };
            teacher.model = Some(file.to_owned());
        }
        Ok(())
    }
}

/// Sets `table.key` to a value written as TOML; a bare word is taken as a string.
fn apply(table: &mut toml::Table, path: &str, value: &str) -> Result<()> {
    let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
        Ok(mut parsed) => parsed.remove("value").context("a value")?,
        Err(_) => toml::Value::String(value.to_owned()),
    };
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys
        .pop()
        .filter(|key| !key.is_empty())
        .context("an empty key")?;
    let mut table = table;
    for key in keys {
        let entry = table
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = entry else {
            bail!("{path}: {key} is not a table");
        };
        table = inner;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests;
