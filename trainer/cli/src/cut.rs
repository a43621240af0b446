//! `mtslvr cut`: cuts the network out of an ONNX model that computes its features, too.

use super::backbone::FrontendChoice;
use super::examples::examples;
use super::lists::COMMA;
use super::output_place;
use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_pack::onnx;
use std::path::PathBuf;

/// Cut the network out of an ONNX model that takes sound
///
/// Such a model computes features, and then an embedding of them. This program computes the features
/// itself, on a device, too, as --frontend describes them. What is written is the network between them
/// and the embedding, with the description in it: every command takes it as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Cut the network out behind the value mel, and pack it" =>
        "mtslvr cut model.onnx --from mel --frontend model.toml --out net.onnx"
        "mtslvr pack net.onnx --calibrate recordings --out net.slvr",
    "Keep one of YAMNet's two outputs, the scores" =>
        "mtslvr cut y.onnx --from x0 --to scores --frontend y.toml --out n.onnx",
))]
pub(super) struct Args {
    /// ONNX model to cut
    onnx: PathBuf,
    /// Value that is the patch of features
    ///
    /// Programs that draw graphs show the names of values. An unknown name is answered with some that
    /// could be meant.
    #[arg(long, value_name = "VALUE")]
    from: String,
    /// Values that are the parts of the embedding [default: the model's outputs]
    #[arg(long, value_name = "VALUE", value_delimiter = COMMA)]
    to: Vec<String>,
    #[command(flatten)]
    frontend: FrontendChoice,
    /// ONNX model to write
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        output_place::check_file("--out", &self.out)?;
        let shown = self.onnx.shown();
        let bytes = onnx::load(&self.onnx).with_context(|| shown.to_string())?;
        let description = self.frontend.description()?.context(
            "--frontend is missing: a TOML file that describes the features \
             (trainer/pack/OWN-MODELS.md)",
        )?;
        let to = match self.to.is_empty() {
            true => onnx::outputs(&bytes).with_context(|| shown.to_string())?,
            false => self.to,
        };
        let network =
            onnx::cut(&bytes, &self.from, &to, &description).with_context(|| shown.to_string())?;
        write_bytes(&self.out, &network)
            .with_context(|| format!("cannot write {}", self.out.shown()))?;
        outln!(
            "{}: {} bytes, from {} to {}",
            self.out.shown(),
            network.len(),
            self.from,
            to.join(", ")
        );
        Ok(())
    }
}
