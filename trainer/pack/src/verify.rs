//! Runs the same patches through every engine, and measures how far apart the embeddings are.

use super::graph::Graph;
use super::interpret;
use super::onnx::{self, ImportError};
use super::pack::{PackError, spread_patches};
use super::statistics::EmbeddingStatistics;
#[cfg(feature = "tract")]
use crate::engine::TractBackbone;
use crate::engine::{EngineError, FrontendDescription, OnnxMetadata, OrtBackbone};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::model::Model;
use serde::Serialize;
use std::fmt;

/// Name of the packer's own reading of the graph among the engines.
const INTERPRETER: &str = "interpreter";

/// Greatest relative difference between float engines.
pub const TOLERANCE: f32 = 1e-4;

/// Patches that go through every engine after packing.
const PATCHES: usize = 16;

/// Cosine between the embeddings of the packed and the ONNX model that good calibration reaches.
/// Recordings gave 0.999 on networks of others, synthetic sounds 0.979 to 0.989.
const CLOSE: f32 = 0.995;

/// Forms of one backbone that are compared.
#[derive(Debug)]
pub struct Subject<'s> {
    /// The ONNX file.
    pub onnx: &'s [u8],
    /// Metadata to use in place of the file's own.
    pub metadata: Option<OnnxMetadata>,
    /// The graph that the packer read from it.
    pub graph: &'s Graph,
    /// The packed model, if there is one.
    pub slvr: Option<&'s [u8]>,
}

/// Differences between the engines.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The engine that the others are compared with.
    pub reference: &'static str,
    /// Patches compared.
    pub patches: usize,
    /// One entry for each other engine.
    pub engines: Vec<Agreement>,
    /// Engines that did not run, and why.
    pub absent: Vec<(String, String)>,
}

/// Differences of an engine's embeddings from the reference's.
#[derive(Clone, Debug, Serialize)]
pub struct Agreement {
    /// The engine.
    pub engine: &'static str,
    /// Whether it computes in floats and so must agree to [`TOLERANCE`].
    pub float: bool,
    /// Greatest absolute difference of a value.
    pub absolute: f32,
    /// Greatest absolute difference in an embedding over the greatest magnitude in that embedding
    /// of the reference.
    pub relative: f32,
    /// Least cosine similarity of two embeddings of one patch.
    pub cosine: f32,
    /// Power of the reference over that of the difference, dB, over all patches.
    pub snr: f32,
}

/// Explains why a backbone is not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// An engine that must run fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The audio gives no patches to compare on.
    #[error(transparent)]
    Patches(#[from] PackError),
    /// The metadata of the ONNX file cannot be read.
    #[error(transparent)]
    Metadata(#[from] ImportError),
    /// The packed model does not open.
    #[error("the packed model does not open: {0}")]
    Packed(mtslvr_runtime::model::OpenError),
    /// Float engines differ.
    #[error(
        "{engine} differs from {reference} by {relative:.2e} relative, at most {TOLERANCE:.0e} \
         allowed: the exported model is not the one that was trained\n{table}"
    )]
    Differs {
        /// The engine that differs.
        engine: &'static str,
        /// The engine that it was compared with.
        reference: &'static str,
        /// Relative difference.
        relative: f32,
        /// All comparisons.
        table: String,
    },
}

/// Runs `patches` through the packer's interpreter, tract if it was built in, ONNX Runtime if its
/// library is there, and the packed engine. Compares them with `candle`, the embeddings that the
/// trainer's own network makes of the same patches, or without these with the interpreter.
///
/// # Errors
/// [`VerifyError`] if an engine fails or the packed model does not open, or a float engine differs from
/// the reference by more than [`TOLERANCE`].
pub fn verify(
    subject: &Subject<'_>,
    patches: &[Vec<f32>],
    candle: Option<&[Vec<f32>]>,
) -> Result<Verification, VerifyError> {
    let read: Vec<Vec<f32>> = patches
        .iter()
        .map(|patch| interpret::embed(subject.graph, patch))
        .collect();
    let (reference, expected) = match candle {
        Some(embeddings) => ("candle", embeddings),
        None => (INTERPRETER, &read[..]),
    };
    let mut engines = Vec::new();
    let mut absent: Vec<(String, String)> = Vec::new();
    if candle.is_some() {
        engines.push(agreement(INTERPRETER, true, expected, &read));
    }
    #[cfg(feature = "tract")]
    {
        let metadata = subject.metadata.clone();
        let mut tract = TractBackbone::from_bytes(subject.onnx, "the ONNX model", metadata)?;
        let found = embed_all(&mut tract, patches)?;
        engines.push(agreement("tract", true, expected, &found));
    }
    #[cfg(not(feature = "tract"))]
    absent.push((
        "tract".into(),
        "this program was built without the feature tract".into(),
    ));
    match OrtBackbone::from_bytes(subject.onnx, "the ONNX model", subject.metadata.clone()) {
        Ok(mut ort) => {
            let found = embed_all(&mut ort, patches)?;
            engines.push(agreement("ONNX Runtime", true, expected, &found));
        }
        Err(EngineError::Library { reason }) => absent.push(("ONNX Runtime".into(), reason)),
        Err(error) => return Err(error.into()),
    }
    if let Some(slvr) = subject.slvr {
        let bytes = mtslvr_runtime::model::AlignedBytes::new(slvr);
        let model = Model::open(&bytes).map_err(VerifyError::Packed)?;
        let mut packed = PackedBackbone::new(model, vec![0i8; model.arena_len()])
            .expect("the arena is as long as the model says");
        let found = embed_all(&mut packed, patches).map_err(EngineError::from)?;
        engines.push(agreement("packed int8", false, expected, &found));
    }
    let verification = Verification {
        reference,
        patches: patches.len(),
        engines,
        absent,
    };
    let worst = verification
        .engines
        .iter()
        .find(|e| e.float && e.relative > TOLERANCE);
    match worst {
        None => Ok(verification),
        Some(worst) => Err(VerifyError::Differs {
            engine: worst.engine,
            reference,
            relative: worst.relative,
            table: verification.to_string(),
        }),
    }
}

/// Runs patches of `clips` through the ONNX file `onnx` in every engine and through `packed`, which was made of
/// its `graph`. `frontend` describes the input of a model whose metadata does not.
///
/// # Errors
/// As [`verify`], and if the clips give no patches.
pub fn verify_packed(
    onnx: &[u8],
    frontend: Option<FrontendDescription>,
    graph: &Graph,
    packed: &[u8],
    clips: &[Vec<f32>],
) -> Result<Verification, VerifyError> {
    let patches = spread_patches(graph, clips)?;
    let step = patches.len().div_ceil(PATCHES);
    let patches: Vec<Vec<f32>> = patches.into_iter().step_by(step).collect();
    let mut metadata = onnx::read_metadata(onnx)?;
    complete(&mut metadata, frontend, graph.dim());
    let subject = Subject {
        onnx,
        metadata: Some(metadata),
        graph,
        slvr: Some(packed),
    };
    verify(&subject, &patches, None)
}

/// Fills in what the float engines ask for and a model of another program lacks. Embeddings do not
/// depend on its statistics.
fn complete(metadata: &mut OnnxMetadata, given: Option<FrontendDescription>, dim: usize) {
    metadata.frontend = given.or_else(|| metadata.frontend.take());
    let unmeasured = EmbeddingStatistics::unmeasured(dim);
    metadata.base_mean.get_or_insert(unmeasured.base_mean);
    metadata.reference.get_or_insert(unmeasured.reference);
}

impl Verification {
    /// Returns a remark if the packed model's embeddings are far from the ONNX model's. `synthetic` tells whether it
    /// was calibrated on synthetic sounds.
    pub fn warning(&self, synthetic: bool) -> Option<String> {
        let packed = self.engines.iter().find(|engine| !engine.float)?;
        let remedy = if synthetic {
            "It was calibrated on synthetic sounds: calibrate on recordings like those that the device will \
             hear (--calibrate)."
        } else {
            "Calibrate on more recordings, and on such as the device will hear."
        };
        (packed.cosine < CLOSE).then(|| {
            format!(
                "The packed model is less accurate than it could be: the least cosine between its \
                 embeddings and those of the ONNX model is {:.4}, expected at least {CLOSE}. {remedy}",
                packed.cosine
            )
        })
    }
}

fn embed_all<B: Backbone>(
    backbone: &mut B,
    patches: &[Vec<f32>],
) -> Result<Vec<Vec<f32>>, B::Error> {
    let dim = backbone.space().dim();
    patches
        .iter()
        .map(|patch| {
            let mut embedding = vec![0.0; dim];
            backbone.embed(patch, &mut embedding)?;
            Ok(embedding)
        })
        .collect()
}

fn agreement(
    engine: &'static str,
    float: bool,
    expected: &[Vec<f32>],
    found: &[Vec<f32>],
) -> Agreement {
    let mut worst = Agreement {
        engine,
        float,
        absolute: 0.0,
        relative: 0.0,
        cosine: 1.0,
        snr: f32::INFINITY,
    };
    let (mut signal, mut noise) = (0.0f64, 0.0f64);
    for (a, b) in expected.iter().zip(found) {
        // A NaN anywhere, or a missing value, must not look like agreement.
        let comparable = a.len() == b.len() && a.iter().chain(b).all(|v| v.is_finite());
        let difference = if comparable {
            a.iter()
                .zip(b)
                .fold(0.0f32, |m, (x, y)| m.max((x - y).abs()))
        } else {
            f32::INFINITY
        };
        let magnitude = a.iter().fold(0.0f32, |m, x| m.max(x.abs())).max(1e-12);
        worst.absolute = worst.absolute.max(difference);
        worst.relative = worst.relative.max(difference / magnitude);
        let dot =
            |x: &[f32], y: &[f32]| -> f64 { x.iter().zip(y).map(|(x, y)| f64::from(x * y)).sum() };
        let norms = (dot(a, a) * dot(b, b)).sqrt();
        // Two embeddings of zeros are the same.
        let cosine = if norms > 0.0 { dot(a, b) / norms } else { 1.0 };
        worst.cosine = worst.cosine.min(cosine as f32);
        signal += dot(a, a);
        noise += a
            .iter()
            .zip(b)
            .map(|(x, y)| f64::from((x - y) * (x - y)))
            .sum::<f64>();
    }
    if noise > 0.0 {
        worst.snr = (10.0 * (signal / noise).log10()) as f32;
    }
    worst
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} patches, compared with {}:",
            self.patches, self.reference
        )?;
        writeln!(
            f,
            "  {:<16} {:>12} {:>12} {:>12} {:>9}",
            "engine", "max abs", "max rel", "min cosine", "SNR dB"
        )?;
        for e in &self.engines {
            writeln!(
                f,
                "  {:<16} {:>12.2e} {:>12.2e} {:>12.6} {:>9.1}",
                e.engine, e.absolute, e.relative, e.cosine, e.snr
            )?;
        }
        for (engine, reason) in &self.absent {
            writeln!(f, "  {engine:<16} not compared: {reason}")?;
        }
        Ok(())
    }
}
