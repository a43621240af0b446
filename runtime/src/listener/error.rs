//! Errors of making a listener and of listening.

use super::config::ListenerConfigError;
use crate::fewshot::ClassifyError;
use crate::frontend::FrontendError;

/// Explains why a [`Listener`](super::Listener) could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ListenerError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ListenerConfigError),
    /// The frontend's parameters do not fit.
    #[error(transparent)]
    Frontend(#[from] FrontendError),
    /// The buffer is shorter than [`Listener::buffer_len`](super::Listener::buffer_len).
    #[error(
        "the listener's buffer holds {found} values and {needed} are needed: see \
         Listener::buffer_len"
    )]
    BufferTooShort {
        /// Values that are needed.
        needed: usize,
        /// Values that the buffer holds.
        found: usize,
    },
}

/// Explains why samples could not be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ListenError<E> {
    /// The backbone was made for other features than this listener, or has longer or shorter
    /// embeddings.
    #[error("the listener was made for other features or embeddings than this backbone's")]
    OtherBackbone,
    /// The learner cannot classify: it was not fitted since it was changed, or knows more classes
    /// than the listener was made for.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// The backbone failed.
    #[error(transparent)]
    Backbone(E),
}
