//! What turns a log-mel patch into an embedding: the trait that every engine implements, and the
//! packed int8 engine.

mod packed;
#[cfg(feature = "std")]
mod repacked;
mod run;

pub use packed::{ArenaTooSmall, PackedBackbone};
pub use run::Moment;

use crate::fewshot::Reference;
use crate::frontend::FrontendConfig;

/// A frozen two-path backbone.
///
/// A *patch* is `frames * mels` normalised log-mel values, row-major in time (`[frames][mels]`), as
/// [`crate::frontend`] makes them. An *embedding* is the invariant features (contrastive path)
/// followed by the equivariant ones (predictive path), as floats.
pub trait Backbone {
    /// What can go wrong while embedding; [`core::convert::Infallible`] for the packed engine.
    type Error: core::fmt::Debug;

    /// The features this backbone was trained on.
    fn frontend(&self) -> &FrontendConfig;

    /// Length of the invariant part of an embedding; it comes first.
    fn invariant_dim(&self) -> usize;

    /// Length of the equivariant part of an embedding; zero for a backbone with one path.
    fn equivariant_dim(&self) -> usize;

    /// Length of a whole embedding.
    fn embedding_dim(&self) -> usize {
        self.invariant_dim() + self.equivariant_dim()
    }

    /// Mean embedding over base (pretraining) audio, `embedding_dim()` values: what heads centre with.
    fn base_mean(&self) -> &[f32];

    /// Cosine similarity, after centring and normalising, below which two clips of base audio are
    /// taken to be unrelated: the default threshold of the *unknown* decision.
    fn rejection_similarity(&self) -> f32;

    /// How directions of its embeddings are compared, and how alike those of unrelated sounds are;
    /// `None` where that was not measured.
    fn reference(&self) -> Option<Reference> {
        None
    }

    /// Embeds one patch.
    ///
    /// # Panics
    /// If `patch` is not `frontend().patch_len()` long or `embedding` not `embedding_dim()`.
    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Self::Error>;
}
