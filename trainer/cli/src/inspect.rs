//! `mtslvr inspect`: shows the cost and the contents of a model.

use super::backbone::FrontendChoice;
use super::examples::examples;
use anyhow::Result;
use mtslvr_pack::{Engine, ModelSource, model_kinds};

/// Show the flash, memory and work that a model needs, and what is in it
///
/// Prints sizes in bytes, multiply-accumulates, the operators, the parts of the embedding and the
/// statistics that were measured on sounds.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Look into a shipped backbone" => "mtslvr inspect edge-s",
    "Look into a model of your own" => "mtslvr inspect mtslvr-run/model.slvr",
))]
pub(super) struct Args {
    #[arg(help = format!(
        "Model to show: {}; run folders and shipped backbones are shown in packed form",
        model_kinds()
    ))]
    model: ModelSource,
    #[command(flatten)]
    frontend: FrontendChoice,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. A model in ONNX has null where only a packed one has a value. Fields:
  format, name, provenance: slvr or onnx, the model's name, and where its weights are from
  hash: hash of the contents as stated, and whether it is verified
  file_bytes: size of the file
  flash: its bytes by use: weights, adapters, tables, other
  ram: bytes of the arena and of the clip_buffer
  memory_plan: how activations share the arena
    arena, lower_bound, above_bound_percent: its bytes, the least that any plan needs, and the difference
    buffers: for each, name, bytes, offset, lifetime (first and last time of use), in_place
  macs: multiply-accumulates for a patch
  frontend: sample_rate, window, hop, mels, frames, f_min, f_max, floor, mean, scale, transform, spectrum,
    mel_scale, band_norm, floor_rule and framing of the features (trainer/pack/OWN-MODELS.md),
    and what a packed model does to a patch: patch_mean, and whether each band has a mean and scale (bands)
  parts: of each part of an embedding, name, len (values), share in the similarity, macs
  statistics: of embeddings of ordinary audio
    base_mean_norm: length of their mean
    unrelated_similarity: similarity that 50, 25, 10, 5, 2, 1, 0.5 and 0.2 % of unrelated pairs exceed
    cohort, cohort_weights: directions of ordinary sounds, and whether each weighs the parts
  operators: of each, in the order they run, name, kind, input, output, kernel, stride, adapter, macs, bytes";

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        // A source that holds both forms is asked for the one that goes to a device.
        let engine = match &self.model {
            ModelSource::Path(path) if !path.is_dir() => None,
            _ => Some(Engine::Packed),
        };
        let inspection = self.frontend.open(&self.model, engine)?.inspect()?;
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&inspection)?);
        } else {
            out!("{inspection}");
        }
        Ok(())
    }
}
