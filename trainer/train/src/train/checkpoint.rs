//! A run's state on disk: one safetensors file, replaced atomically.
//!
//! Its metadata holds a checksum of all tensors with their names, types and shapes. The checkpoint before
//! stays beside it ([`before`]): where one is damaged, the run goes on from there.

use super::optimiser::AdamW;
use crate::net::{Parameters, Weights};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use half::f16;
use mtslvr_audio::atomic_file::write_atomically;
use mtslvr_audio::read_regular;
use mtslvr_runtime::model::Crc32;
use safetensors::{Dtype, SafeTensors, View};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

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

/// Returns the path at which the checkpoint before the one at `path` is kept.
pub fn before(path: &Path) -> PathBuf {
    path.with_extension("before.safetensors")
}

/// Keeps the checkpoint at `path`, if there is one, as the one [`before`].
fn keep_before(path: &Path) -> io::Result<()> {
    let before = before(path);
    match std::fs::remove_file(&before) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Where a file system has no links, a copy does as well.
    match std::fs::hard_link(path, &before) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => std::fs::copy(path, &before).map(|_| ()),
        Ok(()) => Ok(()),
    }
}

/// Writes everything that a resumed run needs. The checkpoint that was there is kept as the one [`before`].
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
    keep_before(path).with_context(|| format!("cannot keep {} as it is", path.display()))?;
    write(path, &tensors)
}

/// Reads a checkpoint into `parameters`.
///
/// # Errors
/// If the file cannot be read, is damaged or no checkpoint, or is of another network. The error for a
/// damaged one says how to go back to the one [`before`].
pub fn load(path: &Path, parameters: &Parameters) -> Result<(AdamW, Progress)> {
    let bytes = read_regular(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tensors = checked(&bytes).with_context(|| way_back(path))?;
    load_from(path, tensors, parameters)
}

/// Reads the bytes of a checkpoint, whose checksum must be right.
fn checked(bytes: &[u8]) -> Result<HashMap<String, Tensor>> {
    let Some(stated) = stated_checksum(bytes)? else {
        bail!("it has no checksum, so it is no checkpoint");
    };
    check_sum(bytes, &stated)?;
    Ok(candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?)
}

/// Checks the bytes of a checkpoint: their structure and their checksum.
///
/// # Errors
/// If they are no whole checkpoint.
pub fn check(bytes: &[u8]) -> Result<()> {
    checked(bytes).map(|_| ())
}

/// Says what to do with the damaged checkpoint at `path`.
fn way_back(path: &Path) -> String {
    let before = before(path);
    let quoted = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"));
    if before.exists() {
        format!(
            "{} is damaged; go back to the checkpoint before it with `mv {} {}`, then continue the run again",
            path.display(),
            quoted(&before),
            quoted(path)
        )
    } else {
        format!(
            "{} is damaged, and there is no checkpoint before it; begin the run again in another folder",
            path.display()
        )
    }
}

fn load_from(
    path: &Path,
    tensors: HashMap<String, Tensor>,
    parameters: &Parameters,
) -> Result<(AdamW, Progress)> {
    let mut network = Weights::new();
    let mut moments = Weights::new();
    let mut counts = None;
    for (name, tensor) in tensors {
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
/// If the file cannot be read, its checksum is wrong, or it holds tensors that are not `f32` or `f16`. A
/// file of another program has no checksum.
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
        write_tensors(neighbour, &tensors, metadata)
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
    let read = || -> Result<_> {
        let bytes = read_regular(path)?;
        if let Some(stated) = stated_checksum(&bytes)? {
            check_sum(&bytes, &stated)?;
        }
        Ok(candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?)
    };
    read().with_context(|| {
        format!(
            "cannot read {}: expected a safetensors file",
            path.display()
        )
    })
}

pub(super) fn write(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    let sorted: BTreeMap<&String, &Tensor> = tensors.iter().collect();
    let sum = sorted.iter().fold(Crc32::new(), |sum, (name, tensor)| {
        let (dtype, shape) = (View::dtype(tensor), View::shape(tensor));
        summed(sum, name, dtype, shape, &View::data(tensor))
    });
    let sum = format!("{:08x}", sum.finish());
    let metadata = HashMap::from([(CHECKSUM.to_owned(), sum)]);
    let written = write_atomically(path, |neighbour| {
        write_tensors(neighbour, tensors, metadata)
    });
    written.with_context(|| {
        format!(
            "cannot write {}; an earlier file of that name is untouched",
            path.display()
        )
    })
}

/// Fills a file that is there, whose mode stays: safetensors' own way would put another in its place.
fn write_tensors(
    path: &Path,
    tensors: &HashMap<String, Tensor>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    let bytes = safetensors::serialize(tensors, Some(metadata))?;
    Ok(std::fs::write(path, bytes)?)
}

/// Key of the checksum in the metadata.
const CHECKSUM: &str = "mtslvr.crc32";

/// Returns the checksum that a safetensors file states, if it does.
fn stated_checksum(bytes: &[u8]) -> Result<Option<String>> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let held = metadata.metadata().as_ref();
    Ok(held.and_then(|held| held.get(CHECKSUM)).cloned())
}

fn check_sum(bytes: &[u8], stated: &str) -> Result<()> {
    let file = SafeTensors::deserialize(bytes)?;
    let tensors: BTreeMap<_, _> = file.tensors().into_iter().collect();
    let sum = tensors.iter().fold(Crc32::new(), |sum, (name, tensor)| {
        summed(sum, name, tensor.dtype(), tensor.shape(), tensor.data())
    });
    let found = format!("{:08x}", sum.finish());
    if found != stated {
        bail!("its checksum is {found}, expected {stated}");
    }
    Ok(())
}

/// Adds a tensor to a checksum.
fn summed(sum: Crc32, name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Crc32 {
    let shape: Vec<u8> = shape
        .iter()
        .flat_map(|&dim| (dim as u64).to_le_bytes())
        .collect();
    sum.update(name.as_bytes())
        .update(format!("{dtype:?}").as_bytes())
        .update(&shape)
        .update(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights can be read by whoever may read other files, and stay private where they were.
    #[cfg(unix)]
    #[test]
    fn weights_have_the_mode_of_any_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mode = |name: &str| std::fs::metadata(at(name)).unwrap().permissions().mode();
        let weights = HashMap::from([(
            "bias".to_owned(),
            Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap(),
        )]);
        std::fs::write(at("plain"), b"").unwrap();
        write(&at("weights"), &weights).unwrap();
        assert_eq!(mode("weights"), mode("plain"));
        std::fs::set_permissions(at("weights"), PermissionsExt::from_mode(0o600)).unwrap();
        write(&at("weights"), &weights).unwrap();
        assert_eq!(mode("weights") & 0o777, 0o600);
    }

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

        let whole = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", load(&path, &restored).unwrap_err());
            assert!(
                error.contains("checkpoint.safetensors is damaged"),
                "{error}"
            );
            error
        };
        refused(&whole[..40]);
        // Wherever a byte of a value changes, it is seen.
        for at in (whole.len() - 200..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let error = refused(&damaged);
            assert!(error.contains("no checkpoint before it"), "{error}");
        }

        // The one before is kept, and named.
        std::fs::write(&path, &whole).unwrap();
        let later = Progress {
            step: 8,
            ..progress
        };
        save(&path, &saved, &AdamW::default(), later).unwrap();
        assert_eq!(load(&path, &restored).unwrap().1, later);
        let error = refused(b"torn");
        assert!(
            error.contains("mv '") && error.contains("checkpoint.before.safetensors"),
            "{error}"
        );
        std::fs::rename(before(&path), &path).unwrap();
        assert_eq!(load(&path, &restored).unwrap().1, progress);
    }
}
