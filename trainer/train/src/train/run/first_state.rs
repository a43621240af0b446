//! The state that a run begins with: random weights, those of another run, or a checkpoint.

use crate::net::{Parameters, Weights};
use crate::ssl::Objective;
use crate::train::checkpoint::{self, Progress};
use crate::train::config::RunConfig;
use crate::train::folder::RunFolder;
use crate::train::observer::Observer;
use crate::train::optimiser::AdamW;
use crate::train::request::TrainRequest;
use anyhow::{Result, bail};

/// Loads the weights that `request` says into `parameters`, and has parts without a teacher keep what
/// they say with the weights that the run started from.
///
/// # Errors
/// If nothing would teach a part, or the checkpoint or the weights to start from cannot be read or do
/// not fit.
pub(super) fn load(
    request: &TrainRequest,
    folder: &RunFolder,
    config: &RunConfig,
    parameters: &Parameters,
    objective: &mut Objective,
    observer: &mut dyn Observer,
) -> Result<(AdamW, Progress)> {
    let start = if !request.resume {
        request.start.clone()
    } else if folder.start().exists() {
        Some(checkpoint::load_weights(&folder.start())?)
    } else {
        None
    };
    if start.is_none() {
        check_taught(config)?;
        if !request.resume && config.train.takes_no_step() {
            bail!(
                "train.minutes is 0, which takes no step: expected more, or weights of another run to start from (--from)"
            );
        }
    }
    let state = if request.resume {
        checkpoint::load(&folder.checkpoint(), parameters)?
    } else {
        if let Some(start) = &start {
            start_from(start, parameters, observer)?;
            checkpoint::save_weights(&folder.start(), start.clone())?;
        }
        (AdamW::default(), Progress::default())
    };
    if let Some(start) = &start {
        objective.keep(start, parameters.device())?;
    }
    Ok(state)
}

/// Refuses a part that nothing would teach.
fn check_taught(config: &RunConfig) -> Result<()> {
    let taught = |name: &str| {
        let mut teachers = config.objective.teachers.values();
        teachers.any(|teacher| teacher.part.as_deref() == Some(name))
    };
    match config
        .backbone
        .parts
        .iter()
        .find(|part| !taught(&part.name))
    {
        None => Ok(()),
        Some(part) => bail!(
            "no teacher teaches the part {name}; add [objective.teachers.{name}] with part = {name:?}, or leave the \
             part out",
            name = part.name
        ),
    }
}

/// Sets `parameters` from the weights of another run. Heads and parts that it lacks begin anew, with a
/// remark; what the paths are made of has to be there.
fn start_from(start: &Weights, parameters: &Parameters, observer: &mut dyn Observer) -> Result<()> {
    let missing = parameters.load_known(start)?;
    let needed = |name: &&String| {
        let trunk = ["stem.", "stages.", "output."];
        trunk.iter().any(|start| name.starts_with(start))
    };
    if let Some(name) = missing.iter().find(needed) {
        bail!(
            "the weights to start from lack {name}, or have another shape of it: they are of another [backbone]"
        );
    }
    let mut layers: Vec<&str> = missing
        .iter()
        .map(|name| {
            name.rsplit_once('.')
                .map_or(name.as_str(), |(layer, _)| layer)
        })
        .collect();
    layers.dedup();
    if !layers.is_empty() {
        observer.note(&format!(
            "the weights to start from lack these layers, which begin anew: {}",
            layers.join(", ")
        ));
    }
    Ok(())
}
