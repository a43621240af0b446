//! A run's state on disk: one safetensors file, replaced atomically.

use super::optimiser::AdamW;
use crate::net::{Parameters, Weights};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use half::f16;
use mtslvr_audio::atomic_file::write_atomically;
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::Path;

const NETWORK: &str = "network.";
const OPTIMISER: &str = "optimiser.";
const PROGRESS: &str = "progress";

/// Progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Best accuracy on held-out sets so far, percent; 0 before the first check.
    pub best: f64,
    /// Checks since then.
    pub stale: u64,
}

/// Writes everything that a resumed run needs.
///
/// # Errors
/// If a tensor cannot be read from its device, or the file cannot be written.
pub fn save(
    path: &Path,
    parameters: &Parameters,
    optimiser: &AdamW,
    progress: Progress,
) -> Result<()> {
    let mut tensors = HashMap::new();
    let (optimiser_step, moments) = optimiser.state();
    add(&mut tensors, NETWORK, parameters.to_weights()?)?;
    add(&mut tensors, OPTIMISER, moments)?;
    // 64-bit counts and 64-bit floats, as bits, lose nothing as integers.
    let counts = [
        progress.step,
        optimiser_step,
        progress.seconds.to_bits(),
        progress.best.to_bits(),
        progress.stale,
    ]
    .map(|x| x as i64);
    tensors.insert(PROGRESS.to_owned(), Tensor::new(&counts, &Device::Cpu)?);
    write(path, &tensors)
}

/// Reads a checkpoint into `parameters`.
///
/// # Errors
/// If the file cannot be read, is no checkpoint, or is of another network.
pub fn load(path: &Path, parameters: &Parameters) -> Result<(AdamW, Progress)> {
    let mut network = Weights::new();
    let mut moments = Weights::new();
    let mut counts = None;
    for (name, tensor) in read(path)? {
        if let Some(name) = name.strip_prefix(NETWORK) {
            network.insert(name.to_owned(), plain(&tensor)?);
        } else if let Some(name) = name.strip_prefix(OPTIMISER) {
            moments.insert(name.to_owned(), plain(&tensor)?);
        } else if name == PROGRESS {
            counts = Some(tensor.to_vec1::<i64>()?);
        }
    }
    let counts: Vec<u64> = counts.iter().flatten().map(|&x| x as u64).collect();
    let [step, optimiser_step, seconds, best, stale] = counts[..] else {
        bail!(
            "{} is not a checkpoint: it has no progress record",
            path.display()
        );
    };
    let fit = || format!("{} does not fit this configuration", path.display());
    parameters.load(&network).with_context(fit)?;
    let optimiser = AdamW::from_state(optimiser_step, moments, parameters).with_context(fit)?;
    Ok((
        optimiser,
        Progress {
            step,
            seconds: f64::from_bits(seconds),
            best: f64::from_bits(best),
            stale,
        },
    ))
}

/// Writes plain weights, such as a finished run's `weights.safetensors`.
///
/// # Errors
/// If the file cannot be written.
pub fn save_weights(path: &Path, weights: Weights) -> Result<()> {
    let mut tensors = HashMap::new();
    add(&mut tensors, "", weights)?;
    write(path, &tensors)
}

/// Reads plain weights, in single or half precision.
///
/// # Errors
/// If the file cannot be read, or holds tensors that are not `f32` or `f16`.
pub fn load_weights(path: &Path) -> Result<Weights> {
    read(path)?
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), plain(tensor)?)))
        .collect()
}

fn add(tensors: &mut HashMap<String, Tensor>, prefix: &str, weights: Weights) -> Result<()> {
    for (name, (shape, values)) in weights {
        tensors.insert(
            format!("{prefix}{name}"),
            Tensor::from_vec(values, shape, &Device::Cpu)?,
        );
    }
    Ok(())
}

/// Key of a configuration in the metadata of a file of weights.
const CONFIG: &str = "mtslvr.config";

/// Writes `weights` with the configuration `config` (TOML) that they were trained with: matrices and
/// kernels in half precision, the rest in single precision.
///
/// # Errors
/// If a value does not fit into half precision, or the file cannot be written.
pub fn save_half(path: &Path, weights: &Weights, config: &str) -> Result<()> {
    let mut tensors = HashMap::new();
    for (name, (shape, values)) in weights {
        let mut tensor = Tensor::from_slice(values, &shape[..], &Device::Cpu)?;
        if shape.len() > 1 {
            if let Some(value) = values.iter().find(|x| !f16::from_f32(**x).is_finite()) {
                bail!("{name} holds {value}, which half precision cannot");
            }
            tensor = tensor.to_dtype(DType::F16)?;
        }
        tensors.insert(name.clone(), tensor);
    }
    let metadata = HashMap::from([(CONFIG.to_owned(), config.to_owned())]);
    let written = write_atomically(path, |neighbour| {
        safetensors::serialize_to_file(&tensors, Some(metadata), neighbour)
            .map_err(anyhow::Error::from)
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Reads the bytes of a file that [`save_half`] wrote, called `name` in messages: the configuration and the
/// weights.
///
/// # Errors
/// If they are no such file, or do not say with which configuration the weights were trained.
pub fn read_half(name: &str, bytes: &[u8]) -> Result<(String, Weights)> {
    let what = || format!("cannot read {name}: expected a file of weights");
    let (_, metadata) = SafeTensors::read_metadata(bytes).with_context(what)?;
    let held = metadata.metadata().as_ref();
    let config = held.and_then(|held| held.get(CONFIG)).with_context(|| {
        format!(
            "{name} does not say with which configuration its weights were trained; give the run folder, or a file \
             that `mtslvr export RUN --weights FILE` wrote"
        )
    })?;
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu).with_context(what)?;
    let weights = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), plain(tensor)?)));
    Ok((config.clone(), weights.collect::<Result<_>>()?))
}

fn plain(tensor: &Tensor) -> Result<(Vec<usize>, Vec<f32>)> {
    let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
    Ok((tensor.dims().to_vec(), values))
}

fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    candle_core::safetensors::load(path, &Device::Cpu).with_context(|| {
        format!(
            "cannot read {}: expected a safetensors file",
            path.display()
        )
    })
}

fn write(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    let written = write_atomically(path, |neighbour| {
        candle_core::safetensors::save(tensors, neighbour).map_err(anyhow::Error::from)
    });
    written.with_context(|| {
        format!(
            "cannot write {}; an earlier file of that name is untouched",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint.safetensors");
        let network = |seed: u64| {
            let mut p = Parameters::new(seed, &Device::Cpu);
            p.normal("conv.weight", &[3, 2, 2, 4], 1.0).unwrap();
            p.statistics("norm", 3);
            p
        };
        let (saved, restored) = (network(1), network(2));
        let progress = Progress {
            step: 7,
            seconds: 1.25,
            best: 43.5,
            stale: 2,
        };
        save(&path, &saved, &AdamW::default(), progress).unwrap();
        let (_, found) = load(&path, &restored).unwrap();
        assert_eq!(found, progress);
        assert_eq!(saved.to_weights().unwrap(), restored.to_weights().unwrap());

        std::fs::write(&path, &std::fs::read(&path).unwrap()[..40]).unwrap();
        let error = format!("{:#}", load(&path, &restored).unwrap_err());
        assert!(error.contains("checkpoint.safetensors"), "{error}");
    }
}
