//! Teachers: their configuration, and the lessons that they give the network.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// The table `[objective.teachers.NAME]`: one teacher.
///
/// With `part`, it is a model of waveforms that hears clean windows once, before training; the part
/// learns to tell from a disturbed view what the teacher said of the clean one. Without, it is a
/// backbone that hears the same views as the network while it trains, without their environment; the
/// paths learn to tell what the parts of its embedding say, through layers that are not exported. Its
/// passes are not counted where an experiment matches compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherConfig {
    /// The part that learns from it, one of `backbone.parts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Its file: an ONNX model of waveforms where it teaches a part, otherwise a backbone as `--model`
    /// takes one. Given on the command line with `--teacher NAME=FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The output of a model of waveforms that is learned, `[batch, values]`.
    pub output: String,
    /// Weight of its loss in the sum.
    pub weight: f64,
    /// Exponent by which the deviations of the principal directions of its answers are levelled before the part
    /// learns them, 0 to 1.
    pub whitening: f64,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            part: None,
            model: None,
            output: "embedding".into(),
            weight: 1.0,
            whitening: 0.5,
        }
    }
}

/// A teacher as an objective knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Taught {
    /// Its name.
    pub name: String,
    /// Weight of its loss in the sum.
    pub weight: f64,
    /// The learners of its lessons.
    pub subject: Subject,
}

/// The learners of a teacher's lessons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A part learns to tell what the teacher says: one lesson a batch.
    Part(String),
    /// The paths learn to tell the parts of its embedding, which have these lengths: a lesson for each
    /// part.
    Paths(Vec<usize>),
}

/// Answers to learn for the views of a batch.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// `[2N, dim]`, rows of unit length.
    pub targets: Tensor,
    /// `[2N]`, 1 for a view that has a target and 0 for one that has none; all have one where this is
    /// `None`.
    pub counted: Option<Tensor>,
}
