//! Which backbone a command runs, and in which engine.

use mtslvr_pack::{BackboneFile, Engine, ModelSource, OpenBackboneError, model_kinds};

/// Flattened into the arguments of a subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ModelChoice {
    #[arg(
        long,
        value_name = "MODEL",
        help = format!("The backbone: {} [default: {}]", model_kinds(), ModelSource::default())
    )]
    model: Option<ModelSource>,
}

impl ModelChoice {
    /// The model that was named, if one was.
    pub(super) fn named(&self) -> Option<&ModelSource> {
        self.model.as_ref()
    }

    /// The model that was asked for. Without one it is the shipped backbone itself, whatever lies in
    /// the folder that the program runs in.
    pub(super) fn source(&self) -> ModelSource {
        self.model.clone().unwrap_or_default()
    }
}

/// Flattened into the arguments of a subcommand.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BackboneChoice {
    #[command(flatten)]
    pub(super) model: ModelChoice,
    /// What runs the backbone [default: packed; tract for an .onnx or a run folder]. To a profile the
    /// float and the packed form are different backbones
    #[arg(long, value_enum)]
    pub(super) engine: Option<Engine>,
}

impl BackboneChoice {
    /// Opens the backbone that was asked for.
    pub(super) fn open(&self) -> Result<BackboneFile, OpenBackboneError> {
        BackboneFile::open(&self.model.source(), self.engine)
    }
}
