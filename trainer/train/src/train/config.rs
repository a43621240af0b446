//! A run's configuration: one TOML file with a default for everything but the backbone's shape.

use crate::augment::{AugmentConfig, EnvironmentConfig};
use crate::net::BackboneSpec;
use crate::ssl::ObjectiveConfig;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use mtslvr_runtime::frontend::FrontendConfig;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The presets that come with the program, by name.
pub const PRESETS: [(&str, &str); 3] = [
    ("edge-s", include_str!("../../presets/edge-s.toml")),
    ("edge-m", include_str!("../../presets/edge-m.toml")),
    ("resnet18", include_str!("../../presets/resnet18.toml")),
];

/// Everything that decides a run's outcome, apart from the recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Log-mel features.
    pub frontend: FrontendSection,
    /// Shape of the network.
    pub backbone: BackboneSpec,
    /// Losses and heads.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// Operators and their ranges.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// What views sound in and through.
    #[serde(default)]
    pub environment: EnvironmentConfig,
    /// Where pairs come from.
    #[serde(default)]
    pub data: DataConfig,
    /// Pairs of two recordings of one thing.
    #[serde(default)]
    pub pairs: PairsConfig,
    /// Optimiser, schedule and length.
    #[serde(default)]
    pub train: TrainConfig,
    /// Checks on held-out sets while it trains.
    #[serde(default)]
    pub monitor: MonitorConfig,
}

/// The `[frontend]` table: [`FrontendConfig`], whose normalisation may be left to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontendSection {
    /// Hz.
    pub sample_rate: u32,
    /// Samples per analysis window, a power of two.
    pub window: u16,
    /// Samples from frame to frame.
    pub hop: u16,
    /// Mel bands.
    pub mels: u16,
    /// Frames per patch.
    pub frames: u16,
    /// Lower edge of the lowest band, Hz.
    pub f_min: f32,
    /// Upper edge of the highest band, Hz.
    pub f_max: f32,
    /// Added to the mel power before the logarithm.
    pub floor: f32,
    /// Mean of the log-mel values; measured on the training audio where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f32>,
    /// Reciprocal of their deviation; measured where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
}

impl FrontendSection {
    /// The runtime's parameters; mean 0 and scale 1 where they are still to be measured.
    pub fn to_config(self) -> FrontendConfig {
        FrontendConfig {
            sample_rate: self.sample_rate,
            window: self.window,
            hop: self.hop,
            mels: self.mels,
            frames: self.frames,
            f_min: self.f_min,
            f_max: self.f_max,
            floor: self.floor,
            mean: self.mean.unwrap_or(0.0),
            scale: self.scale.unwrap_or(1.0),
        }
    }
}

/// The `[data]` table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Share of pairs made by the synthesiser, 0 to 1; all of them where there are no recordings.
    pub synth_share: f64,
    /// The two views of a recording begin at most this far apart, seconds.
    pub positive_offset: f64,
    /// The two views of a synthesised pair come from one patch, for each of them moved anew: every
    /// parameter by a normal number times this share of its range (Cherep and Singh 2025, who find
    /// 0.25 best; here less is better, see models/RESULTS.md).
    pub synth_perturb: f32,
    /// Where a teacher of a part has heard the recordings, views begin at multiples of this, seconds, or
    /// end where a recording ends.
    pub window_hop: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            synth_share: 0.3,
            positive_offset: 0.5,
            synth_perturb: 0.1,
            window_hop: 0.5,
        }
    }
}

/// The `[pairs]` table: positive pairs of two recordings of one thing, which a manifest's column `same`
/// tells of. Each of the two gets operators and an environment of its own, as any view does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairsConfig {
    /// Share of all pairs, 0 to 1, that are two different recordings of one group, a window anywhere in
    /// each: two with different values in the manifest's column `group` (another voice, another kit)
    /// where there are such. Together with `data.synth_share` at most 1; the rest is two windows of one recording. Where
    /// no group is known, these pairs are of one recording too.
    pub same: f64,
    /// A group is drawn in proportion to its number of recordings to this power: 0 draws all groups
    /// evenly, 1 all recordings.
    pub size_power: f64,
    /// The groups of one kind (a manifest's column `kind`) are drawn in proportion to the sum of their
    /// weights to this power: 1 leaves the weights as they are, 0 draws all kinds evenly.
    pub kind_power: f64,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self {
            same: 0.0,
            size_power: 0.5,
            kind_power: 1.0,
        }
    }
}

/// The `[train]` table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Decides initial weights, order of data and every augmentation.
    pub seed: u64,
    /// Pairs per step.
    pub batch: usize,
    /// Length in optimiser steps; `minutes` is used where it is 0.
    pub steps: u64,
    /// Length in minutes of training time.
    pub minutes: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the run in which the learning rate rises from 0; it then falls along a cosine.
    pub warmup: f64,
    /// Decoupled weight decay, on convolutions and linear weights only.
    pub weight_decay: f64,
    /// Gradients longer than this are scaled down to it.
    pub clip_norm: f64,
    /// Share of a batch's statistics in the running ones of batch norm.
    pub norm_momentum: f32,
    /// A checkpoint is written this often.
    pub checkpoint_seconds: f64,
    /// What computes.
    pub device: DeviceKind,
}

/// What a training step runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// All cores of the processor.
    #[default]
    Cpu,
    /// The first CUDA device, in a build with the feature `cuda` (`trainer/train/CUDA.md`).
    Cuda,
}

impl DeviceKind {
    /// Opens it.
    ///
    /// # Errors
    /// If there is no such device, or the program was built without it.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).context(if cfg!(feature = "cuda") {
                "train.device is cuda, and the first CUDA device cannot be opened: check that nvidia-smi \
                 lists one and that the driver is as new as the build (trainer/train/CUDA.md), or set \
                 train.device=cpu"
            } else {
                "train.device is cuda, which this program was built without: build it with `--features \
                 cuda` (trainer/train/CUDA.md), or set train.device=cpu"
            }),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            batch: 128,
            steps: 0,
            minutes: 20.0,
            learning_rate: 2e-3,
            warmup: 0.05,
            weight_decay: 1e-4,
            clip_norm: 5.0,
            norm_momentum: 0.1,
            checkpoint_seconds: 60.0,
            device: DeviceKind::Cpu,
        }
    }
}

/// The `[monitor]` table: few-shot accuracy on held-out labelled sets while a run trains.
///
/// A run that is chosen or ended by these figures has seen the sets: report accuracy on others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorConfig {
    /// Labelled sets (`DIR/<class>/<clip>`), or folders of such sets; none: no checks.
    pub sets: Vec<PathBuf>,
    /// Steps between two checks.
    pub every: u64,
    /// Classes in a task.
    pub ways: usize,
    /// Examples of each class.
    pub shots: usize,
    /// Tasks a set.
    pub tasks: usize,
    /// The run ends after this many checks in a row without a better mean accuracy, with the weights
    /// of the best check; 0: it runs to its end, and keeps the weights it then has.
    pub patience: u64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            sets: Vec::new(),
            every: 200,
            ways: 5,
            shots: 1,
            tasks: 300,
            patience: 0,
        }
    }
}

impl RunConfig {
    /// One of [`PRESETS`].
    pub fn preset(name: &str) -> Result<Self> {
        let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PRESETS.iter().map(|(known, _)| *known).collect();
            bail!(
                "there is no preset {name:?}; the presets are {}",
                known.join(", ")
            );
        };
        Self::from_toml(text, &[]).with_context(|| format!("preset {name}"))
    }

    /// Reads a configuration file and applies `overrides`, each `table.key=value` in TOML's syntax.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::from_toml(&text, overrides).with_context(|| format!("in {}", path.display()))
    }

    /// Parses a configuration and applies `overrides`.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(text)?;
        for setting in overrides {
            let Some((path, value)) = setting.split_once('=') else {
                bail!("{setting:?} is not of the form table.key=value, such as train.minutes=5");
            };
            apply(&mut table, path.trim(), value.trim())?;
        }
        let config: Self = table.try_into()?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML, as it is kept with a run.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// Refuses values that cannot work, naming the key, the value and what is expected.
    pub fn check(&self) -> Result<()> {
        self.frontend.to_config().validate().context("[frontend]")?;
        let backbone = &self.backbone;
        if ![3, 5].contains(&backbone.stem.kernel) {
            bail!(
                "backbone.stem.kernel is {}, expected 3 or 5",
                backbone.stem.kernel
            );
        }
        if backbone.stages.is_empty() || backbone.stages.len() > 8 {
            bail!(
                "backbone.stages has {} entries, expected 1 to 8",
                backbone.stages.len()
            );
        }
        let (frames, mels) = (self.frontend.frames.into(), self.frontend.mels.into());
        if let Err(reason) = backbone.check(frames, mels) {
            bail!("{reason}");
        }
        let steps = [("stem", backbone.stem.width, backbone.stem.stride, 1)].into_iter();
        let stages = backbone
            .stages
            .iter()
            .map(|s| ("stages", s.width, s.stride, s.blocks));
        for (what, width, stride, blocks) in steps.chain(stages) {
            if !(1..=2048).contains(&width)
                || !(1..=4).contains(&stride)
                || !(1..=64).contains(&blocks)
            {
                bail!(
                    "backbone.{what}: width {width}, stride {stride}, blocks {blocks}; expected width 1 to 2048, \
                     stride 1 to 4, blocks 1 to 64"
                );
            }
        }
        let adapters = backbone.adapters;
        if adapters.from_stage >= backbone.stages.len() {
            bail!(
                "backbone.adapters.from_stage is {}, but the last of {} stages is number {}: the paths would have \
                 nothing of their own",
                adapters.from_stage,
                backbone.stages.len(),
                backbone.stages.len() - 1
            );
        }
        self.objective
            .check_paths(adapters.kind)
            .map_err(anyhow::Error::msg)?;
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            bail!("{name} is {value}, expected {low} to {high}")
        };
        range("data.synth_share", self.data.synth_share, 0.0, 1.0)?;
        range(
            "data.positive_offset",
            self.data.positive_offset,
            0.0,
            3600.0,
        )?;
        range(
            "data.synth_perturb",
            f64::from(self.data.synth_perturb),
            0.0,
            1.0,
        )?;
        let (pairs, synth) = (&self.pairs, self.data.synth_share);
        range("pairs.same", pairs.same, 0.0, 1.0)?;
        range("pairs.size_power", pairs.size_power, 0.0, 1.0)?;
        range("pairs.kind_power", pairs.kind_power, 0.0, 1.0)?;
        if pairs.same + synth > 1.0 {
            bail!(
                "pairs.same is {} and data.synth_share {synth}: together more than all pairs; lower one of them",
                pairs.same
            );
        }
        self.environment.check()?;
        range(
            "objective.temperature",
            self.objective.temperature,
            1e-3,
            10.0,
        )?;
        range(
            "objective.pred_weight",
            self.objective.pred_weight,
            0.0,
            1e3,
        )?;
        range(
            "objective.parameter_weight",
            self.objective.parameter_weight,
            0.0,
            1e3,
        )?;
        range(
            "objective.keep_weight",
            self.objective.keep_weight,
            0.0,
            1e3,
        )?;
        range("data.window_hop", self.data.window_hop, 0.01, 3600.0)?;
        self.check_teachers()?;
        let heads = &self.objective;
        let widths = [
            ("projector_hidden", heads.projector_hidden),
            ("projector_out", heads.projector_out),
            ("sim_siam.width", heads.sim_siam.width),
            ("sim_siam.bottleneck", heads.sim_siam.bottleneck),
        ];
        let hidden = heads.predictor_hidden.iter();
        let widths = widths
            .into_iter()
            .chain(hidden.map(|&width| ("predictor_hidden", width)));
        for (name, width) in widths {
            range(&format!("objective.{name}"), width as f64, 1.0, 65536.0)?;
        }
        let train = &self.train;
        range("train.batch", train.batch as f64, 2.0, 65536.0)?;
        range("train.learning_rate", train.learning_rate, 0.0, 10.0)?;
        range("train.warmup", train.warmup, 0.0, 1.0)?;
        range("train.weight_decay", train.weight_decay, 0.0, 10.0)?;
        range("train.clip_norm", train.clip_norm, 1e-6, 1e9)?;
        range(
            "train.norm_momentum",
            f64::from(train.norm_momentum),
            1e-4,
            1.0,
        )?;
        let monitor = &self.monitor;
        range("monitor.every", monitor.every as f64, 1.0, 1e12)?;
        range("monitor.ways", monitor.ways as f64, 2.0, 256.0)?;
        range("monitor.shots", monitor.shots as f64, 1.0, 1e4)?;
        range("monitor.tasks", monitor.tasks as f64, 1.0, 1e6)?;
        if monitor.patience > 0 && monitor.sets.is_empty() {
            bail!(
                "monitor.patience is {}, but monitor.sets is empty: name held-out labelled sets to stop by",
                monitor.patience
            );
        }
        if train.steps == 0 {
            range(
                "train.minutes (with train.steps = 0)",
                train.minutes,
                1e-3,
                1e6,
            )?;
        }
        Ok(())
    }

    fn check_teachers(&self) -> Result<()> {
        let mut taught: Vec<(&str, &str)> = Vec::new();
        for (name, teacher) in &self.objective.teachers {
            for (key, value, most) in [
                ("weight", teacher.weight, 1e3),
                ("whitening", teacher.whitening, 1.0),
            ] {
                if !(0.0..=most).contains(&value) {
                    bail!("objective.teachers.{name}.{key} is {value}, expected 0 to {most}");
                }
            }
            let Some(part) = &teacher.part else {
                continue;
            };
            if let Some((_, other)) = taught.iter().find(|(known, _)| known == part) {
                bail!(
                    "objective.teachers: {other} and {name} teach the same part, {part}; give each a part of its own"
                );
            }
            if !self.backbone.parts.iter().any(|known| known.name == *part) {
                bail!(
                    "objective.teachers.{name}.part is {part:?}, which is none of backbone.parts; add \
                     {{ name = {part:?}, dim = 96 }} there"
                );
            }
            taught.push((part, name));
        }
        Ok(())
    }

    /// Names the file of each teacher in `models`, given as `NAME=FILE`.
    ///
    /// # Errors
    /// If an entry is not of this form, or the configuration has no such teacher.
    pub fn name_teachers(&mut self, models: &[String]) -> Result<()> {
        for model in models {
            let Some((name, file)) = model.split_once('=') else {
                bail!("--teacher {model} is not of the form NAME=FILE, such as events=yamnet.onnx");
            };
            let known = self.objective.teachers.keys();
            let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
            let Some(teacher) = self.objective.teachers.get_mut(name) else {
                bail!(
                    "--teacher {model}: the configuration has no teacher {name}; its teachers are: {}",
                    if known.is_empty() { "none" } else { &known }
                );
            };
            teacher.model = Some(file.to_owned());
        }
        Ok(())
    }
}

/// Sets `table.key` to a value written as TOML; a bare word is taken as a string.
fn apply(table: &mut toml::Table, path: &str, value: &str) -> Result<()> {
    let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
        Ok(mut parsed) => parsed.remove("value").context("a value")?,
        Err(_) => toml::Value::String(value.to_owned()),
    };
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys
        .pop()
        .filter(|key| !key.is_empty())
        .context("an empty key")?;
    let mut table = table;
    for key in keys {
        let entry = table
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = entry else {
            bail!("{path}: {key} is not a table");
        };
        table = inner;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_survives_a_round_trip() {
        for (name, _) in PRESETS {
            let preset = RunConfig::preset(name).unwrap();
            assert_eq!(
                RunConfig::from_toml(&preset.to_toml().unwrap(), &[]).unwrap(),
                preset,
                "{name}"
            );
        }
    }

    #[test]
    fn overrides_reach_their_keys_and_wrong_ones_are_named() {
        let text = PRESETS[0].1;
        let set = |s: &str| RunConfig::from_toml(text, &[s.to_owned()]);
        assert_eq!(set("train.minutes=5").unwrap().train.minutes, 5.0);
        let loud = set("environment.background.probability=0.7").unwrap();
        assert_eq!(loud.environment.background.probability, 0.7);
        assert!(set("train.minutes=5").unwrap().environment.is_off());
        assert_eq!(set("pairs.same=0.375").unwrap().pairs.same, 0.375);
        assert_eq!(
            set("backbone.adapters.kind=none")
                .unwrap()
                .backbone
                .adapters
                .kind,
            crate::net::AdapterKind::None
        );
        for (setting, named) in [
            ("train.minuts=5", "minuts"),
            ("train.batch=1", "train.batch is 1"),
            ("frontend.window=500", "power of two"),
            ("pairs.same=1.2", "pairs.same is 1.2"),
            ("pairs.same=0.8", "data.synth_share 0.3"),
            ("pairs.kind_power=-1", "pairs.kind_power is -1"),
            (
                "environment.background.probability=7",
                "environment.background.probability is 7",
            ),
            ("environment.backgrounds.probability=0.7", "backgrounds"),
            ("nonsense", "table.key=value"),
            ("backbone.parts=[{ name = \"a b\", dim = 3 }]", "\"a b\""),
            ("objective.teachers.x.part=events", "none of backbone.parts"),
            (
                "objective.teachers.x.weight=-1.0",
                "teachers.x.weight is -1",
            ),
            ("data.window_hop=0.0", "data.window_hop is 0"),
        ] {
            let message = format!("{:#}", set(setting).unwrap_err());
            assert!(message.contains(named), "{message}");
        }
    }
    #[test]
    fn teachers_are_tables_and_their_files_arguments() {
        let settings = [
            "backbone.parts=[{ name = \"events\", dim = 96 }]",
            "objective.teachers.yamnet={ part = \"events\", weight = 2.0 }",
        ];
        let text = PRESETS[0].1;
        let settings = settings.map(str::to_owned);
        let mut config = RunConfig::from_toml(text, &settings).unwrap();
        let models = ["yamnet=a=b.onnx".to_owned()];
        config.name_teachers(&models).unwrap();
        let set = [
            &settings[..],
            &["objective.teachers.yamnet.model=\"a=b.onnx\"".to_owned()],
        ];
        assert_eq!(RunConfig::from_toml(text, &set.concat()).unwrap(), config);
        let kept = RunConfig::from_toml(&config.to_toml().unwrap(), &[]).unwrap();
        assert_eq!(kept, config);

        let mut error = |model: &str| {
            let named = config.name_teachers(&[model.to_owned()]);
            named.unwrap_err().to_string()
        };
        assert!(error("events=x.onnx").contains("its teachers are: yamnet"));
        assert!(error("x.onnx").contains("NAME=FILE"));
        let second = "objective.teachers.other={ part = \"events\" }".to_owned();
        let both = RunConfig::from_toml(text, &[&settings[..], &[second]].concat());
        let message = format!("{:#}", both.unwrap_err());
        assert!(
            message.contains("other and yamnet teach the same part"),
            "{message}"
        );
    }
}
