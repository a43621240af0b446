//! The ResNet trunk with its task-specific parts.

use super::layers::{AdaptedConv, Linear, Mode, PathNorm};
use super::ops::{Activation, Residual, band_means};
use super::parameters::Parameters;
use super::spec::{AdapterKind, BackboneSpec, PATHS};
use super::whitening::Whitening;
use candle_core::{Device, Result, Tensor};

/// Stem and stages; [`Trunk::forward`] runs both paths.
#[derive(Debug)]
pub struct Trunk {
    spec: BackboneSpec,
    device: Device,
    stem: AdaptedConv,
    stem_norm: PathNorm,
    stages: Vec<Vec<BasicBlock>>,
    /// `output.0` and `output.1`: a linear layer of each path's own (MT-Split).
    split: Option<[Linear; PATHS]>,
    /// `whitening.PATH`: from features to the embedding, one for each path if there is any.
    whitening: Vec<Whitening>,
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
        kind: AdapterKind,
    ) -> Result<Self> {
        let per_path = kind != AdapterKind::None;
        let shortcut = if stride != 1 || channels_in != channels {
            let conv = AdaptedConv::new(
                p,
                &format!("{name}.shortcut"),
                (channels_in, channels),
                1,
                stride,
                kind.without_adapters(),
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
                kind,
            )?,
            norm1: PathNorm::new(p, &format!("{name}.norm1"), channels, per_path)?,
            conv2: AdaptedConv::new(
                p,
                &format!("{name}.conv2"),
                (channels, channels),
                3,
                1,
                kind,
            )?,
            norm2: PathNorm::new(p, &format!("{name}.norm2"), channels, per_path)?,
            shortcut,
        })
    }

    fn forward(&self, x: &Activation, path: usize, mode: Mode) -> Result<Activation> {
        let inner = self.conv1.forward(x, path, mode)?;
        let inner = self
            .norm1
            .of(path)
            .forward(&inner, Residual::None, true, mode)?;
        let inner = self.conv2.forward(&inner, path, mode)?;
        let shortcut = match &self.shortcut {
            None => x.clone(),
            Some((conv, norm)) => {
                let projected = conv.forward(x, path, mode)?;
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
            spec.stem_kind(),
        )?;
        let per_path = spec.stem_kind() != AdapterKind::None;
        let stem_norm = PathNorm::new(p, "stem.norm", spec.stem.width, per_path)?;
        let (mut stages, mut channels) = (Vec::new(), spec.stem.width);
        for (s, stage) in spec.stages.iter().enumerate() {
            let mut blocks = Vec::new();
            for b in 0..stage.blocks {
                let stride = if b == 0 { stage.stride } else { 1 };
                let name = format!("stages.{s}.{b}");
                blocks.push(BasicBlock::new(
                    p,
                    &name,
                    (channels, stage.width),
                    stride,
                    spec.stage_kind(s),
                )?);
                channels = stage.width;
            }
            stages.push(blocks);
        }
        let split = match spec.adapters.kind {
            AdapterKind::Split => {
                let dim = spec.feature_dim();
                let mut linear =
                    |path: usize| Linear::new(p, &format!("output.{path}"), (dim, dim));
                Some([linear(0)?, linear(1)?])
            }
            _ => None,
        };
        let dims = (spec.feature_dim(), spec.path_dim());
        let whitened = if spec.output.is_some() {
            spec.paths()
        } else {
            0
        };
        let whitening = (0..whitened)
            .map(|path| Whitening::new(p, &format!("whitening.{path}"), dims))
            .collect();
        Ok(Self {
            spec: spec.clone(),
            device: p.device().clone(),
            stem,
            stem_norm,
            stages,
            split,
            whitening,
        })
    }

    /// The shape that the trunk was made with.
    pub fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    /// Embedding of each path, `[batch, path_dim]`, from patches `[batch, frames, mels]`, by the
    /// running statistics.
    pub fn forward(&self, patches: &Tensor) -> Result<Vec<Tensor>> {
        let features = self.features(patches, Mode::Evaluate)?;
        if self.whitening.is_empty() {
            return Ok(features);
        }
        let paths = features.iter().zip(&self.whitening);
        paths.map(|(x, whitening)| whitening.forward(x)).collect()
    }

    /// Features of each path, `[batch, feature_dim]`, from patches `[batch, frames, mels]`: what the
    /// objectives are computed from.
    ///
    /// What the paths share, from the stem's convolution up to the first stage of their own, runs
    /// once.
    pub fn features(&self, patches: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let input = Activation::new(&patches.unsqueeze(3)?)?;
        let mut x = self.each(&[input], self.stem.is_per_path(), |x, path| {
            self.stem.forward(x, path, mode)
        })?;
        x = self.each(&x, self.stem_norm.is_per_path(), |x, path| {
            let norm = self.stem_norm.of(path);
            norm.forward(x, Residual::None, true, mode)
        })?;
        for (s, stage) in self.stages.iter().enumerate() {
            let per_path = self.spec.stage_kind(s) != AdapterKind::None;
            for block in stage {
                x = self.each(&x, per_path, |x, path| block.forward(x, path, mode))?;
            }
        }
        // Averages over time and each band of mel; a channel's bands lie side by side.
        let bands = self.spec.bands();
        let mut x = self.each(&x, false, |x, _| band_means(x, bands))?;
        if let Some(split) = &self.split {
            x = self.each(&x, true, |x, path| split[path].forward(x))?;
        }
        // Paths that have nothing of their own have the same features.
        x.resize(self.spec.paths(), x[0].clone());
        Ok(x)
    }

    /// Runs a layer on what each path has come to; once, for both, while that is still the same and
    /// the layer is shared.
    fn each<A, B>(
        &self,
        x: &[A],
        per_path: bool,
        layer: impl Fn(&A, usize) -> Result<B>,
    ) -> Result<Vec<B>> {
        let count = if per_path { self.spec.paths() } else { x.len() };
        (0..count)
            .map(|path| layer(&x[path.min(x.len() - 1)], path))
            .collect()
    }

    /// Embeddings of patches (`frames * mels` values each) by the running statistics: the paths'
    /// features one after the other, patch by patch.
    pub fn embed(&self, patches: &[Vec<f32>], frames: usize, mels: usize) -> Result<Vec<Vec<f32>>> {
        let batch = self.batch(patches, frames, mels)?;
        Tensor::cat(&self.forward(&batch)?, 1)?.to_vec2()
    }

    /// Patches of `frames * mels` values as the `[batch, frames, mels]` that [`Self::forward`]
    /// takes, on the trunk's device.
    pub fn batch(
        &self,
        patches: &[impl AsRef<[f32]>],
        frames: usize,
        mels: usize,
    ) -> Result<Tensor> {
        let mut values = Vec::with_capacity(patches.len() * frames * mels);
        for patch in patches {
            values.extend_from_slice(patch.as_ref());
        }
        Tensor::from_vec(values, (patches.len(), frames, mels), &self.device)
    }

    /// Sets what is measured and not trained from `batches` of clean patches: batch norm's running
    /// statistics to their means, then what makes embeddings of the features.
    pub fn settle<'t>(&self, batches: impl IntoIterator<Item = &'t Tensor> + Clone) -> Result<()> {
        for (index, batch) in batches.clone().into_iter().enumerate() {
            // A momentum of 1/n makes the running statistics the mean over the n batches so far.
            let momentum = 1.0 / (index + 1) as f32;
            self.features(batch, Mode::Train { momentum })?;
        }
        if self.whitening.is_empty() {
            return Ok(());
        }
        let exponent = self.spec.output.map_or(0.0, |output| output.whitening);
        let mut features = vec![Vec::new(); self.whitening.len()];
        for batch in batches {
            for (rows, x) in features
                .iter_mut()
                .zip(self.features(batch, Mode::Evaluate)?)
            {
                rows.extend(x.to_vec2::<f32>()?);
            }
        }
        for (whitening, rows) in self.whitening.iter().zip(&features) {
            whitening.settle(rows, exponent);
        }
        Ok(())
    }
}
