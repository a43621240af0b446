//! The shape of a backbone, as a preset's TOML file gives it.

use mtslvr_pack::engine::{EQUIVARIANT, INPUT, INVARIANT, INVARIANT_SHARE};
use mtslvr_runtime::space::{MAX_PARTS, PART_NAME_BYTES, Part, Parts, PartsError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most paths through the shared trunk: contrastive (0) and predictive (1).
pub const PATHS: usize = 2;

/// The path of the predictive objective, where there are two.
pub const EQUIVARIANT_PATH: usize = 1;

/// Names of two paths' outputs, in embedding order.
pub const PATH_OUTPUTS: [&str; PATHS] = [INVARIANT, EQUIVARIANT];

/// Name of the output of a backbone with one path.
pub const SINGLE_OUTPUT: &str = "features";

/// Most channels of a convolution, and most values of a part that is learned from a teacher.
const MOST_VALUES: usize = 2048;

/// Most stages of a trunk.
const MOST_STAGES: usize = 8;

/// Most weights of a trunk: 1 GiB of them, with as much again twice for the optimiser.
const MOST_WEIGHTS: u64 = 1 << 28;

/// Most multiply-accumulates of a trunk for one patch, the limit of the models that are opened
/// (`mtslvr_pack::WorkLimit`).
const MOST_MACS: u64 = 30_000_000_000;

/// A ResNet trunk over a one-channel log-mel patch (height = time, width = mel).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneSpec {
    /// First convolution.
    pub stem: StemSpec,
    /// Stages of basic blocks; the first block of each takes the stage's stride.
    pub stages: Vec<StageSpec>,
    /// The task-specific parts.
    pub adapters: AdapterSpec,
    /// The layer from a path's features to its embedding; without it the features are the embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSpec>,
    /// Further parts of the embedding, which follow those of the paths and are learned from teachers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartSpec>,
    /// Shares of parts in the similarity of two embeddings, by name, 0 to 1. Parts that are not named
    /// share the rest as [`BackboneSpec::embedding_parts`] says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, f64>,
}

/// A part of the embedding that is learned from a teacher: a linear layer on the last map's averages,
/// whose deviations are levelled when training has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSpec {
    /// Name, 1 to 32 letters, digits, `-` or `_`. The ONNX model has an output of this name.
    pub name: String,
    /// Number of values.
    pub dim: usize,
    /// Values of the layer that learns from the teacher, if they are more: of its directions, `dim` are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<usize>,
    /// Path whose last map it reads.
    #[serde(default)]
    pub path: usize,
    /// Exponent by which the deviations of its principal directions are levelled, 0 to 1, as in
    /// [`OutputSpec::whitening`].
    #[serde(default = "PartSpec::half")]
    pub whitening: f64,
}

impl PartSpec {
    fn half() -> f64 {
        0.5
    }

    /// Values of the layer that learns from the teacher.
    pub fn learned(&self) -> usize {
        self.learned.unwrap_or(self.dim)
    }
}

/// The layer from a path's features to its part of the embedding: a linear layer that is not trained but
/// computed from the features of clean sounds when training has ended, see
/// [`Whitening`](super::whitening::Whitening).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Equal parts of the mel axis over which the last map is averaged separately, side by side in
    /// the features; 1 averages over all of it.
    #[serde(default = "OutputSpec::one_band")]
    pub bands: usize,
    /// Values of a path's embedding: the principal directions of its features that are kept. All of
    /// them where a path has no more features.
    pub dim: usize,
    /// The same of the second path, if it has another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equivariant_dim: Option<usize>,
    /// Exponent by which their deviations are levelled, 0 to 1: each is divided by its deviation to this
    /// power.
    pub whitening: f64,
    /// Exponent by which the deviations between the two sounds of a pair are levelled before, 0 to 1, in
    /// all parts but `equivariant`, which is to hear them. With 1 the directions are those of linear
    /// discriminant analysis.
    #[serde(default)]
    pub within: f64,
}

impl OutputSpec {
    fn one_band() -> usize {
        1
    }
}

/// The convolution that reads the patch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StemSpec {
    /// Output channels.
    pub width: usize,
    /// Side of the square kernel: 3 or 5.
    pub kernel: usize,
    /// Stride in time and mel.
    pub stride: usize,
}

/// `blocks` basic blocks of two 3x3 convolutions each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Output channels.
    pub width: usize,
    /// Basic blocks.
    pub blocks: usize,
    /// Stride of the first block.
    pub stride: usize,
}

/// Differences of the two paths inside the trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterSpec {
    /// Layers that each path has of its own.
    pub kind: AdapterKind,
    /// First stage (0-based) in which the paths have something of their own; earlier stages and,
    /// unless it is 0, the stem are shared whole. `none` and `split` have no use for it.
    #[serde(default)]
    pub from_stage: usize,
}

/// Layers that the paths have of their own beside the trunk that they share. `C` is a shared 3x3
/// convolution, `t` the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    /// Nothing: a single path, whose features serve every objective (MT-Simple, and the trunk of the
    /// baselines with one objective).
    None,
    /// A linear layer behind the averaging over time and mel (MT-Split).
    Split,
    /// Batch norm: `BN_t(C(x))` (MT-Bn).
    BatchNorm,
    /// Batch norm, and a 1x1 convolution behind each 3x3: `BN_t(z + W_t BN'_t(z))`, `z = C(x)`
    /// (MT-Series).
    Series,
    /// Batch norm, and a 1x1 convolution beside each 3x3: `BN_t(C(x) + W_t x)` (MT-Parallel).
    Parallel,
    /// Everything: from `from_stage` on, two networks side by side (from 0, two separate ones).
    Separate,
}

/// Begins the line of a model's provenance that holds its trunk's shape.
const PROVENANCE_LINE: &str = "trunk: ";

impl BackboneSpec {
    /// `provenance` with a line that says the trunk's shape, for [`Self::from_provenance`]: so that
    /// whoever has only the model can build the same trunk anew, as the random-weights control does.
    pub fn add_to_provenance(&self, provenance: &str) -> String {
        let shape = serde_json::to_string(self).expect("a spec is plain numbers and names");
        format!("{provenance}\n{PROVENANCE_LINE}{shape}")
    }

    /// The shape that [`Self::add_to_provenance`] wrote, if there is one.
    pub fn from_provenance(provenance: &str) -> Option<Self> {
        let mut lines = provenance.lines();
        let shape = lines.find_map(|line| line.strip_prefix(PROVENANCE_LINE))?;
        serde_json::from_str(shape).ok()
    }

    /// Equal parts of the mel axis over which the last map is averaged separately.
    pub fn bands(&self) -> usize {
        self.output.map_or(1, |output| output.bands)
    }

    /// Length of one path's features, which its objective sees: the last stage's width for each
    /// band.
    pub fn feature_dim(&self) -> usize {
        self.bands() * self.stages.last().map_or(self.stem.width, |s| s.width)
    }

    /// Length of the embedding of path number `path`.
    pub fn path_dim(&self, path: usize) -> usize {
        let dim = |output: OutputSpec| match (path, output.equivariant_dim) {
            (1, Some(dim)) => dim,
            _ => output.dim,
        };
        self.output.map_or(usize::MAX, dim).min(self.feature_dim())
    }

    /// Height (time) and width (mel) of the last stage's map.
    pub fn last_map(&self, frames: usize, mels: usize) -> (usize, usize) {
        let stem = convolved((frames, mels), self.stem.kernel, self.stem.stride);
        self.stages.iter().fold(stem, |map, stage| {
            (0..stage.blocks).fold(map, |map, block| {
                convolved(map, 3, if block == 0 { stage.stride } else { 1 })
            })
        })
    }

    /// Number of values of the whole embedding.
    pub fn embedding_dim(&self) -> usize {
        let paths: usize = (0..self.paths()).map(|path| self.path_dim(path)).sum();
        paths + self.parts.iter().map(|part| part.dim).sum::<usize>()
    }

    /// Returns the parts of the embedding, in order, with their shares in the similarity.
    ///
    /// A share that [`Self::shares`] names is taken as it is. The other parts divide the rest in
    /// proportion to their usual shares: each part has the same one, and of that of two paths together
    /// the invariant part has [`INVARIANT_SHARE`].
    ///
    /// # Errors
    /// If these cannot be the parts of an embedding.
    pub fn embedding_parts(&self) -> Result<Parts<'_>, PartsError> {
        let invariant = f64::from(INVARIANT_SHARE);
        let paths = match self.path_outputs() {
            [one] => vec![(*one, self.path_dim(0), 1.0)],
            [first, second] => vec![
                (*first, self.path_dim(0), 2.0 * invariant),
                (*second, self.path_dim(1), 2.0 * (1.0 - invariant)),
            ],
            _ => unreachable!("there are one or two paths"),
        };
        let taught = self.parts.iter();
        let taught = taught.map(|part| (part.name.as_str(), part.dim, 1.0));
        let parts: Vec<(&str, usize, f64)> = paths.into_iter().chain(taught).collect();
        let given = |name: &str| self.shares.get(name).copied();
        let others = parts.iter().filter(|(name, ..)| given(name).is_none());
        let usual: f64 = others.map(|&(_, _, weight)| weight).sum();
        let rest = 1.0 - self.shares.values().sum::<f64>();
        Parts::new(parts.into_iter().map(|(name, len, weight)| Part {
            name,
            len,
            share: given(name).unwrap_or((rest * weight / usual).max(0.0)) as f32,
        }))
    }

    /// Refuses a shape that cannot be built, or that patches of `frames` by `mels` cannot go through.
    ///
    /// # Errors
    /// A sentence that names the key, its value and what is expected.
    pub fn check(&self, frames: usize, mels: usize) -> Result<(), String> {
        self.check_layers()?;
        self.check_budget(frames, mels)?;
        if let Some(output) = &self.output {
            self.check_output(output, frames, mels)?;
        }
        self.check_parts()?;
        self.check_shares()
    }

    /// Checks the sizes of the convolutions.
    fn check_layers(&self) -> Result<(), String> {
        if ![3, 5].contains(&self.stem.kernel) {
            return Err(format!(
                "backbone.stem.kernel is {}, expected 3 or 5",
                self.stem.kernel
            ));
        }
        if self.stages.is_empty() || self.stages.len() > MOST_STAGES {
            return Err(format!(
                "backbone.stages has {} entries, expected 1 to {MOST_STAGES}",
                self.stages.len()
            ));
        }
        let stem = ("stem", self.stem.width, self.stem.stride, 1);
        let stages = self.stages.iter();
        let stages = stages.map(|s| ("stages", s.width, s.stride, s.blocks));
        for (table, width, stride, blocks) in std::iter::once(stem).chain(stages) {
            if !(1..=MOST_VALUES).contains(&width)
                || !(1..=4).contains(&stride)
                || !(1..=64).contains(&blocks)
            {
                return Err(format!(
                    "backbone.{table}: width {width}, stride {stride}, blocks {blocks}; expected width 1 to \
                     {MOST_VALUES}, stride 1 to 4, blocks 1 to 64"
                ));
            }
        }
        let (from, stages) = (self.adapters.from_stage, self.stages.len());
        if from >= stages {
            return Err(format!(
                "backbone.adapters.from_stage is {from}, but the last of {stages} stages is number {}: the paths \
                 would have nothing of their own",
                stages - 1
            ));
        }
        Ok(())
    }

    /// Checks weights and work of one path through the trunk before anything is allocated.
    fn check_budget(&self, frames: usize, mels: usize) -> Result<(), String> {
        let (mut weights, mut macs) = (0u64, 0u64);
        let (mut height, mut width) = (frames as u64, mels as u64);
        let mut add = |taps: usize, inputs: usize, outputs: usize, positions: u64| {
            let layer = (taps * inputs) as u64 * outputs as u64;
            weights = weights.saturating_add(layer);
            macs = macs.saturating_add(layer.saturating_mul(positions));
        };
        let mut shrink = |stride: usize| {
            height = height.div_ceil(stride as u64);
            width = width.div_ceil(stride as u64);
            height * width
        };
        let StemSpec {
            width: mut channels,
            kernel,
            stride,
        } = self.stem;
        add(kernel * kernel, 1, channels, shrink(stride));
        for stage in &self.stages {
            let positions = shrink(stage.stride);
            for _ in 0..stage.blocks {
                add(9, channels, stage.width, positions);
                add(9, stage.width, stage.width, positions);
                channels = stage.width;
            }
        }
        for (what, found, most) in [
            ("weights", weights, MOST_WEIGHTS),
            ("multiply-accumulates a patch", macs, MOST_MACS),
        ] {
            if found > most {
                return Err(format!(
                    "backbone: its stem and stages have {found} {what}, expected at most {most}; lower widths, \
                     blocks, frontend.frames or frontend.mels, or raise a stride"
                ));
            }
        }
        Ok(())
    }

    /// Checks the layer behind the features, whose bands must divide the last map.
    fn check_output(&self, output: &OutputSpec, frames: usize, mels: usize) -> Result<(), String> {
        let (_, width) = self.last_map(frames, mels);
        if output.bands == 0 || width % output.bands != 0 {
            return Err(format!(
                "backbone.output.bands is {}, and must divide the {width} mel positions of the last map",
                output.bands
            ));
        }
        if output.dim == 0 {
            return Err("backbone.output.dim is 0, expected at least 1".to_owned());
        }
        match (output.equivariant_dim, self.paths()) {
            (Some(0), _) => {
                return Err("backbone.output.equivariant_dim is 0, expected at least 1".to_owned());
            }
            (Some(dim), 1) => {
                return Err(format!(
                    "backbone.output.equivariant_dim is {dim}, but there is one path; leave it out"
                ));
            }
            _ => {}
        }
        check_exponent("backbone.output.whitening", output.whitening)?;
        check_exponent("backbone.output.within", output.within)
    }

    /// Checks the parts that are learned from teachers.
    fn check_parts(&self) -> Result<(), String> {
        let paths = self.path_outputs();
        if paths.len() + self.parts.len() > MAX_PARTS {
            return Err(format!(
                "backbone.parts has {} entries, expected at most {}: the {} of the paths count too",
                self.parts.len(),
                MAX_PARTS - paths.len(),
                paths.len()
            ));
        }
        for (index, part) in self.parts.iter().enumerate() {
            let name = &part.name;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !(1..=PART_NAME_BYTES).contains(&name.len()) || !name.chars().all(plain) {
                return Err(format!(
                    "backbone.parts: a name is {name:?}, expected 1 to {PART_NAME_BYTES} letters, digits, - or _"
                ));
            }
            let earlier = self.parts[..index].iter().any(|part| part.name == *name);
            let reserved = [INPUT, SINGLE_OUTPUT, PATH_OUTPUTS[0], PATH_OUTPUTS[1]];
            if earlier || reserved.contains(&name.as_str()) {
                return Err(format!(
                    "backbone.parts: the name {name:?} is taken; choose another one"
                ));
            }
            if !(1..=MOST_VALUES).contains(&part.dim) {
                return Err(format!(
                    "backbone.parts: {name} has dim = {}, expected 1 to {MOST_VALUES}",
                    part.dim
                ));
            }
            if !(part.dim..=MOST_VALUES).contains(&part.learned()) {
                return Err(format!(
                    "backbone.parts: {name} has learned = {}, expected {} (its dim) to {MOST_VALUES}",
                    part.learned(),
                    part.dim
                ));
            }
            if part.path >= paths.len() {
                return Err(format!(
                    "backbone.parts: {name} has path = {}, but the last path is number {}",
                    part.path,
                    paths.len() - 1
                ));
            }
            check_exponent(&format!("backbone.parts: {name}.whitening"), part.whitening)?;
        }
        Ok(())
    }

    /// Checks the shares of parts in the similarity.
    fn check_shares(&self) -> Result<(), String> {
        let paths = self.path_outputs();
        let all = paths.iter().copied();
        let all: Vec<&str> = all.chain(self.parts.iter().map(|p| &*p.name)).collect();
        if let Some(name) = self
            .shares
            .keys()
            .find(|name| !all.contains(&name.as_str()))
        {
            return Err(format!(
                "backbone.shares.{name}: there is no such part; the parts are {}",
                all.join(", ")
            ));
        }
        if let Some((name, share)) = self.shares.iter().find(|(_, s)| !(0.0..=1.0).contains(*s)) {
            return Err(format!(
                "backbone.shares.{name} is {share}, expected 0 to 1"
            ));
        }
        let sum: f64 = self.shares.values().sum();
        let complete = self.shares.len() == all.len();
        if sum > 1.0 + 1e-3 || (complete && sum < 1.0 - 1e-3) {
            return Err(format!(
                "backbone.shares add up to {sum}, expected {}",
                if complete { "1" } else { "at most 1" }
            ));
        }
        self.embedding_parts()
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    /// Number of paths: 1 or 2.
    pub fn paths(&self) -> usize {
        match self.adapters.kind {
            AdapterKind::None => 1,
            _ => PATHS,
        }
    }

    /// Names of the parts that are the paths' own.
    pub fn path_outputs(&self) -> &'static [&'static str] {
        match self.paths() {
            1 => &[SINGLE_OUTPUT],
            _ => &PATH_OUTPUTS,
        }
    }

    /// Returns the layers that the paths have of their own in stage `stage`; [`AdapterKind::None`] where it is shared
    /// whole.
    pub fn stage_kind(&self, stage: usize) -> AdapterKind {
        match self.adapters.kind {
            AdapterKind::Split => AdapterKind::None,
            kind if stage >= self.adapters.from_stage => kind,
            _ => AdapterKind::None,
        }
    }

    /// Returns the layers that the paths have of their own in the stem, which goes with the first stage; it has no
    /// 1x1 adapters.
    pub fn stem_kind(&self) -> AdapterKind {
        self.stage_kind(0).without_adapters()
    }

    /// Multiply-accumulates of the convolutions in one forward pass of all paths over a patch, as
    /// training runs it: what the paths share is run once, and a parallel adapter costs nothing, because
    /// it is added to its kernel's centre. Runs of equal compute are matched by it.
    pub fn forward_macs(&self, frames: usize, mels: usize) -> u64 {
        let times = |kind: AdapterKind| match kind {
            AdapterKind::None => 1,
            _ => self.paths(),
        };
        let mut map = convolved((frames, mels), self.stem.kernel, self.stem.stride);
        let area = |(height, width): (usize, usize)| height * width;
        // The stem's convolution runs once unless each path has its own.
        let stems = match self.stem_kind() {
            AdapterKind::Separate => self.paths(),
            _ => 1,
        };
        let mut macs = stems * self.stem.kernel.pow(2) * self.stem.width * area(map);
        let mut width = self.stem.width;
        for (s, stage) in self.stages.iter().enumerate() {
            let kind = self.stage_kind(s);
            for block in 0..stage.blocks {
                let stride = if block == 0 { stage.stride } else { 1 };
                map = convolved(map, 3, stride);
                let mut channels = 9 * (width + stage.width) * stage.width;
                if kind == AdapterKind::Series {
                    channels += 2 * stage.width * stage.width;
                }
                if stride != 1 || width != stage.width {
                    channels += width * stage.width;
                }
                macs += times(kind) * channels * area(map);
                width = stage.width;
            }
        }
        macs as u64
    }
}

fn check_exponent(key: &str, exponent: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&exponent) {
        return Ok(());
    }
    Err(format!("{key} is {exponent}, expected 0 to 1"))
}

/// Height and width of a map behind a convolution padded by half its kernel.
fn convolved((height, width): (usize, usize), kernel: usize, stride: usize) -> (usize, usize) {
    let size = |n: usize| (n + 2 * (kernel / 2)).saturating_sub(kernel) / stride + 1;
    (size(height), size(width))
}

impl AdapterKind {
    /// Returns the rest of it at a convolution that has no 1x1 adapter: the stem and the shortcuts.
    pub fn without_adapters(self) -> Self {
        match self {
            Self::Series | Self::Parallel => Self::BatchNorm,
            kind => kind,
        }
    }
}

#[cfg(test)]
mod tests;
