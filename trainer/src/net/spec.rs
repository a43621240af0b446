//! The shape of a backbone: what a preset's TOML file says of the network.

use serde::{Deserialize, Serialize};

/// Number of paths through the shared trunk: contrastive (0) and predictive (1).
pub const PATHS: usize = 2;

/// Names of the paths' outputs, in embedding order.
pub const PATH_OUTPUTS: [&str; PATHS] = ["invariant", "equivariant"];

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
    /// First stage (0-based) whose norms and adapters are per path; earlier stages and, unless it
    /// is 0, the stem are shared whole.
    #[serde(default)]
    pub from_stage: usize,
}

/// The adapter variants of the trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    /// One path's features serve both objectives (MT-Simple).
    None,
    /// Per-path batch norm only (MT-Bn).
    BatchNorm,
    /// Per-path batch norm and a parallel 1x1 convolution beside each 3x3 (MT-Parallel).
    Parallel,
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

    /// Length of one path's features: the last stage's width.
    pub fn path_dim(&self) -> usize {
        self.stages.last().map_or(self.stem.width, |s| s.width)
    }

    /// Whether the stem's norm is per path.
    pub fn stem_per_path(&self) -> bool {
        self.adapters.kind != AdapterKind::None && self.adapters.from_stage == 0
    }

    /// Whether stage `stage` has norms (and adapters) per path.
    pub fn stage_per_path(&self, stage: usize) -> bool {
        self.adapters.kind != AdapterKind::None && stage >= self.adapters.from_stage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provenance_keeps_the_shape() {
        let stage = StageSpec {
            width: 32,
            blocks: 2,
            stride: 2,
        };
        let spec = BackboneSpec {
            stem: StemSpec {
                width: 16,
                kernel: 5,
                stride: 2,
            },
            stages: vec![stage; 3],
            adapters: AdapterSpec {
                kind: AdapterKind::Parallel,
                from_stage: 1,
            },
        };
        let text = spec.add_to_provenance("mtslvr 0.1.0, seed 3");
        assert!(text.starts_with("mtslvr 0.1.0, seed 3\n"));
        assert_eq!(BackboneSpec::from_provenance(&text), Some(spec));
        assert_eq!(BackboneSpec::from_provenance("made elsewhere"), None);
    }
}
