//! Trained weights that a run may start from in place of random ones.

use super::checkpoint;
use super::config::RunConfig;
use super::folder::RunFolder;
use crate::net::Weights;
use anyhow::{Context, Result, bail};
use mtslvr_pack::{SHIPPED, shipped_names};
use std::path::Path;

/// Trained weights, and the configuration that they were trained with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The configuration, its normalisation measured.
    pub config: RunConfig,
    /// The weights by name, heads included.
    pub weights: Weights,
}

impl Start {
    /// Reads a run folder whose run has ended, or a file that [`Self::write`] wrote.
    ///
    /// # Errors
    /// If there is neither, or a file does not say with which configuration its weights were trained.
    pub fn read(from: &Path) -> Result<Self> {
        if from.is_dir() {
            let (config, weights) = RunFolder::new(from).load()?;
            return Ok(Self { config, weights });
        }
        let shipped = SHIPPED.iter().any(|model| from.as_os_str() == model.name);
        if !from.exists() {
            bail!(
                "{}: there is no such file or folder; expected a run folder, or a file of weights that `mtslvr \
                 export RUN --weights FILE` wrote{}",
                from.display(),
                match shipped {
                    true => format!(
                        ". Of {} the program holds what is run, not what is trained",
                        shipped_names(" and ")
                    ),
                    false => String::new(),
                }
            );
        }
        let text = checkpoint::load_config(from)?;
        let config = RunConfig::from_toml(&text, &[])
            .with_context(|| format!("the configuration in {}", from.display()))?;
        let weights = checkpoint::load_weights(from)?;
        Ok(Self { config, weights })
    }

    /// Writes one file for [`Self::read`], with matrices and kernels in half precision and without the
    /// layers between paths and their teachers.
    ///
    /// # Errors
    /// If a value does not fit into half precision, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut weights = self.weights.clone();
        weights.retain(|name, _| !name.starts_with("teacher."));
        checkpoint::save_half(path, &weights, &self.config.to_toml()?)
    }

    /// The configuration of a run that adapts these weights to other recordings: ten minutes at a
    /// quarter of the usual peak rate, with no teacher's file named and no held-out sets.
    pub fn adapted(&self) -> RunConfig {
        let mut config = self.config.clone();
        for teacher in config.objective.teachers.values_mut() {
            teacher.model = None;
        }
        config.monitor = Default::default();
        (config.train.steps, config.train.minutes) = (0, 10.0);
        config.train.learning_rate = 5e-4;
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Parameters, Trunk};
    use crate::train::PRESETS;
    use candle_core::Device;

    #[test]
    fn a_file_of_weights_says_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        let settings = [
            "backbone.stages=[{ width = 6, blocks = 1, stride = 2 }]",
            "backbone.output.bands=1",
            "frontend.mean=-4.0",
        ];
        let config = RunConfig::from_toml(PRESETS[0].1, &settings.map(str::to_owned)).unwrap();
        let mut parameters = Parameters::new(1, &Device::Cpu);
        Trunk::new(&config.backbone, &mut parameters).unwrap();
        let mut weights = parameters.to_weights().unwrap();
        let distillation = (vec![1], vec![0.5]);
        weights.insert("teacher.big.0.bias".into(), distillation);
        let start = Start { config, weights };
        start.write(&path).unwrap();
        let read = Start::read(&path).unwrap();
        assert_eq!(read.config, start.config);
        assert!(!read.weights.contains_key("teacher.big.0.bias"));
        for (name, (shape, values)) in &read.weights {
            let (expected_shape, expected) = &start.weights[name];
            assert_eq!(shape, expected_shape);
            for (a, b) in values.iter().zip(expected) {
                let tolerance = if shape.len() > 1 {
                    1e-3 * b.abs() + 1e-7
                } else {
                    0.0
                };
                assert!((a - b).abs() <= tolerance, "{name}: {a} {b}");
            }
        }

        let error = |from: &Path| format!("{:#}", Start::read(from).unwrap_err());
        assert!(error(Path::new("edge-s")).contains("not what is trained"));
        assert!(error(&directory.path().join("none")).contains("no such file"));
        let plain = directory.path().join("plain.safetensors");
        checkpoint::save_weights(&plain, start.weights.clone()).unwrap();
        assert!(error(&plain).contains("does not say"));
        let mut wide = start.clone();
        wide.weights.get_mut("stem.conv.weight").unwrap().1[0] = 1e6;
        let error = wide.write(&path).unwrap_err().to_string();
        assert!(error.contains("stem.conv.weight"), "{error}");
    }
}
