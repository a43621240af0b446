//! The outcome of one run of an experiment: its `result.json`.

use super::invariance::OperatorEffect;
use super::plan::EvaluationPlan;
use anyhow::{Context, Result};
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_evaluate::FeatureChoice;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything that was measured of one trained network, or of a control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Group and name of the variant.
    pub variant: String,
    /// Seed of the training.
    pub seed: u64,
    /// Evaluation that was used: an outcome under another one does not count.
    pub evaluation: EvaluationPlan,
    /// The labelled sets, by name.
    pub sets: Vec<String>,
    /// Cost of training; `None` for a control.
    pub training: Option<Training>,
    /// Accuracies.
    pub measurements: Vec<Measurement>,
    /// Effect of each operator on the features.
    pub operators: Vec<OperatorEffect>,
    /// Sentences on what could not be measured, and why.
    pub notes: Vec<String>,
}

/// Cost of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Optimiser steps.
    pub steps: u64,
    /// Pairs in a step.
    pub batch: usize,
    /// Seconds, checks and evaluation aside.
    pub seconds: f64,
    /// Share of the time spent waiting for data, mean over the run.
    pub waiting: f64,
    /// Multiply-accumulates of the trunk's forward pass over one patch.
    pub forward_macs: u64,
    /// Trainable values of the trunk.
    pub parameters: usize,
    /// Last contrastive loss; `NaN` where there is none.
    #[serde(with = "nan_as_null")]
    pub contrastive: f64,
    /// Spread of the contrastive projections at the end; near 0 they have collapsed.
    #[serde(with = "nan_as_null")]
    pub spread: f64,
    /// Share of operator labels predicted right at the end; `NaN` where none are predicted.
    #[serde(with = "nan_as_null")]
    pub label_accuracy: f64,
}

/// Accuracy of one network on one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The set.
    pub set: String,
    /// Examples of each class.
    pub shots: usize,
    /// The classifier.
    pub head: String,
    /// Parts of the embedding that the classifier saw.
    pub features: FeatureChoice,
    /// `float` or `int8`.
    pub engine: String,
    /// Mean over tasks, percent.
    pub accuracy: f64,
    /// Half-width of its 95 % interval over tasks.
    pub ci95: f64,
}

impl CellResult {
    /// Reads a `result.json`; returns `None` where there is no such file.
    ///
    /// # Errors
    /// If the file cannot be read, or is no outcome of a cell.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let result = serde_json::from_str(&text).with_context(|| {
            format!("{name} is no result of this version; delete it to measure again")
        })?;
        Ok(Some(result))
    }

    /// Writes the outcome to `path`, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_bytes(path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// JSON has no NaN.
mod nan_as_null {
    use serde::{Deserialize, Deserializer, Serializer};

    // serde hands the field over by reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => serializer.serialize_some(value),
            false => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}
