//! The options that name a backbone and the engine that runs it.

#[cfg(feature = "train")]
use anyhow::Context;
use anyhow::Result;
#[cfg(feature = "train")]
use mtslvr_audio::{ShowPath, read_bounded};
use mtslvr_pack::engine::{FloatEngine, FrontendDescription};
use mtslvr_pack::{BackboneFile, Engine, ModelSource, OpenBackboneError, model_kinds};
#[cfg(feature = "train")]
use std::path::PathBuf;

/// The option `--model`, flattened into the arguments of a subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ModelChoice {
    #[arg(long, value_name = "MODEL", help = model_help(&ModelSource::default().to_string()))]
    model: Option<ModelSource>,
}

/// Returns the help of `--model`, with words for its default.
fn model_help(default: &str) -> String {
    format!("Backbone to run: {} [default: {default}]", model_kinds())
}

impl ModelChoice {
    /// Returns the model that was named, if one was.
    pub(super) fn named(&self) -> Option<&ModelSource> {
        self.model.as_ref()
    }

    /// Chooses `model`.
    pub(super) fn of(model: ModelSource) -> Self {
        Self { model: Some(model) }
    }

    /// Returns the model that was named or the default. The default is always the shipped backbone,
    /// even where the folder that the program runs in holds a file of its name.
    pub(super) fn source(&self) -> ModelSource {
        self.model.clone().unwrap_or_default()
    }
}

/// The option `--engine`, flattened into the arguments of a subcommand.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct EngineChoice {
    #[arg(
        long,
        value_enum,
        help = engine_help(),
        long_help = format!(
            "{}\n\n{}",
            engine_help(),
            "The packed engine computes in int8, the others in float. A profile belongs to one of the \
             two: a profile that was enrolled with the packed engine is refused by the others."
        )
    )]
    pub(super) engine: Option<Engine>,
}

/// Returns the help of `--engine`, with the defaults of this build.
fn engine_help() -> String {
    let float = match FloatEngine::BUILT_IN {
        _ if !cfg!(feature = "train") => "",
        FloatEngine::Tract => "; tract for an .onnx file or a run folder",
        _ => "; interpreter for an .onnx file or a run folder",
    };
    format!("Engine that runs the backbone [default: packed{float}]")
}

/// The option `--frontend`, flattened into the arguments of a subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct FrontendChoice {
    /// Description of the input of an .onnx model [default: as the model's metadata says]
    ///
    /// A TOML file, needed for models of other programs, with the keys sample_rate, window, hop, mels,
    /// frames, f_min, f_max, floor, mean, scale and layout ("time-mel" or "mel-time"), and with transform,
    /// spectrum, mel_scale, band_norm, floor_rule, framing, log, patch_mean, band_mean and band_scale where
    /// they are not the plain ones (trainer/pack/OWN-MODELS.md).
    #[cfg(feature = "train")]
    #[arg(long, value_name = "FILE.toml")]
    frontend: Option<PathBuf>,
}

impl FrontendChoice {
    /// Reads the description, if one was given.
    #[cfg(feature = "train")]
    pub(super) fn description(&self) -> Result<Option<FrontendDescription>> {
        let Some(path) = &self.frontend else {
            return Ok(None);
        };
        let name = path.shown();
        let bytes = read_bounded(path, 1 << 20).with_context(|| format!("cannot read {name}"))?;
        let text = String::from_utf8(bytes).with_context(|| format!("cannot read {name}"))?;
        let description = FrontendDescription::parse(&text).with_context(|| name.to_string())?;
        Ok(Some(description))
    }

    /// Returns `None`: this program runs no .onnx models.
    #[cfg(not(feature = "train"))]
    #[expect(
        clippy::unused_self,
        reason = "a program with training reads its option"
    )]
    pub(super) fn description(&self) -> Result<Option<FrontendDescription>> {
        Ok(None)
    }

    /// Opens a model with this description of its input.
    pub(super) fn open(&self, model: &ModelSource, engine: Option<Engine>) -> Result<BackboneFile> {
        let description = self.description()?;
        let file = BackboneFile::open(model, engine)?;
        Ok(match &description {
            Some(description) => file.described(description)?,
            None => file,
        })
    }
}

/// Both options, flattened into the arguments of a subcommand.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BackboneChoice {
    #[command(flatten)]
    pub(super) model: ModelChoice,
    #[command(flatten)]
    pub(super) engine: EngineChoice,
}

/// Both options for a command that uses a profile, whose own backbone is the default.
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("model", |model| {
    let shipped = ModelSource::default();
    model.help(model_help(&format!("the profile's own; {shipped} for a new profile")))
}))]
pub(super) struct ProfileBackboneChoice {
    #[command(flatten)]
    pub(super) asked: BackboneChoice,
}

impl BackboneChoice {
    /// Opens the backbone that was asked for.
    pub(super) fn open(&self) -> Result<BackboneFile, OpenBackboneError> {
        BackboneFile::open(&self.model.source(), self.engine.engine)
    }

    /// Opens the backbone that was asked for, with a description of its input.
    pub(super) fn open_with(&self, frontend: &FrontendChoice) -> Result<BackboneFile> {
        frontend.open(&self.model.source(), self.engine.engine)
    }
}
