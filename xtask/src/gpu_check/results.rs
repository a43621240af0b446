//! The results of the check, as `gpu_report.py` writes them into `gpu.json`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// All parts; those that were not run are missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Results {
    /// Processor cores of the machine.
    pub cores: u64,
    /// Operators against the processor's.
    pub operators: Option<Part<Operators>>,
    /// Views of a batch against the processor's.
    pub views: Option<Part<Views>>,
    /// Steps against PyTorch's.
    pub comparison: Option<Part<Comparison>>,
    /// Where a step's time goes, by network.
    pub profiles: Vec<Profile>,
    /// Runs of `mtslvr train`.
    pub training: Vec<Training>,
}

/// The outcome of a part.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Part<T> {
    /// It failed, or was not run.
    Failed {
        /// The reason.
        error: String,
    },
    /// It gave a result.
    Done(T),
}

impl<T> Part<T> {
    /// Its result, if there is one.
    pub fn done(&self) -> Option<&T> {
        match self {
            Self::Done(result) => Some(result),
            Self::Failed { .. } => None,
        }
    }

    /// Its error, if it failed.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Done(_) => None,
            Self::Failed { error } => Some(error),
        }
    }
}

/// Operators and their gradients on the GPU against those of the processor.
#[derive(Debug, Deserialize)]
pub struct Operators {
    /// The GPU.
    pub device: String,
    /// Version of its driver.
    pub driver: String,
    /// Every comparison.
    pub checks: Vec<Check>,
    /// The reason why it ended too early.
    #[serde(default)]
    pub ended: Option<String>,
}

/// Views that the GPU makes against those of the processor.
#[derive(Debug, Deserialize)]
pub struct Views {
    /// Pairs of a batch.
    pub pairs: u64,
    /// Median over the views of the difference between features, as a share of how far they are from their mean.
    pub median_apart: f64,
    /// The largest.
    pub most_apart: f64,
    /// Labels that differ, and all labels.
    pub labels_apart: u64,
    pub labels: u64,
    /// Milliseconds of the draws for a batch, of the making on the GPU, and of both on the processor.
    pub draws_ms: f64,
    pub gpu_ms: f64,
    pub processor_ms: f64,
}

/// One comparison.
#[derive(Debug, Deserialize)]
pub struct Check {
    /// Operator, shape and precision.
    pub name: String,
    /// Error; the reason where it could not be made, and null for one that is no number.
    pub error: Value,
    /// Largest error that passes.
    pub limit: f64,
    /// Whether it passed.
    pub passed: bool,
}

/// Steps of the trainer and of PyTorch, in turn.
#[derive(Debug, Deserialize)]
pub struct Comparison {
    /// The GPU, as PyTorch names it.
    #[serde(default)]
    pub device: Option<String>,
    /// Versions by name.
    pub libraries: BTreeMap<String, String>,
    /// Networks in each precision.
    pub cases: Vec<Case>,
    /// The reason why it ended too early.
    #[serde(default)]
    pub ended: Option<String>,
}

/// A network in one precision.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its preset.
    pub preset: String,
    /// Pairs in a batch.
    pub pairs: u64,
    /// `bf16`, `f32` or `tf32`.
    pub precision: String,
    /// Number of parameters, heads included.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// The reason why it was not timed.
    #[serde(default)]
    pub skipped: Option<String>,
    /// Times by the side's name.
    #[serde(default)]
    pub sides: BTreeMap<String, Part<Time>>,
}

/// Milliseconds of a step, over several turns.
#[derive(Debug, Deserialize)]
pub struct Time {
    /// The median.
    pub ms: f64,
    /// The fastest turn.
    pub min_ms: f64,
    /// The slowest turn.
    pub max_ms: f64,
    /// Remarks on what was timed.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Where the time of a network's step goes.
#[derive(Debug, Deserialize)]
pub struct Profile {
    /// Its preset.
    pub preset: String,
    /// The measurement.
    #[serde(flatten)]
    pub outcome: Part<Step>,
}

/// A step, part by part.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// Milliseconds of the whole step.
    pub step_ms: f64,
    /// Kinds of kernels.
    pub parts: Vec<Kernels>,
}

/// Kernels of one kind.
#[derive(Debug, Deserialize)]
pub struct Kernels {
    /// The kind.
    pub name: String,
    /// Milliseconds in a step.
    pub ms: f64,
}

/// A run of `mtslvr train`.
#[derive(Debug, Deserialize)]
pub struct Training {
    /// Its name.
    pub name: String,
    /// Options of the command.
    pub options: Vec<String>,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Part<Trained>,
}

/// The outcome of a training.
#[derive(Debug, Deserialize)]
pub struct Trained {
    /// The last row of its metrics; a value that was not measured is `None`.
    pub last: Option<Metrics>,
    /// The reason why it ended too early.
    #[serde(default)]
    pub ended: Option<String>,
}

/// Values of the row that the page shows.
#[derive(Debug, Deserialize)]
pub struct Metrics {
    /// Optimiser steps.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Joint loss.
    pub loss: Option<f64>,
    /// The contrastive loss.
    pub contrastive: Option<f64>,
    /// Augmentation prediction's cross entropy.
    pub predictive: Option<f64>,
    /// Few-shot accuracy on held-out sets, percent.
    pub few_shot: Option<f64>,
    /// Patches a second.
    pub images_per_second: Option<f64>,
    /// Share of the time spent waiting for data.
    pub waiting: Option<f64>,
}
