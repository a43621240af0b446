//! Embeds whole recordings: cuts patches from a stream, embeds them and averages.
//!
//! Training, evaluation and device follow one rule:
//! - patches of `frames` frames follow each other without overlap;
//! - what is left over at the end counts if it is at least a quarter of a patch: the clip's last
//!   `frames` frames make one more patch;
//! - a clip of fewer frames than a patch is repeated, frame by frame, until the patch is full;
//! - a clip shorter than one FFT window is padded with zeros to one;
//! - the clip's embedding is the mean over its patches.

use crate::backbone::Backbone;
use crate::frontend::{Frontend, FrontendConfig, FrontendError};
use crate::parts::copy;

mod frame_ring;
mod levels;

pub(crate) use frame_ring::{FrameRing, repeat_until_full};
pub use levels::Levels;

/// Cuts one clip into patches, in a buffer that the caller owns.
#[derive(Debug)]
pub struct PatchCutter<'b> {
    frontend: Frontend<'b>,
    cut: Cut<'b>,
}

/// The patch being filled.
#[derive(Debug)]
struct Cut<'b> {
    frames: FrameRing<'b>,
    /// Patches handed out since the clip began.
    patches: u32,
}

impl Cut<'_> {
    /// Adds a frame and hands out the patch that it completes, if it does.
    fn add(&mut self, frame: &[f32], on_patch: &mut impl FnMut(&[f32])) {
        self.frames.push(frame);
        if let Some(patch) = self.frames.whole_patch() {
            on_patch(patch);
            self.patches += 1;
        }
    }
}

impl<'b> PatchCutter<'b> {
    /// Returns the length in `f32` of the buffer that [`Self::new`] needs.
    pub const fn buffer_len(config: &FrontendConfig) -> usize {
        config.buffer_len().saturating_add(config.patch_len())
    }

    /// Prepares the frontend in `buffer`, of which the first [`Self::buffer_len`] values are used.
    ///
    /// # Errors
    /// [`FrontendError`] if a parameter of `config` is out of its range, or `buffer` is shorter than
    /// [`Self::buffer_len`].
    pub fn new(config: FrontendConfig, buffer: &'b mut [f32]) -> Result<Self, FrontendError> {
        config.validate()?;
        let (needed, found) = (Self::buffer_len(&config), buffer.len());
        if found < needed {
            return Err(FrontendError::BufferTooShort { needed, found });
        }
        let (frontend, rest) = buffer.split_at_mut(config.buffer_len());
        Ok(Self {
            frontend: Frontend::new(config, frontend)?,
            cut: Cut {
                frames: FrameRing::new(&mut rest[..config.patch_len()], config.mels.into()),
                patches: 0,
            },
        })
    }

    /// Returns the parameters of the features.
    pub fn config(&self) -> &FrontendConfig {
        self.frontend.config()
    }

    /// Returns the number of samples of this clip that were taken as silence: see
    /// [`Frontend::invalid_samples`].
    pub fn invalid_samples(&self) -> u32 {
        self.frontend.invalid_samples()
    }

    /// Takes samples and calls `on_patch` with each patch (`[frames][mels]`) that they complete.
    pub fn push(&mut self, samples: &[f32], mut on_patch: impl FnMut(&[f32])) {
        let cut = &mut self.cut;
        self.frontend
            .push(samples, |frame| cut.add(frame, &mut on_patch));
    }

    /// Takes samples of 16-bit PCM, as [`Self::push`] does.
    pub fn push_i16(&mut self, samples: &[i16], mut on_patch: impl FnMut(&[f32])) {
        let cut = &mut self.cut;
        self.frontend
            .push_i16(samples, |frame| cut.add(frame, &mut on_patch));
    }

    /// Ends the clip: hands out the patch that is due at its end, if one is, and returns the number
    /// of patches of the whole clip. It is zero only for a clip without a sample. The next clip may
    /// follow.
    pub fn finish(&mut self, mut on_patch: impl FnMut(&[f32])) -> u32 {
        let cut = &mut self.cut;
        if cut.frames.pushed() == 0 {
            self.frontend.flush(|frame| cut.add(frame, &mut on_patch));
        }
        let (frames, capacity) = (cut.frames.pushed(), cut.frames.capacity());
        let left_over = cut.frames.left_over();
        let is_short = 0 < frames && frames < capacity as u64;
        if is_short || (left_over > 0 && 4 * left_over >= capacity) {
            on_patch(cut.frames.arranged_last_patch());
            cut.patches += 1;
        }
        let patches = cut.patches;
        self.reset();
        patches
    }

    /// Forgets the clip: the next one begins.
    pub fn reset(&mut self) {
        self.frontend.reset();
        self.cut.frames.clear();
        self.cut.patches = 0;
    }
}

/// Embeds one clip after another from a stream of samples, in a buffer that the caller owns.
///
/// The embedding depends on the samples only, bit for bit, not on how they are cut into calls.
///
/// ```
/// use core::convert::Infallible;
/// use mtslvr_runtime::backbone::Backbone;
/// use mtslvr_runtime::clip::ClipEmbedder;
/// use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
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
/// #     form: FrontendForm::PLAIN,
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

/// Computes the levels of a whole clip.
pub fn levels(samples: &[f32]) -> Levels {
    let mut levels = Levels::default();
    levels.push(samples);
    levels
}

/// Explains why a clip could not be embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClipError<E> {
    /// The clip has no sample.
    #[error("the clip has no samples")]
    Empty,
    /// The frontend's parameters or the buffer do not fit.
    #[error(transparent)]
    Frontend(#[from] FrontendError),
    /// The backbone was made for other features than this embedder.
    #[error("the clip embedder has other frontend parameters than the backbone")]
    OtherFrontend,
    /// The buffer has no room for embeddings as long as the backbone's.
    #[error(
        "the clip's buffer holds {found} values and {needed} are needed: see \
         ClipEmbedder::buffer_len"
    )]
    BufferTooShort {
        /// Values that are needed, as [`ClipEmbedder::buffer_len`] says.
        needed: usize,
        /// Values that the buffer holds.
        found: usize,
    },
    /// The room for the clip's embedding is not as long as the backbone's embeddings.
    #[error("room for an embedding of {found} values, expected {expected}")]
    Embedding {
        /// Values of an embedding.
        expected: usize,
        /// Values that there is room for.
        found: usize,
    },
    /// The backbone failed.
    #[error(transparent)]
    Backbone(E),
}

impl<'b> ClipEmbedder<'b> {
    /// Returns the length in `f32` of the buffer for features of `config` and embeddings of
    /// `embedding_dim` values.
    pub const fn buffer_len(config: &FrontendConfig, embedding_dim: usize) -> usize {
        PatchCutter::buffer_len(config).saturating_add(embedding_dim.saturating_mul(2))
    }

    /// Prepares the frontend in `buffer`, [`Self::buffer_len`] values or more.
    ///
    /// # Errors
    /// [`FrontendError`] if a parameter of `config` is out of its range, or `buffer` is shorter than
    /// [`Self::buffer_len`].
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

    /// Returns the levels of the clip pushed so far. Have them checked
    /// ([`crate::fewshot::Limits::check_levels`]) before [`Self::finish`] ends a clip that is to be
    /// enrolled.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Returns the number of samples of this clip that were taken as silence: see
    /// [`Frontend::invalid_samples`].
    pub fn invalid_samples(&self) -> u32 {
        self.cutter.invalid_samples()
    }

    /// Takes samples of the clip and embeds each patch that they complete.
    ///
    /// # Errors
    /// [`ClipError`] if the backbone was made for other features, has longer embeddings than the buffer
    /// has room for, or fails. The clip is then lost, and [`Self::reset`] begins another.
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

    /// Takes samples of 16-bit PCM, as [`Self::push`] does.
    ///
    /// # Errors
    /// As [`Self::push`].
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

    /// Ends the clip: writes its embedding and returns the number of patches that the embedding is the
    /// mean of. The next clip may follow, after an error too.
    ///
    /// # Errors
    /// [`ClipError`] as for [`Self::push`], and if the clip has no sample or `embedding` is not as long as
    /// the backbone's embeddings.
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
        let sums = self.embeddings.iter().skip(dim);
        for (mean, sum) in embedding.iter_mut().zip(sums) {
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
        let too_short = ClipError::BufferTooShort {
            needed: ClipEmbedder::buffer_len(cutter.config(), dim),
            found: PatchCutter::buffer_len(cutter.config()) + embeddings.len(),
        };
        let parts = embeddings
            .split_at_mut_checked(dim)
            .and_then(|(one, rest)| {
                let sum = rest.get_mut(..dim)?;
                Some((one, sum))
            });
        let (one, sum) = parts.ok_or(too_short)?;
        Ok(Self {
            backbone,
            one,
            sum,
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
            let _ = copy(self.one, self.sum);
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
///
/// # Errors
/// [`FrontendError`] if a parameter of the features is out of its range.
#[cfg(any(feature = "std", test))]
pub fn patches(
    config: FrontendConfig,
    samples: &[f32],
    mut on_patch: impl FnMut(&[f32]),
) -> Result<u32, FrontendError> {
    config.validate()?;
    let mut buffer = vec![0.0; PatchCutter::buffer_len(&config)];
    let mut cutter = PatchCutter::new(config, &mut buffer)?;
    cutter.push(samples, &mut on_patch);
    Ok(cutter.finish(&mut on_patch))
}

/// Embeds a whole clip.
///
/// # Errors
/// [`ClipError`] if the clip has no sample, a parameter of the features is out of its range, or the
/// backbone fails.
#[cfg(any(feature = "std", test))]
pub fn embed_clip<B: Backbone>(
    backbone: &mut B,
    samples: &[f32],
) -> Result<Vec<f32>, ClipError<B::Error>> {
    let space = backbone.space();
    let (config, dim) = (*space.frontend(), space.dim());
    config.validate().map_err(FrontendError::from)?;
    let mut buffer = vec![0.0; ClipEmbedder::buffer_len(&config, dim)];
    let mut clip = ClipEmbedder::new(config, &mut buffer)?;
    clip.push(backbone, samples)?;
    let mut embedding = vec![0.0; dim];
    clip.finish(backbone, &mut embedding)?;
    Ok(embedding)
}

#[cfg(test)]
mod tests;
