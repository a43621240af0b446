//! Runs models of waveforms in ONNX Runtime: public networks that take samples and return features or
//! classes, from any exporter.

use super::KEY_FRONTEND;
use super::error::EngineError;
use super::ort::open_session;
#[cfg(feature = "onnx")]
use crate::onnx::pb;
use ort::session::Session;
use ort::value::{TensorRef, ValueType};
#[cfg(feature = "onnx")]
use prost::Message;
use std::borrow::Cow;

/// An ONNX model with one input of float samples, `[batch, samples]`, and a float output `[batch,
/// values]`, run by ONNX Runtime on one thread.
///
/// The number of samples may be fixed by the model or free, and so may the batch.
pub struct WaveformModel {
    model: String,
    session: Session,
    input: String,
    output: String,
    /// Samples of the windows that are given.
    window: usize,
    /// Samples of a row of the input.
    samples: usize,
    /// Rows of the input, if the model fixes them.
    batch: Option<usize>,
    dim: usize,
}

impl WaveformModel {
    /// Sample rate of the waveforms, Hz.
    pub const SAMPLE_RATE: u32 = 16_000;

    /// Opens a model in memory for windows of `window` samples and its output `output`; errors call it
    /// `model`. Runs it once on silence to learn the number of values.
    ///
    /// # Errors
    /// [`EngineError`] if there is no library, or the model is not of this form.
    pub fn from_bytes(
        bytes: &[u8],
        model: &str,
        output: &str,
        window: usize,
    ) -> Result<Self, EngineError> {
        let graph_error = |reason: String| EngineError::Graph {
            model: model.to_owned(),
            reason,
        };
        let session = open_session(bytes, model)?;
        let [input] = session.inputs() else {
            return Err(graph_error(format!(
                "it has {} inputs, expected one, of samples",
                session.inputs().len()
            )));
        };
        let (batch, samples) = match input.dtype() {
            ValueType::Tensor { shape, .. } if shape.len() == 2 => (shape[0], shape[1]),
            other => {
                return Err(graph_error(format!(
                    "its input `{}` is {other}, expected a waveform, [batch, samples]",
                    input.name()
                )));
            }
        };
        let fixed = |size: i64| usize::try_from(size).ok().filter(|&size| size > 0);
        let input = input.name().to_owned();
        let names: Vec<&str> = session
            .outputs()
            .iter()
            .map(ort::value::Outlet::name)
            .collect();
        if !names.contains(&output) {
            return Err(graph_error(format!(
                "it has no output `{output}`; its outputs are {}",
                names.join(", ")
            )));
        }
        let mut opened = Self {
            model: model.to_owned(),
            session,
            input,
            output: output.to_owned(),
            window,
            samples: fixed(samples).unwrap_or(window),
            batch: fixed(batch),
            dim: 0,
        };
        opened.dim = opened.hear(&vec![0.0; window])?.len();
        Ok(opened)
    }

    /// Returns the number of values for a window.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the output for `windows`, which lie one after the other and have the length that the
    /// model was opened for: [`Self::dim`] values for each. [`fitted`] fits a window to the model's
    /// input.
    ///
    /// # Errors
    /// [`EngineError`] if the model fails, or its output is not `[batch, values]`.
    ///
    /// # Panics
    /// If `windows` is not a whole number of windows.
    pub fn hear(&mut self, windows: &[f32]) -> Result<Vec<f32>, EngineError> {
        assert!(
            windows.len().is_multiple_of(self.window),
            "{} samples are not a whole number of windows of {}",
            windows.len(),
            self.window
        );
        let mut said = Vec::new();
        let at_once = self.batch.unwrap_or(windows.len() / self.window);
        for windows in windows.chunks((at_once * self.window).max(1)) {
            let count = windows.len() / self.window;
            let rows = self.batch.unwrap_or(count);
            let mut input = Vec::with_capacity(rows * self.samples);
            for window in windows.chunks_exact(self.window) {
                input.extend_from_slice(&fitted(window, self.samples));
            }
            // A fixed batch is filled up with silent rows.
            input.resize(rows * self.samples, 0.0);
            said.extend(self.run(&input, rows, count)?);
        }
        Ok(said)
    }

    /// Runs `rows` rows of samples; returns the values of the first `count`.
    fn run(&mut self, input: &[f32], rows: usize, count: usize) -> Result<Vec<f32>, EngineError> {
        let failed = |reason: String| EngineError::Run {
            model: self.model.clone(),
            reason,
        };
        let tensor = TensorRef::from_array_view(([rows, self.samples], input))
            .map_err(|error| failed(error.to_string()))?;
        let outputs = self
            .session
            .run(ort::inputs![self.input.as_str() => tensor])
            .map_err(|error| failed(error.to_string()))?;
        let (shape, values) = outputs[self.output.as_str()]
            .try_extract_tensor::<f32>()
            .map_err(|error| failed(format!("output `{}`: {error}", self.output)))?;
        let known = if self.dim == 0 {
            shape.last().copied()
        } else {
            Some(self.dim as i64)
        };
        match (&shape[..], known) {
            (&[found, dim], Some(known)) if found == rows as i64 && dim == known && dim > 0 => {
                Ok(values[..count * dim as usize].to_vec())
            }
            _ => Err(failed(format!(
                "its output `{}` is {shape:?} for {rows} windows, expected [{rows}, values]; export one with an \
                 average over time",
                self.output
            ))),
        }
    }
}

impl core::fmt::Debug for WaveformModel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WaveformModel")
            .field("model", &self.model)
            .field("output", &self.output)
            .field("samples", &self.samples)
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

/// Name of the output that is taken where a model has several.
#[cfg(feature = "onnx")]
const USUAL_OUTPUT: &str = "embedding";

/// Returns the output to take of an ONNX file that is a model of waveforms: the one called `embedding`, or
/// else the first. Returns `None` for any other file: one that cannot be read, a backbone (whose metadata
/// describes its features), or one whose input is not `[batch, samples]`.
#[cfg(feature = "onnx")]
pub fn waveform_output(bytes: &[u8]) -> Option<String> {
    use pb::type_proto::Value;
    let model = pb::ModelProto::decode(bytes).ok()?;
    if model
        .metadata_props
        .iter()
        .any(|entry| entry.key == KEY_FRONTEND)
    {
        return None;
    }
    let graph = model.graph?;
    // Exporters of long ago list weights among the inputs.
    let is_weight = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let mut inputs = graph.input.iter().filter(|input| !is_weight(&input.name));
    let (Some(input), None) = (inputs.next(), inputs.next()) else {
        return None;
    };
    let Some(Value::TensorType(tensor)) = &input.r#type.as_ref()?.value else {
        return None;
    };
    if tensor.shape.as_ref()?.dim.len() != 2 {
        return None;
    }
    let mut outputs = graph.output.iter().map(|output| &output.name);
    let usual = outputs.clone().find(|name| *name == USUAL_OUTPUT);
    usual.or_else(|| outputs.next()).cloned()
}

/// Fits a window to an input of `samples` samples: takes the middle of a longer one, and repeats a
/// shorter one from its beginning, as is done with a clip that is too short for a patch.
pub fn fitted(window: &[f32], samples: usize) -> Cow<'_, [f32]> {
    if window.len() >= samples {
        let start = (window.len() - samples) / 2;
        return Cow::Borrowed(&window[start..start + samples]);
    }
    Cow::Owned(window.iter().copied().cycle().take(samples).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_in_the_middle_or_repeated() {
        let window = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(fitted(&window, 5)[..], window);
        assert_eq!(fitted(&window, 3)[..], [2.0, 3.0, 4.0]);
        assert_eq!(fitted(&window, 2)[..], [2.0, 3.0]);
        assert_eq!(fitted(&window, 7)[..], [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 2.0]);
    }
}
