//! The ResNet trunk with its task-specific parts.

use super::layers::{AdaptedConv, Mode, PathNorm};
use super::ops::Residual;
use super::parameters::Parameters;
use super::spec::{AdapterKind, BackboneSpec, PATHS};
use candle_core::{Device, Result, Tensor};

/// Stem and stages; [`Trunk::forward`] runs both paths.
#[derive(Debug)]
pub struct Trunk {
    spec: BackboneSpec,
    stem: AdaptedConv,
    stem_norm: PathNorm,
    stages: Vec<Vec<BasicBlock>>,
}

/// `relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut(x))`
#[derive(Debug)]
struct BasicBlock {
    conv1: AdaptedConv,
    norm1: PathNorm,
    conv2: AdaptedConv,
    norm2: PathNorm,
    /// A strided 1x1 convolution and its norm, where the shapes of input and output differ.
    shortcut: Option<(AdaptedConv, PathNorm)>,
}

impl BasicBlock {
    fn new(
        p: &mut Parameters,
        name: &str,
        (channels_in, channels): (usize, usize),
        stride: usize,
        adapted: bool,
        per_path: bool,
    ) -> Result<Self> {
        let shortcut = if stride != 1 || channels_in != channels {
            let conv = AdaptedConv::new(
                p,
                &format!("{name}.shortcut"),
                (channels_in, channels),
                1,
                stride,
                false,
            )?;
            Some((
                conv,
                PathNorm::new(p, &format!("{name}.shortcut_norm"), channels, per_path)?,
            ))
        } else {
            None
        };
        Ok(Self {
            conv1: AdaptedConv::new(
                p,
                &format!("{name}.conv1"),
                (channels_in, channels),
                3,
                stride,
                adapted,
            )?,
            norm1: PathNorm::new(p, &format!("{name}.norm1"), channels, per_path)?,
            conv2: AdaptedConv::new(
                p,
                &format!("{name}.conv2"),
                (channels, channels),
                3,
                1,
                adapted,
            )?,
            norm2: PathNorm::new(p, &format!("{name}.norm2"), channels, per_path)?,
            shortcut,
        })
    }

    fn forward(&self, x: &Tensor, path: usize, mode: Mode) -> Result<Tensor> {
        let inner = self.conv1.forward(x, path)?;
        let inner = self
            .norm1
            .of(path)
            .forward(&inner, Residual::None, true, mode)?;
        let inner = self.conv2.forward(&inner, path)?;
        let shortcut = match &self.shortcut {
            None => x.clone(),
            Some((conv, norm)) => {
                let projected = conv.forward(x, path)?;
                norm.of(path)
                    .forward(&projected, Residual::None, false, mode)?
            }
        };
        self.norm2
            .of(path)
            .forward(&inner, Residual::Add(&shortcut), true, mode)
    }
}

impl Trunk {
    /// A trunk with fresh weights, its parameters added to `p` under the names that export knows.
    pub fn new(spec: &BackboneSpec, p: &mut Parameters) -> Result<Self> {
        let stem = AdaptedConv::new(
            p,
            "stem.conv",
            (1, spec.stem.width),
            spec.stem.kernel,
            spec.stem.stride,
            false,
        )?;
        let stem_norm = PathNorm::new(p, "stem.norm", spec.stem.width, spec.stem_per_path())?;
        let (mut stages, mut channels) = (Vec::new(), spec.stem.width);
        for (s, stage) in spec.stages.iter().enumerate() {
            let per_path = spec.stage_per_path(s);
            let adapted = per_path && spec.adapters.kind == AdapterKind::Parallel;
            let mut blocks = Vec::new();
            for b in 0..stage.blocks {
                let stride = if b == 0 { stage.stride } else { 1 };
                let name = format!("stages.{s}.{b}");
                blocks.push(BasicBlock::new(
                    p,
                    &name,
                    (channels, stage.width),
                    stride,
                    adapted,
                    per_path,
                )?);
                channels = stage.width;
            }
            stages.push(blocks);
        }
        Ok(Self {
            spec: spec.clone(),
            stem,
            stem_norm,
            stages,
        })
    }

    /// Features of both paths, `[batch, path_dim]` each, from patches `[batch, frames, mels]`.
    ///
    /// What the paths share, from the stem's convolution up to the first stage of their own, runs
    /// once.
    pub fn forward(&self, patches: &Tensor, mode: Mode) -> Result<[Tensor; PATHS]> {
        let stem = self.stem.forward(&patches.unsqueeze(3)?, 0)?;
        let rectified = |path: usize| {
            self.stem_norm
                .of(path)
                .forward(&stem, Residual::None, true, mode)
        };
        if self.spec.stem_per_path() {
            return Ok([
                self.finish(rectified(0)?, 0, 0, mode)?,
                self.finish(rectified(1)?, 0, 1, mode)?,
            ]);
        }
        let split = (0..self.stages.len())
            .find(|&s| self.spec.stage_per_path(s))
            .unwrap_or(self.stages.len());
        let mut shared = rectified(0)?;
        for block in self.stages[..split].iter().flatten() {
            shared = block.forward(&shared, 0, mode)?;
        }
        if split == self.stages.len() {
            let features = self.finish(shared, split, 0, mode)?;
            return Ok([features.clone(), features]);
        }
        Ok([
            self.finish(shared.clone(), split, 0, mode)?,
            self.finish(shared, split, 1, mode)?,
        ])
    }

    /// Embeddings of patches (`frames * mels` values each) by the running statistics: invariant
    /// features, then equivariant ones, patch by patch.
    pub fn embed(&self, patches: &[Vec<f32>], frames: usize, mels: usize) -> Result<Vec<Vec<f32>>> {
        let batch = Self::batch(patches, frames, mels)?;
        let [invariant, equivariant] = self.forward(&batch, Mode::Evaluate)?;
        Tensor::cat(&[&invariant, &equivariant], 1)?.to_vec2()
    }

    /// Patches of `frames * mels` values as the `[batch, frames, mels]` that [`Self::forward`] takes.
    pub fn batch(patches: &[Vec<f32>], frames: usize, mels: usize) -> Result<Tensor> {
        Tensor::from_vec(
            patches.concat(),
            (patches.len(), frames, mels),
            &Device::Cpu,
        )
    }

    /// Sets batch norm's running statistics to their means over `batches`.
    pub fn settle_statistics<'t>(
        &self,
        batches: impl IntoIterator<Item = &'t Tensor>,
    ) -> Result<()> {
        for (index, batch) in batches.into_iter().enumerate() {
            // A momentum of 1/n makes the running statistics the mean over the n batches so far.
            let momentum = 1.0 / (index + 1) as f32;
            self.forward(batch, Mode::Train { momentum })?;
        }
        Ok(())
    }

    /// Runs the stages from `from` on along one path and averages over time and mel.
    fn finish(&self, mut x: Tensor, from: usize, path: usize, mode: Mode) -> Result<Tensor> {
        for block in self.stages[from..].iter().flatten() {
            x = block.forward(&x, path, mode)?;
        }
        let (_, height, width, _) = x.dims4()?;
        x.sum((1, 2))? / (height * width) as f64
    }
}
