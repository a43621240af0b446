//! The ResNet trunk with its task-specific parts.

use super::layers::{AdaptedConv, Linear, Mode, PathNorm};
use super::operators::{Operators, Processor};
use super::ops::Activation;
use super::parameters::Parameters;
use super::spec::{AdapterKind, BackboneSpec, EQUIVARIANT_PATH, PATHS, PartSpec};
use super::whitening::{Levels, Whitening};
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
    /// Parts of the embedding that are learned from teachers.
    parts: Vec<TaughtPart>,
}

/// `part.NAME`: a linear layer on the averages of a path's last map, and `part.NAME.whitening` behind
/// it.
#[derive(Debug)]
struct TaughtPart {
    path: usize,
    linear: Linear,
    whitening: Whitening,
    /// Exponent by which deviations are levelled.
    exponent: f64,
}

impl TaughtPart {
    fn new(p: &mut Parameters, inputs: usize, spec: &PartSpec) -> Result<Self> {
        let name = format!("part.{}", spec.name);
        Ok(Self {
            path: spec.path,
            linear: Linear::new(p, &name, (inputs, spec.learned()))?,
            whitening: Whitening::new(p, &format!("{name}.whitening"), (spec.learned(), spec.dim)),
            exponent: spec.whitening,
        })
    }
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

    fn forward<O: Operators>(&self, o: &O, x: &O::Map, path: usize) -> Result<O::Map> {
        let inner = self.conv1.forward(o, x, path)?;
        let inner = o.norm(&inner, self.norm1.of(path), None, true)?;
        let inner = self.conv2.forward(o, &inner, path)?;
        let shortcut = match &self.shortcut {
            None => x.clone(),
            Some((conv, norm)) => {
                let projected = conv.forward(o, x, path)?;
                o.norm(&projected, norm.of(path), None, false)?
            }
        };
        o.norm(&inner, self.norm2.of(path), Some(&shortcut), true)
    }
}

impl Trunk {
    /// Makes a trunk with fresh weights, and adds its parameters to `p` under the names that export knows.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
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
        let whitened = if spec.output.is_some() {
            spec.paths()
        } else {
            0
        };
        let whitening = (0..whitened)
            .map(|path| {
                let dims = (spec.feature_dim(), spec.path_dim(path));
                Whitening::new(p, &format!("whitening.{path}"), dims)
            })
            .collect();
        let parts = spec.parts.iter();
        let parts = parts
            .map(|part| TaughtPart::new(p, spec.feature_dim(), part))
            .collect::<Result<_>>()?;
        Ok(Self {
            spec: spec.clone(),
            device: p.device().clone(),
            stem,
            stem_norm,
            stages,
            split,
            whitening,
            parts,
        })
    }

    /// The shape that the trunk was made with.
    pub fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    /// Returns the parts of the embedding in order, `[batch, dim]` each, from patches `[batch, frames,
    /// mels]`, by the running statistics.
    ///
    /// # Errors
    /// If the patches are too small for the trunk.
    pub fn forward(&self, patches: &Tensor) -> Result<Vec<Tensor>> {
        let processor = Processor {
            mode: Mode::Evaluate,
        };
        let averages = self.averages(patches, processor.mode)?;
        let mut embedding = self.path_features(&processor, &averages)?;
        for (x, whitening) in embedding.iter_mut().zip(&self.whitening) {
            *x = whitening.forward(x)?;
        }
        for (index, part) in self.parts.iter().enumerate() {
            let told = self.part(&processor, index, &averages)?;
            embedding.push(part.whitening.forward(&told)?);
        }
        Ok(embedding)
    }

    /// Returns the features of each path from [`Self::averages`]: the paths' objectives are computed from
    /// them.
    ///
    /// # Errors
    /// If the averages have another length.
    pub fn path_features<O: Operators>(&self, o: &O, averages: &[O::Rows]) -> Result<Vec<O::Rows>> {
        match &self.split {
            None => Ok(averages.to_vec()),
            Some(split) => {
                let paths = split.iter().zip(averages);
                paths.map(|(linear, x)| linear.forward(o, x)).collect()
            }
        }
    }

    /// Part number `index` of [`BackboneSpec::parts`], `[batch, dim]`, from [`Self::averages`], before
    /// its deviations are levelled: what its teacher's objective is computed from.
    ///
    /// # Errors
    /// If the averages have another length.
    pub fn part<O: Operators>(&self, o: &O, index: usize, averages: &[O::Rows]) -> Result<O::Rows> {
        let part = &self.parts[index];
        part.linear.forward(o, &averages[part.path])
    }

    /// Averages of each path's last map over time and each band of mel, `[batch, feature_dim]`, from
    /// patches `[batch, frames, mels]`, computed on the processor.
    ///
    /// # Errors
    /// If the patches are too small for the trunk, or the mel positions of its last map are no multiple of
    /// the bands.
    pub fn averages(&self, patches: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let input = Activation::new(&patches.unsqueeze(3)?)?;
        self.averages_by(&Processor { mode }, &input)
    }

    /// The same by any operators, from a map `[batch, frames, mels, 1]`.
    ///
    /// The layers that the paths share, from the stem's convolution up to the first stage of their own, run
    /// once.
    ///
    /// # Errors
    /// As [`Self::averages`].
    pub fn averages_by<O: Operators>(&self, o: &O, input: &O::Map) -> Result<Vec<O::Rows>> {
        let mut x = self.each(
            std::slice::from_ref(input),
            self.stem.is_per_path(),
            |x, path| self.stem.forward(o, x, path),
        )?;
        x = self.each(&x, self.stem_norm.is_per_path(), |x, path| {
            o.norm(x, self.stem_norm.of(path), None, true)
        })?;
        for (s, stage) in self.stages.iter().enumerate() {
            let per_path = self.spec.stage_kind(s) != AdapterKind::None;
            for block in stage {
                x = self.each(&x, per_path, |x, path| block.forward(o, x, path))?;
            }
        }
        // A channel's bands lie side by side.
        let bands = self.spec.bands();
        let mut x = self.each(&x, false, |x, _| o.band_means(x, bands))?;
        // Paths that have no map of their own have the same averages.
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

    /// Returns the embeddings of patches (`frames * mels` values each) by the running statistics: the parts
    /// one after the other, patch by patch.
    ///
    /// # Errors
    /// If a patch has another length.
    pub fn embed(&self, patches: &[Vec<f32>], frames: usize, mels: usize) -> Result<Vec<Vec<f32>>> {
        let batch = self.batch(patches, frames, mels)?;
        Tensor::cat(&self.forward(&batch)?, 1)?.to_vec2()
    }

    /// Returns patches of `frames * mels` values as the `[batch, frames, mels]` that [`Self::forward`]
    /// takes, on the trunk's device.
    ///
    /// # Errors
    /// If a patch has another length.
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

    /// Sets what is measured and not trained: batch norm's running statistics to their means over batches of
    /// clean patches, then what makes embeddings of the features. Those of `pairs` are patches of the first
    /// and of the second sounds of pairs, batch by batch, which should be embedded alike.
    ///
    /// # Errors
    /// If the patches of a batch are too small for the trunk.
    pub fn settle(&self, clean: &[Tensor], pairs: &[[Tensor; 2]]) -> Result<()> {
        for (index, batch) in clean.iter().enumerate() {
            // A momentum of 1/n makes the running statistics the mean over the n batches so far.
            let momentum = 1.0 / (index + 1) as f32;
            self.averages(batch, Mode::Train { momentum })?;
        }
        if self.whitening.is_empty() && self.parts.is_empty() {
            return Ok(());
        }
        let layers = self.whitening.len() + self.parts.len();
        let (mut of_clean, mut apart) = (vec![Vec::new(); layers], vec![Vec::new(); layers]);
        for batch in clean {
            for (rows, x) in of_clean.iter_mut().zip(self.inputs(batch)?) {
                rows.extend(x.to_vec2::<f32>()?);
            }
        }
        for [first, second] in pairs {
            let sides = self.inputs(first)?.into_iter().zip(self.inputs(second)?);
            for (rows, (a, b)) in apart.iter_mut().zip(sides) {
                rows.extend((a - b)?.to_vec2::<f32>()?);
            }
        }
        let output = self.spec.output;
        let within = output.map_or(0.0, |output| output.within);
        let paths = self.whitening.iter().enumerate().map(|(path, whitening)| {
            let hears_pairs = path == EQUIVARIANT_PATH && self.spec.paths() == PATHS;
            let levels = Levels {
                within: if hears_pairs { 0.0 } else { within },
                whitening: output.map_or(0.0, |output| output.whitening),
            };
            (whitening, levels)
        });
        let parts = self.parts.iter().map(|part| {
            let levels = Levels {
                within,
                whitening: part.exponent,
            };
            (&part.whitening, levels)
        });
        let measured = of_clean.iter().zip(&apart);
        for ((whitening, levels), (clean, apart)) in paths.chain(parts).zip(measured) {
            whitening.settle(clean, apart, levels);
        }
        Ok(())
    }

    /// Returns what each layer of [`Whitening`] reads of a batch: the paths' features, then the parts that are
    /// learned from teachers.
    fn inputs(&self, batch: &Tensor) -> Result<Vec<Tensor>> {
        let processor = Processor {
            mode: Mode::Evaluate,
        };
        let averages = self.averages(batch, processor.mode)?;
        let mut inputs = self.path_features(&processor, &averages)?;
        inputs.truncate(self.whitening.len());
        for index in 0..self.parts.len() {
            inputs.push(self.part(&processor, index, &averages)?);
        }
        Ok(inputs)
    }
}
