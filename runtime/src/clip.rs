//! Whole recordings: patches cut from a stream, embedded and averaged.
//!
//! The rule, for training, evaluation and device alike:
//! - patches of `frames` frames follow each other without overlap;
//! - what is left over at the end counts if it is at least a quarter of a patch: the clip's last
//!   `frames` frames make one more patch;
//! - a clip of fewer frames than a patch is repeated, frame by frame, until the patch is full;
//! - a clip shorter than one FFT window is padded with zeros to one;
//! - the clip's embedding is the mean over its patches.

use crate::backbone::Backbone;
use crate::frontend::{Frontend, FrontendConfig, FrontendError};

mod levels;

pub use levels::Levels;

/// Cuts one clip into patches, in a buffer that the caller owns.
#[derive(Debug)]
pub struct PatchCutter<'b> {
    frontend: Frontend<'b>,
    /// The last `frames` frames; the frame with number `i` is row `i % frames`.
    patch: &'b mut [f32],
    /// Frames since the clip began.
    frames: usize,
    /// Patches handed out since the clip began.
    patches: u32,
}

impl<'b> PatchCutter<'b> {
    /// Length in `f32` of the buffer that [`Self::new`] needs.
    pub const fn buffer_len(config: &FrontendConfig) -> usize {
        config.buffer_len() + config.patch_len()
    }

    /// Prepares the frontend in `buffer`, of which the first [`Self::buffer_len`] values are used.
    pub fn new(config: FrontendConfig, buffer: &'b mut [f32]) -> Result<Self, FrontendError> {
        config.validate().map_err(FrontendError::Config)?;
        if buffer.len() < Self::buffer_len(&config) {
            return Err(FrontendError::BufferTooShort {
                needed: Self::buffer_len(&config),
                found: buffer.len(),
            });
        }
        let (frontend, rest) = buffer.split_at_mut(config.buffer_len());
        Ok(Self {
            frontend: Frontend::new(config, frontend)?,
            patch: &mut rest[..config.patch_len()],
            frames: 0,
            patches: 0,
        })
    }

    /// The parameters of the features.
    pub fn config(&self) -> &FrontendConfig {
        self.frontend.config()
    }

    /// Samples of this clip that were taken as silence: see [`Frontend::invalid_samples`].
    pub fn invalid_samples(&self) -> u32 {
        self.frontend.invalid_samples()
    }

    /// Takes samples and calls `on_patch` with each patch (`[frames][mels]`) that they complete.
    pub fn push(&mut self, samples: &[f32], on_patch: impl FnMut(&[f32])) {
        let mut rows = Rows::of(&mut self.frames, &mut self.patches, self.patch, on_patch);
        self.frontend.push(samples, |frame| rows.add(frame));
    }

    /// [`Self::push`] for 16-bit PCM.
    pub fn push_i16(&mut self, samples: &[i16], on_patch: impl FnMut(&[f32])) {
        let mut rows = Rows::of(&mut self.frames, &mut self.patches, self.patch, on_patch);
        self.frontend.push_i16(samples, |frame| rows.add(frame));
    }

    /// Ends the clip: hands out the patch that is due at its end, if one is, and returns the number
    /// of patches of the whole clip. It is zero only for a clip without a sample. The next clip may
    /// follow.
    pub fn finish(&mut self, mut on_patch: impl FnMut(&[f32])) -> u32 {
        if self.frames == 0 {
            let mut rows = Rows::of(
                &mut self.frames,
                &mut self.patches,
                self.patch,
                &mut on_patch,
            );
            self.frontend.flush(|frame| rows.add(frame));
        }
        let config = self.frontend.config();
        let (patch_frames, mels) = (usize::from(config.frames), usize::from(config.mels));
        let left_over = self.frames % patch_frames;
        if 0 < self.frames && self.frames < patch_frames {
            for row in self.frames..patch_frames {
                let source = row % self.frames * mels;
                self.patch.copy_within(source..source + mels, row * mels);
            }
            on_patch(self.patch);
            self.patches += 1;
        } else if left_over > 0 && 4 * left_over >= patch_frames {
            // The newest frames stand in front of the older ones that they have not overwritten.
            self.patch.rotate_left(left_over * mels);
            on_patch(self.patch);
            self.patches += 1;
        }
        let patches = self.patches;
        self.reset();
        patches
    }

    /// Forgets the clip: the next one begins.
    pub fn reset(&mut self) {
        self.frontend.reset();
        self.frames = 0;
        self.patches = 0;
    }
}

/// The patch being filled, borrowed apart from the frontend that fills it.
struct Rows<'a, F> {
    frames: &'a mut usize,
    patches: &'a mut u32,
    patch: &'a mut [f32],
    on_patch: F,
}

impl<'a, F: FnMut(&[f32])> Rows<'a, F> {
    fn of(frames: &'a mut usize, patches: &'a mut u32, patch: &'a mut [f32], on_patch: F) -> Self {
        Self {
            frames,
            patches,
            patch,
            on_patch,
        }
    }

    fn add(&mut self, frame: &[f32]) {
        let rows = self.patch.len() / frame.len();
        let start = *self.frames % rows * frame.len();
        self.patch[start..start + frame.len()].copy_from_slice(frame);
        *self.frames += 1;
        if self.frames.is_multiple_of(rows) {
            (self.on_patch)(self.patch);
            *self.patches += 1;
        }
    }
}

/// Embeds one clip after another from a stream of samples, in a buffer that the caller owns.
///
/// The embedding depends on the samples only, bit for bit, not on how they are cut into calls.
///
/// ```
/// use core::convert::Infallible;
/// use mtslvr_runtime::{backbone::Backbone, clip::ClipEmbedder, frontend::FrontendConfig};
/// # use mtslvr_runtime::fewshot::Reference;
/// # use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
/// # struct Levels(FrontendConfig);
/// # impl Backbone for Levels {
/// #     type Error = Infallible;
/// #     fn space(&self) -> EmbeddingSpace<'_> {
/// #         let parts = Parts::new([Part { name: "features", len: 1, share: 1.0 }]).unwrap();
/// #         let (id, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// #         EmbeddingSpace::new(id, self.0, parts, &[0.0], reference).unwrap()
/// #     }
/// #     fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Infallible> {
/// #         embedding[0] = patch.iter().sum();
/// #         Ok(())
/// #     }
/// # }
/// # let config = FrontendConfig {
/// #     sample_rate: 16_000, window: 256, hop: 128, mels: 16, frames: 20,
/// #     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// # };
/// # let mut backbone = Levels(config);
/// # let recording = [[0.1; 1000]; 5];
/// let dim = backbone.space().dim();
/// let mut buffer = vec![0.0; ClipEmbedder::buffer_len(&config, dim)];
/// let mut clip = ClipEmbedder::new(config, &mut buffer)?;
/// for samples in &recording {
///     clip.push(&mut backbone, samples)?;
/// }
/// let mut embedding = vec![0.0; dim];
/// let patches = clip.finish(&mut backbone, &mut embedding)?;
/// # assert_eq!(patches, 2);
/// # Ok::<(), mtslvr_runtime::clip::ClipError<Infallible>>(())
/// ```
#[derive(Debug)]
pub struct ClipEmbedder<'b> {
    cutter: PatchCutter<'b>,
    /// Room for one patch's embedding, then for the sum over patches.
    embeddings: &'b mut [f32],
    patches: u32,
    levels: Levels,
}

/// Levels of a whole clip.
pub fn levels(samples: &[f32]) -> Levels {
    let mut levels = Levels::default();
    levels.push(samples);
    levels
}

/// Why a clip could not be embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClipError<E> {
    /// The clip has no sample.
    Empty,
    /// The frontend's parameters or the buffer do not fit.
    Frontend(FrontendError),
    /// The backbone was made for other features than this embedder.
    OtherFrontend,
    /// The buffer has no room for embeddings as long as the backbone's.
    BufferTooShort {
        /// Values that are needed, as [`ClipEmbedder::buffer_len`] says.
        needed: usize,
        /// Values that the buffer has.
        found: usize,
    },
    /// The room for the clip's embedding is not as long as the backbone's embeddings.
    Embedding {
        /// Values of an embedding.
        expected: usize,
        /// Values that there is room for.
        found: usize,
    },
    /// The backbone failed.
    Backbone(E),
}

impl<E> From<FrontendError> for ClipError<E> {
    fn from(error: FrontendError) -> Self {
        Self::Frontend(error)
    }
}

impl<'b> ClipEmbedder<'b> {
    /// Length in `f32` of the buffer for features of `config` and embeddings of `embedding_dim`
    /// values.
    pub const fn buffer_len(config: &FrontendConfig, embedding_dim: usize) -> usize {
        PatchCutter::buffer_len(config) + 2 * embedding_dim
    }

    /// Prepares the frontend in `buffer`, [`Self::buffer_len`] values or more.
    pub fn new(config: FrontendConfig, buffer: &'b mut [f32]) -> Result<Self, FrontendError> {
        let cut = PatchCutter::buffer_len(&config).min(buffer.len());
        let (cutter, embeddings) = buffer.split_at_mut(cut);
        Ok(Self {
            cutter: PatchCutter::new(config, cutter)?,
            embeddings,
            patches: 0,
            levels: Levels::default(),
        })
    }

    /// Levels of the clip pushed so far: have them checked
    /// ([`crate::fewshot::Limits::check_levels`]) before [`Self::finish`] ends a clip that is to be
    /// enrolled.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Samples of this clip that were taken as silence: see [`Frontend::invalid_samples`].
    pub fn invalid_samples(&self) -> u32 {
        self.cutter.invalid_samples()
    }

    /// Takes samples of the clip and embeds each patch that they complete. After an error the clip
    /// is lost: [`Self::reset`] begins another.
    pub fn push<B: Backbone>(
        &mut self,
        backbone: &mut B,
        samples: &[f32],
    ) -> Result<(), ClipError<B::Error>> {
        let mut mean = Mean::of(backbone, &self.cutter, self.embeddings, &mut self.patches)?;
        self.cutter.push(samples, |patch| mean.add(patch));
        self.levels.push(samples);
        mean.result
    }

    /// [`Self::push`] for 16-bit PCM.
    pub fn push_i16<B: Backbone>(
        &mut self,
        backbone: &mut B,
        samples: &[i16],
    ) -> Result<(), ClipError<B::Error>> {
        let mut mean = Mean::of(backbone, &self.cutter, self.embeddings, &mut self.patches)?;
        self.cutter.push_i16(samples, |patch| mean.add(patch));
        self.levels.push_i16(samples);
        mean.result
    }

    /// Ends the clip: writes its embedding and returns the number of patches that it is the mean
    /// of. The next clip may follow, after an error too.
    ///
    /// # Errors
    /// [`ClipError`], also if `embedding` is not as long as the backbone's embeddings.
    pub fn finish<B: Backbone>(
        &mut self,
        backbone: &mut B,
        embedding: &mut [f32],
    ) -> Result<u32, ClipError<B::Error>> {
        let dim = backbone.space().dim();
        let found = embedding.len();
        if found != dim {
            return Err(ClipError::Embedding {
                expected: dim,
                found,
            });
        }
        let mut mean = Mean::of(backbone, &self.cutter, self.embeddings, &mut self.patches)?;
        let patches = self.cutter.finish(|patch| mean.add(patch));
        let result = mean.result;
        self.patches = 0;
        self.levels = Levels::default();
        result?;
        if patches == 0 {
            return Err(ClipError::Empty);
        }
        for (mean, sum) in embedding.iter_mut().zip(&self.embeddings[dim..]) {
            *mean = sum / patches as f32;
        }
        Ok(patches)
    }

    /// Forgets the clip: the next one begins.
    pub fn reset(&mut self) {
        self.cutter.reset();
        self.patches = 0;
        self.levels = Levels::default();
    }
}

/// The running sum over the patches of a clip.
struct Mean<'a, B: Backbone> {
    backbone: &'a mut B,
    one: &'a mut [f32],
    sum: &'a mut [f32],
    patches: &'a mut u32,
    result: Result<(), ClipError<B::Error>>,
}

impl<'a, B: Backbone> Mean<'a, B> {
    fn of(
        backbone: &'a mut B,
        cutter: &PatchCutter,
        embeddings: &'a mut [f32],
        patches: &'a mut u32,
    ) -> Result<Self, ClipError<B::Error>> {
        let space = backbone.space();
        if space.frontend() != cutter.config() {
            return Err(ClipError::OtherFrontend);
        }
        let dim = space.dim();
        if embeddings.len() < 2 * dim {
            return Err(ClipError::BufferTooShort {
                needed: ClipEmbedder::buffer_len(cutter.config(), dim),
                found: PatchCutter::buffer_len(cutter.config()) + embeddings.len(),
            });
        }
        let (one, rest) = embeddings.split_at_mut(dim);
        Ok(Self {
            backbone,
            one,
            sum: &mut rest[..dim],
            patches,
            result: Ok(()),
        })
    }

    fn add(&mut self, patch: &[f32]) {
        if self.result.is_err() {
            return;
        }
        if let Err(error) = self.backbone.embed(patch, self.one) {
            self.result = Err(ClipError::Backbone(error));
            return;
        }
        if *self.patches == 0 {
            self.sum.copy_from_slice(self.one);
        } else {
            for (sum, value) in self.sum.iter_mut().zip(&*self.one) {
                *sum += value;
            }
        }
        *self.patches += 1;
    }
}

/// Calls `on_patch` with each patch of a clip, as [`ClipEmbedder`] would embed them, and returns
/// their number: zero only for a clip without a sample.
#[cfg(any(feature = "std", test))]
pub fn patches(
    config: FrontendConfig,
    samples: &[f32],
    mut on_patch: impl FnMut(&[f32]),
) -> Result<u32, FrontendError> {
    config.validate().map_err(FrontendError::Config)?;
    let mut buffer = vec![0.0; PatchCutter::buffer_len(&config)];
    let mut cutter = PatchCutter::new(config, &mut buffer)?;
    cutter.push(samples, &mut on_patch);
    Ok(cutter.finish(&mut on_patch))
}

/// Embeds a whole clip.
#[cfg(any(feature = "std", test))]
pub fn embed_clip<B: Backbone>(
    backbone: &mut B,
    samples: &[f32],
) -> Result<Vec<f32>, ClipError<B::Error>> {
    let space = backbone.space();
    let (config, dim) = (*space.frontend(), space.dim());
    config.validate().map_err(FrontendError::Config)?;
    let mut buffer = vec![0.0; ClipEmbedder::buffer_len(&config, dim)];
    let mut clip = ClipEmbedder::new(config, &mut buffer)?;
    clip.push(backbone, samples)?;
    let mut embedding = vec![0.0; dim];
    clip.finish(backbone, &mut embedding)?;
    Ok(embedding)
}

impl<E: core::fmt::Debug> core::fmt::Display for ClipError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => f.write_str("the clip has no samples"),
            Self::Frontend(error) => error.fmt(f),
            Self::OtherFrontend => {
                f.write_str("the clip embedder has other frontend parameters than the backbone")
            }
            Self::BufferTooShort { needed, found } => write!(
                f,
                "the clip's buffer holds {found} values and {needed} are needed: see \
                 ClipEmbedder::buffer_len"
            ),
            Self::Embedding { expected, found } => write!(
                f,
                "room for an embedding of {found} values, expected {expected}"
            ),
            Self::Backbone(error) => write!(f, "the backbone failed: {error:?}"),
        }
    }
}

impl<E: core::fmt::Debug> core::error::Error for ClipError<E> {}

#[cfg(test)]
mod tests;
