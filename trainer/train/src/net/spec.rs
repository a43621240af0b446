//! The shape of a backbone: what a preset's TOML file says of the network.

use mtslvr_pack::engine::{EQUIVARIANT, INVARIANT};
use serde::{Deserialize, Serialize};

/// Most paths through the shared trunk: contrastive (0) and predictive (1).
pub const PATHS: usize = 2;

/// Names of two paths' outputs, in embedding order.
pub const PATH_OUTPUTS: [&str; PATHS] = [INVARIANT, EQUIVARIANT];

/// Name of the output of a backbone with one path.
pub const SINGLE_OUTPUT: &str = "features";

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
    /// What makes an embedding of a path's features; without it the features are the embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSpec>,
}

/// From a path's features to its part of the embedding: a linear layer that is not trained but
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
    /// How far their deviations are levelled, 0 to 1: each is divided by its deviation to this
    /// power.
    pub whitening: f64,
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

/// How the two paths differ inside the trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterSpec {
    /// What each path has of its own.
    pub kind: AdapterKind,
    /// First stage (0-based) in which the paths have something of their own; earlier stages and,
    /// unless it is 0, the stem are shared whole. `none` and `split` have no use for it.
    #[serde(default)]
    pub from_stage: usize,
}

/// What the paths have of their own beside the trunk that they share. `C` is a shared 3x3
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

    /// Length of one path's embedding.
    pub fn path_dim(&self) -> usize {
        self.output
            .map_or(usize::MAX, |output| output.dim)
            .min(self.feature_dim())
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

    /// Says what is wrong with a shape that patches of `frames` by `mels` cannot go through.
    pub fn check(&self, frames: usize, mels: usize) -> Result<(), String> {
        let Some(output) = self.output else {
            return Ok(());
        };
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
        if !(0.0..=1.0).contains(&output.whitening) {
            return Err(format!(
                "backbone.output.whitening is {}, expected 0 to 1",
                output.whitening
            ));
        }
        Ok(())
    }

    /// Number of paths: 1 or 2.
    pub fn paths(&self) -> usize {
        match self.adapters.kind {
            AdapterKind::None => 1,
            _ => PATHS,
        }
    }

    /// Names of the outputs, one for each path.
    pub fn outputs(&self) -> &'static [&'static str] {
        match self.paths() {
            1 => &[SINGLE_OUTPUT],
            _ => &PATH_OUTPUTS,
        }
    }

    /// What the paths have of their own in stage `stage`; [`AdapterKind::None`] where it is shared
    /// whole.
    pub fn stage_kind(&self, stage: usize) -> AdapterKind {
        match self.adapters.kind {
            AdapterKind::Split => AdapterKind::None,
            kind if stage >= self.adapters.from_stage => kind,
            _ => AdapterKind::None,
        }
    }

    /// What the paths have of their own in the stem, which goes with the first stage; it has no
    /// 1x1 adapters.
    pub fn stem_kind(&self) -> AdapterKind {
        self.stage_kind(0).without_adapters()
    }

    /// Multiply-accumulates of the convolutions in one forward pass of all paths over a patch, as
    /// training runs it: what the paths share is run once, and a parallel adapter costs nothing, as
    /// it is added to its kernel's centre. What runs are matched by where compute is to be equal.
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

/// Height and width of a map behind a convolution padded by half its kernel.
fn convolved((height, width): (usize, usize), kernel: usize, stride: usize) -> (usize, usize) {
    let size = |n: usize| (n + 2 * (kernel / 2)).saturating_sub(kernel) / stride + 1;
    (size(height), size(width))
}

impl AdapterKind {
    /// What is left of it at a convolution that has no 1x1 adapter: the stem and the shortcuts.
    pub fn without_adapters(self) -> Self {
        match self {
            Self::Series | Self::Parallel => Self::BatchNorm,
            kind => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: AdapterKind, from_stage: usize) -> BackboneSpec {
        let stage = StageSpec {
            width: 32,
            blocks: 2,
            stride: 2,
        };
        BackboneSpec {
            stem: StemSpec {
                width: 16,
                kernel: 5,
                stride: 2,
            },
            stages: vec![stage; 3],
            adapters: AdapterSpec { kind, from_stage },
            output: None,
        }
    }

    #[test]
    fn work_counts_what_is_shared_once() {
        let macs = |kind, from_stage| spec(kind, from_stage).forward_macs(61, 64);
        let once = macs(AdapterKind::None, 0);
        // By hand: the stem makes a map of 31 x 32, the stages 16 x 16, 8 x 8 and 4 x 4.
        let stem = 25 * 16 * 31 * 32;
        let first = (9 * (16 + 32 + 32 + 32) + 16) * 32 * 16 * 16;
        let later = (9 * 4 * 32 + 32) * 32 * (8 * 8 + 4 * 4);
        assert_eq!(once, stem + first + later);
        assert_eq!(macs(AdapterKind::Split, 0), once);
        assert_eq!(macs(AdapterKind::Separate, 0), 2 * once);
        assert_eq!(macs(AdapterKind::Parallel, 0), 2 * once - stem);
        assert_eq!(macs(AdapterKind::BatchNorm, 1), once + later);
        let adapters = 2 * 4 * 32 * 32 * (16 * 16 + 8 * 8 + 4 * 4);
        assert_eq!(macs(AdapterKind::Series, 0), 2 * once - stem + adapters);
    }

    #[test]
    fn an_output_must_fit_the_last_map() {
        let mut spec = spec(AdapterKind::Parallel, 0);
        assert_eq!(spec.last_map(61, 64), (4, 4));
        assert_eq!((spec.feature_dim(), spec.path_dim()), (32, 32));
        let with = |bands, dim, whitening| OutputSpec {
            bands,
            dim,
            whitening,
        };
        spec.output = Some(with(2, 48, 0.5));
        assert_eq!((spec.feature_dim(), spec.path_dim()), (64, 48));
        assert_eq!(spec.check(61, 64), Ok(()));
        for (output, said) in [
            (with(3, 48, 0.5), "bands is 3"),
            (with(0, 48, 0.5), "bands is 0"),
            (with(2, 0, 0.5), "dim is 0"),
            (with(2, 48, 1.5), "whitening is 1.5"),
        ] {
            spec.output = Some(output);
            let error = spec.check(61, 64).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn provenance_keeps_the_shape() {
        let spec = spec(AdapterKind::Parallel, 1);
        let text = spec.add_to_provenance("mtslvr 0.1.0, seed 3");
        assert!(text.starts_with("mtslvr 0.1.0, seed 3\n"));
        assert_eq!(BackboneSpec::from_provenance(&text), Some(spec));
        assert_eq!(BackboneSpec::from_provenance("made elsewhere"), None);
    }
}
