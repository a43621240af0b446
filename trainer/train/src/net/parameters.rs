//! The network's named parameters and running statistics: what an optimiser moves and a checkpoint
//! keeps.

use super::ops::BatchStatistics;
use candle_core::{Device, Result, Tensor, Var, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Plain weights by name: shape and values. Convolutions are `[out, in, kh, kw]`, as ONNX wants
/// them; this is what export reads and a `weights.safetensors` holds.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A norm's running statistics, shared between the layer that updates them and the store.
pub type RunningStatistics = Arc<Mutex<BatchStatistics>>;

/// Values that are no gradient's business, shared between the layer that computes them and the
/// store.
pub type Buffer = Arc<Mutex<Vec<f32>>>;

/// All parameters of a network, by name.
#[derive(Debug)]
pub struct Parameters {
    variables: BTreeMap<String, Var>,
    running: BTreeMap<String, RunningStatistics>,
    buffers: BTreeMap<String, (Vec<usize>, Buffer)>,
    rng: ChaCha8Rng,
    device: Device,
}

impl Parameters {
    /// An empty store whose initial values come from `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            variables: BTreeMap::new(),
            running: BTreeMap::new(),
            buffers: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            device: device.clone(),
        }
    }

    /// Returns the device on which the parameters are kept and computed with.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Adds a parameter drawn from a normal distribution.
    ///
    /// # Errors
    /// If there is another parameter of this name, or the tensor cannot be made on the device.
    pub fn normal(&mut self, name: &str, shape: &[usize], deviation: f32) -> Result<Var> {
        let count: usize = shape.iter().product();
        let values = (0..count)
            .map(|_| standard_normal(&mut self.rng) * deviation)
            .collect();
        self.insert(name, shape, values)
    }

    /// Adds a parameter with every value the same.
    ///
    /// # Errors
    /// If there is another parameter of this name, or the tensor cannot be made on the device.
    pub fn constant(&mut self, name: &str, shape: &[usize], value: f32) -> Result<Var> {
        let count = shape.iter().product();
        self.insert(name, shape, vec![value; count])
    }

    /// Adds running statistics that start at mean 0 and variance 1.
    pub fn statistics(&mut self, name: &str, channels: usize) -> RunningStatistics {
        let start = BatchStatistics {
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
        };
        let running = Arc::new(Mutex::new(start));
        self.running.insert(name.to_owned(), running.clone());
        running
    }

    /// Adds values that are saved and loaded but not trained.
    pub fn buffer(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Buffer {
        let buffer = Arc::new(Mutex::new(values));
        self.buffers
            .insert(name.to_owned(), (shape.to_vec(), buffer.clone()));
        buffer
    }

    fn insert(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<Var> {
        let variable = Var::from_tensor(&Tensor::from_vec(values, shape, &self.device)?)?;
        if self
            .variables
            .insert(name.to_owned(), variable.clone())
            .is_some()
        {
            bail!("two parameters are called {name}");
        }
        Ok(variable)
    }

    /// Every parameter, in order of name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.as_str(), variable))
    }

    /// Number of trainable values.
    pub fn count(&self) -> usize {
        self.variables.values().map(|v| v.elem_count()).sum()
    }

    /// Every running statistic, in order of name.
    pub fn running(&self) -> impl Iterator<Item = (&str, &RunningStatistics)> {
        self.running
            .iter()
            .map(|(name, running)| (name.as_str(), running))
    }

    /// Copies all parameters and statistics out. Four-dimensional ones turn from `[out, kh, kw,
    /// in]` into `[out, in, kh, kw]`.
    ///
    /// # Errors
    /// If a tensor cannot be read from the device.
    pub fn to_weights(&self) -> Result<Weights> {
        let mut weights = Weights::new();
        for (name, variable) in self.variables() {
            let tensor = match variable.rank() {
                4 => variable.permute((0, 3, 1, 2))?.contiguous()?,
                _ => variable.as_tensor().clone(),
            };
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            weights.insert(name.to_owned(), (tensor.dims().to_vec(), values));
        }
        for (name, running) in self.running() {
            let statistics = running.lock().expect("no panic while locked").clone();
            let channels = vec![statistics.mean.len()];
            weights.insert(format!("{name}.mean"), (channels.clone(), statistics.mean));
            weights.insert(format!("{name}.var"), (channels, statistics.variance));
        }
        for (name, (shape, buffer)) in &self.buffers {
            let values = buffer.lock().expect("no panic while locked").clone();
            weights.insert(name.clone(), (shape.clone(), values));
        }
        Ok(weights)
    }

    /// Sets every parameter and statistic that `weights` holds in its shape, and leaves the others as
    /// they are. Returns the names of the others, but for buffers: those are computed when a run ends.
    ///
    /// # Errors
    /// If a tensor cannot be written to the device.
    pub fn load_known(&self, weights: &Weights) -> Result<Vec<String>> {
        let mut all = self.to_weights()?;
        let mut others = Vec::new();
        for (name, (shape, values)) in &mut all {
            match weights.get(name) {
                Some((found, known)) if found == shape => values.clone_from(known),
                _ if self.buffers.contains_key(name) => {}
                _ => others.push(name.clone()),
            }
        }
        self.load(&all)?;
        Ok(others)
    }

    /// Sets every parameter and statistic from `weights`, which may hold others too.
    ///
    /// # Errors
    /// If a parameter is missing from `weights` or has another shape there.
    pub fn load(&self, weights: &Weights) -> Result<()> {
        let find = |name: &str, shape: &[usize]| match weights.get(name) {
            Some((found, values)) if found == shape => Ok(values),
            Some((found, _)) => bail!("{name} has shape {found:?} and not {shape:?}"),
            None => bail!("{name} is missing"),
        };
        for (name, variable) in self.variables() {
            let tensor = match *variable.dims() {
                [o, h, w, i] => {
                    Tensor::from_slice(find(name, &[o, i, h, w])?, (o, i, h, w), &self.device)?
                        .permute((0, 2, 3, 1))?
                        .contiguous()?
                }
                ref shape => Tensor::from_slice(find(name, shape)?, shape, &self.device)?,
            };
            variable.set(&tensor)?;
        }
        for (name, running) in self.running() {
            let mut running = running.lock().expect("no panic while locked");
            let channels = [running.mean.len()];
            running
                .mean
                .clone_from(find(&format!("{name}.mean"), &channels)?);
            running
                .variance
                .clone_from(find(&format!("{name}.var"), &channels)?);
        }
        for (name, (shape, buffer)) in &self.buffers {
            let mut buffer = buffer.lock().expect("no panic while locked");
            buffer.clone_from(find(name, shape)?);
        }
        Ok(())
    }
}

/// One draw from the standard normal distribution (Box and Muller 1958).
fn standard_normal(rng: &mut ChaCha8Rng) -> f32 {
    let uniform =
        |rng: &mut ChaCha8Rng| (f64::from(rng.next_u32()) + 0.5) / (f64::from(u32::MAX) + 1.0);
    let (radius, angle) = (uniform(rng), uniform(rng));
    ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
}
