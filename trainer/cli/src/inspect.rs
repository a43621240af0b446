//! `mtslvr inspect`: shows the cost and the contents of a model, and what a profile is.

mod board;

use super::backbone::FrontendChoice;
use super::examples::examples;
use super::trusted_key::{Trust, TrustedKeyChoice};
use anyhow::{Context, Result, ensure};
use board::OnBoard;
use mtslvr_audio::ShowPath;
use mtslvr_listen::profile::Snapshot;
use mtslvr_pack::inspect::Signature;
use mtslvr_pack::{Engine, ModelSource, model_kinds};
use mtslvr_runtime::fewshot::persist::signed_contents;
use mtslvr_runtime::trust::TrustError;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Show the flash, memory and work that a model needs, and what is in it
///
/// Prints sizes in bytes, multiply-accumulates, the operators, the parts of the embedding and the
/// statistics that were measured on sounds. Of a profile (.mtss) it prints the backbone and the number of
/// classes and examples.
///
/// Tells of both the version counter and the key that signed it. With --trusted-key the signature is
/// verified; if it is not that key's, the command fails.
///
/// With --board, prints instead whether the model fits a board, and how long it takes there; if it does not fit, the
/// command fails. Instructions are estimated from those that were measured in an emulator, layer by layer; the
/// cycles for each are assumed.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Look into a model of your own" => "mtslvr inspect mtslvr-run/model.slvr",
    "Ask whether a model fits a board" => "mtslvr inspect edge-s --board nrf52840",
    "Check who signed a model" =>
        "mtslvr inspect model.slvr --trusted-key maker.key.pub",
))]
pub(super) struct Args {
    #[arg(help = format!(
        "Model to show: {}; run folders and shipped backbones are shown in packed form; or a .mtss file",
        model_kinds()
    ))]
    model: ModelSource,
    #[command(flatten)]
    frontend: FrontendChoice,
    #[command(flatten)]
    trusted: TrustedKeyChoice,
    #[arg(long, value_name = "NAME", help = format!(
        "Board to fit: {}. Without it, the model is shown", board::names().join(", ")
    ))]
    board: Option<String>,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. A model in ONNX has null where only a packed one has a value. Fields:
  format, name, provenance: slvr or onnx, the model's name, and where its weights are from
  hash: hash of the contents as stated, and whether it is verified
  version_counter: number that grows from one release to the next
  signature: key that signed it, and whether it is trusted (null without --trusted-key); null if unsigned
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
  operators: of each, in the order they run, name, kind, input, output, kernel, stride, adapter, macs, bytes
With --board:
  board, title, core, mhz: the board, its processor, and its clock
  fits: whether flash and RAM suffice
  flash, ram: uses with the bytes of each, bytes needed, and bytes there
  cycles_per_instruction, because: cycles that are assumed, and why
  patch_instructions, frame_instructions, decision_instructions: work for a patch, for the features of a
    frame, and for a decision among 8 classes with 64 examples
  quiet_instructions: work for a second in which nothing is heard
  patch_ms, second_ms, quiet_ms: milliseconds for a patch, for a second in which a sound is heard, and for a quiet one
  real_time_percent: share of the time while a sound is heard
Of a profile: format (mtss), backbone, classes and examples (their numbers), version_counter, signature";

/// A profile seen from outside.
#[derive(Debug, Serialize)]
struct Profile {
    /// `mtss`.
    format: &'static str,
    /// The backbone that it was enrolled under.
    backbone: String,
    classes: usize,
    examples: usize,
    version_counter: Option<u64>,
    signature: Option<Signature>,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "profile     for the backbone {}", self.backbone)?;
        let (classes, examples) = (self.classes, self.examples);
        writeln!(f, "classes     {classes} with {examples} examples")?;
        if let Some(counter) = self.version_counter {
            writeln!(f, "version     {counter}")?;
        }
        match &self.signature {
            Some(signature) => writeln!(f, "signed by   {signature}"),
            None => Ok(()),
        }
    }
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let trust = self.trusted.trust()?;
        let checked = match &self.model {
            ModelSource::Path(path) if path.extension().is_some_and(|e| e == "mtss") => {
                self.profile(path, trust.as_ref())?
            }
            _ => self.model(trust.as_ref())?,
        };
        checked.with_context(|| self.model.to_string())
    }

    /// Shows a model; returns whether it is trusted.
    fn model(&self, trust: Option<&Trust>) -> Result<Result<(), TrustError>> {
        // A source that holds both forms is asked for the one that goes to a device.
        let engine = match &self.model {
            ModelSource::Path(path) if !path.is_dir() => None,
            _ => Some(Engine::Packed),
        };
        let file = self.frontend.open(&self.model, engine)?;
        if let Some(name) = &self.board {
            let model = file.packed_model();
            let model = model.context("no packed model; pack it first: `mtslvr pack`")?;
            let on_board = OnBoard::new(&model, board::find(name)?)?;
            self.show(&on_board)?;
            on_board.check().with_context(|| self.model.to_string())?;
            return Ok(trust.map_or(Ok(()), |trust| {
                model.check_signature(&trust.key, trust.least)
            }));
        }
        let mut inspection = file.inspect()?;
        let checked = trust.map_or(Ok(()), |trust| match file.packed_model() {
            Some(model) => model.check_signature(&trust.key, trust.least),
            // ONNX has no signatures.
            None => Err(TrustError::Unsigned),
        });
        verified(&mut inspection.signature, trust, checked);
        self.show(&inspection)?;
        Ok(checked)
    }

    /// Shows a profile; returns whether it is trusted.
    fn profile(&self, path: &Path, trust: Option<&Trust>) -> Result<Result<(), TrustError>> {
        ensure!(
            self.board.is_none(),
            "{}: a profile, expected a model beside --board",
            path.shown()
        );
        let snapshot = Snapshot::read(path)?;
        let contents = signed_contents(snapshot.as_bytes());
        let contents = contents.with_context(|| path.shown().to_string())?;
        let checked = trust.map_or(Ok(()), |trust| contents.check(&trust.key, trust.least));
        let header = snapshot.header();
        let mut profile = Profile {
            format: "mtss",
            backbone: header.backbone.to_string(),
            classes: header.classes,
            examples: header.examples,
            version_counter: contents.version_counter,
            signature: contents.signature.as_ref().map(Signature::of),
        };
        verified(&mut profile.signature, trust, checked);
        self.show(&profile)?;
        Ok(checked)
    }

    fn show(&self, found: &(impl Serialize + fmt::Display)) -> Result<()> {
        if self.json {
            outln!("{}", serde_json::to_string_pretty(found)?);
        } else {
            out!("{found}");
        }
        Ok(())
    }
}

/// Notes in `signature` what came of verifying it, if there was a key to do so.
fn verified(
    signature: &mut Option<Signature>,
    trust: Option<&Trust>,
    checked: Result<(), TrustError>,
) {
    if let Some(signature) = signature.as_mut().filter(|_| trust.is_some()) {
        signature.trusted = Some(checked.is_ok());
    }
}
