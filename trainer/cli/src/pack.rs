//! `mtslvr pack`: an ONNX model, our own or foreign, to a `.slvr`.

use super::cache::Cache;
use super::calibration::Calibration;
use super::export::name_of;
use anyhow::{Context, Result};
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_pack::calibration::RangeRule;
use mtslvr_pack::engine::{FrontendDescription, OnnxMetadata};
use mtslvr_pack::verify::{Subject, Verification, verify};
use mtslvr_pack::{EmbeddingStatistics, PackOptions, onnx, pack, spread_patches};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Patches that go through every engine afterwards.
const VERIFIED_PATCHES: usize = 16;

/// Quantise an ONNX backbone to int8 and pack it for the device
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ONNX model
    onnx: PathBuf,
    /// The packed model to write
    #[arg(long, value_name = "FILE.slvr")]
    out: PathBuf,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    cache: Cache,
    /// How the model's input is made, for a model that does not say so in its metadata: a TOML file
    /// with the keys sample_rate, window, hop, mels, frames, f_min, f_max, floor, mean, scale and
    /// layout ("time-mel" or "mel-time")
    #[arg(long, value_name = "FILE.toml")]
    frontend: Option<PathBuf>,
    /// Fold adapters into kernels of each path's own: less work at run time, about twice the flash
    #[arg(long)]
    fold: bool,
    /// What the packed model is called [default: the ONNX file's name]
    #[arg(long)]
    name: Option<String>,
    /// Print what was written and how the engines compare as JSON
    #[arg(long)]
    json: bool,
}

/// What was packed, for scripts.
#[derive(Debug, Serialize)]
struct Outcome<'o> {
    slvr: &'o Path,
    bytes: usize,
    verification: Verification,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let file = self.onnx.display().to_string();
        let bytes = std::fs::read(&self.onnx).with_context(|| format!("cannot read {file}"))?;
        let given = self.frontend.as_ref().map(|path| {
            let name = path.display();
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            FrontendDescription::parse(&text).with_context(|| name.to_string())
        });
        let given = given.transpose()?;
        let graph = onnx::read(&bytes, given.as_ref()).with_context(|| file.clone())?;
        let clips = self
            .calibration
            .clips(&graph.frontend, &self.cache.open()?)?;
        let options = PackOptions {
            name: self.name.unwrap_or_else(|| name_of(&self.onnx)),
            provenance: graph
                .provenance
                .clone()
                .unwrap_or_else(|| format!("packed from {file}")),
            fold: self.fold,
            range: RangeRule::default(),
        };
        let packed = pack(&graph, &clips, &options).with_context(|| file.clone())?;

        let all = spread_patches(&graph, &clips)?;
        let step = all.len().div_ceil(VERIFIED_PATCHES);
        let patches: Vec<Vec<f32>> = all.into_iter().step_by(step).collect();
        let mut metadata = onnx::read_metadata(&bytes)?;
        complete(&mut metadata, given, graph.dim());
        let verification = verify(
            &Subject {
                onnx: &bytes,
                metadata: Some(metadata),
                graph: &graph,
                slvr: Some(&packed),
            },
            &patches,
            None,
        )
        .with_context(|| file.clone())?;
        write_bytes(&self.out, &packed)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        if self.json {
            let outcome = Outcome {
                slvr: &self.out,
                bytes: packed.len(),
                verification,
            };
            println!("{}", serde_json::to_string_pretty(&outcome)?);
            return Ok(());
        }
        print!("{verification}");
        println!("{}: {} bytes", self.out.display(), packed.len());
        Ok(())
    }
}

/// Fills in what the float engines ask for and a foreign model lacks; embeddings do not depend on
/// its statistics.
fn complete(metadata: &mut OnnxMetadata, given: Option<FrontendDescription>, dim: usize) {
    metadata.frontend = given.or(metadata.frontend);
    let unmeasured = EmbeddingStatistics::unmeasured(dim);
    metadata.base_mean.get_or_insert(unmeasured.base_mean);
    metadata.reference.get_or_insert(unmeasured.reference);
}
