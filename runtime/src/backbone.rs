//! Turns a log-mel patch into an embedding: the trait that every engine implements, and the packed
//! int8 engine.

mod packed;
#[cfg(feature = "std")]
mod repacked;
mod run;

pub use packed::{ArenaTooSmall, PackedBackbone};
pub use run::Moment;

use crate::space::EmbeddingSpace;

/// A frozen backbone.
///
/// A *patch* is `frames * mels` normalised log-mel values, row-major in time (`[frames][mels]`), as
/// [`crate::frontend`] makes them. An *embedding* is the values of all parts of [`Self::space`], one
/// part after the other, as floats.
pub trait Backbone {
    /// Explains why a patch could not be embedded.
    type Error: core::error::Error + 'static;

    /// Describes the patches it takes and the embeddings it gives.
    fn space(&self) -> EmbeddingSpace<'_>;

    /// Embeds one patch.
    ///
    /// # Errors
    /// If `patch` or `embedding` does not have the length that [`Self::space`] says, or the engine
    /// fails. The contents of `embedding` are then unspecified.
    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Self::Error>;
}

/// Explains why the packed engine could not embed a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EmbedError {
    /// The patch is not as long as those of the backbone's frontend.
    #[error("a patch of {found} values, expected {expected}")]
    Patch {
        /// Values of a patch.
        expected: usize,
        /// Values that were given.
        found: usize,
    },
    /// The room for the embedding is not as long as an embedding.
    #[error("room for an embedding of {found} values, expected {expected}")]
    Embedding {
        /// Values of an embedding.
        expected: usize,
        /// Values that there is room for.
        found: usize,
    },
    /// The model's bytes are not those that were opened: the memory that holds them has failed.
    #[error("the model's bytes have changed since it was opened: open it again")]
    Model,
}

impl EmbedError {
    /// Checks both lengths against what `space` says, as every engine does first.
    ///
    /// # Errors
    /// The first of them that is wrong.
    pub fn check(space: &EmbeddingSpace<'_>, patch: &[f32], embedding: &[f32]) -> Result<(), Self> {
        let (expected, found) = (space.frontend().patch_len(), patch.len());
        if found != expected {
            return Err(Self::Patch { expected, found });
        }
        let (expected, found) = (space.dim(), embedding.len());
        if found != expected {
            return Err(Self::Embedding { expected, found });
        }
        Ok(())
    }
}
