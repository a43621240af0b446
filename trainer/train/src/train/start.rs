//! Trained weights that a run may start from in place of random ones.

use super::checkpoint;
use super::config::RunConfig;
use super::folder::RunFolder;
use crate::net::Weights;
use anyhow::{Context, Result, bail};
use mtslvr_audio::read_regular;
use std::path::Path;

/// Weights of shipped backbones, as [`Start::write`] writes them.
static SHIPPED_WEIGHTS: [(&str, &[u8]); 1] = [(
    "edge-s",
    include_bytes!("../../../../models/edge-s/weights.safetensors"),
)];

/// Trained weights, and the configuration that they were trained with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The configuration, its normalisation measured.
    pub config: RunConfig,
    /// The weights by name, heads included.
    pub weights: Weights,
}

impl Start {
    /// Reads a run folder whose run has ended, a file that [`Self::write`] wrote, or the weights of the shipped
    /// backbone `edge-s`, unless a file or folder has that name.
    ///
    /// # Errors
    /// If there is neither, or a file does not say with which configuration its weights were trained.
    pub fn read(from: &Path) -> Result<Self> {
        if from.is_dir() {
            let (config, weights) = RunFolder::new(from).load()?;
            return Ok(Self { config, weights });
        }
        let name = from.display().to_string();
        let mut shipped = SHIPPED_WEIGHTS.iter();
        match (from.exists(), shipped.find(|(shipped, _)| *shipped == name)) {
            (true, _) => {
                let bytes = read_regular(from).with_context(|| format!("cannot read {name}"))?;
                Self::parse(&name, &bytes)
            }
            (false, Some((_, bytes))) => Self::parse(&name, bytes),
            (false, None) => bail!(
                "{name}: there is no such file or folder; expected a run folder, a file of weights that `mtslvr \
                 export RUN --weights FILE` wrote, or {}, whose weights are part of the program",
                SHIPPED_WEIGHTS.map(|(name, _)| name).join(" or ")
            ),
        }
    }

    fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let (text, weights) = checkpoint::read_half(name, bytes)?;
        let config = RunConfig::from_toml(&text, &[])
            .with_context(|| format!("the configuration in {name}"))?;
        Ok(Self { config, weights })
    }

    /// Writes one file for [`Self::read`], with matrices and kernels in half precision and without the
    /// layers between paths and their teachers. Of a teacher's path the name of the file is kept.
    ///
    /// # Errors
    /// If a value does not fit into half precision, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut weights = self.weights.clone();
        weights.retain(|name, _| !name.starts_with("teacher."));
        let mut config = self.config.clone();
        for teacher in config.objective.teachers.values_mut() {
            // Where it lay on this machine is of no use on another.
            let name = teacher
                .model
                .as_deref()
                .and_then(|model| Path::new(model).file_name());
            teacher.model = name.map(|name| name.to_string_lossy().into_owned());
        }
        checkpoint::save_half(path, &weights, &config.to_toml()?)
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
    use crate::ssl::TeacherConfig;
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
        let mut config = RunConfig::from_toml(PRESETS[0].1, &settings.map(str::to_owned)).unwrap();
        let teacher: TeacherConfig = toml::from_str("model = \"/home/someone/big.onnx\"").unwrap();
        config.objective.teachers.insert("big".into(), teacher);
        let mut parameters = Parameters::new(1, &Device::Cpu);
        Trunk::new(&config.backbone, &mut parameters).unwrap();
        let mut weights = parameters.to_weights().unwrap();
        let distillation = (vec![1], vec![0.5]);
        weights.insert("teacher.big.0.bias".into(), distillation);
        let start = Start { config, weights };
        start.write(&path).unwrap();
        let read = Start::read(&path).unwrap();
        let teachers = &read.config.objective.teachers;
        assert_eq!(teachers["big"].model.as_deref(), Some("big.onnx"));
        assert_eq!(read.config.backbone, start.config.backbone);
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
        let shipped = Start::read(Path::new("edge-s")).unwrap();
        let parts = shipped.config.backbone.embedding_parts().unwrap();
        assert!(parts.as_slice().len() > 2 && shipped.weights.contains_key("stem.conv.weight"));
        assert!(error(Path::new("edge-m")).contains("expected a run folder"));
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
