//! Errors of a studio, as sentences that say what to do.

use mtslvr_listen::profile::{ProfileError, ReservedName};
use mtslvr_runtime::fewshot::persist::RestoreError;
use mtslvr_runtime::fewshot::{FitError, SupportError};
use mtslvr_runtime::model::OpenError;

/// Explains why a studio cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudioError {
    /// The bytes are no model.
    #[error(
        "the model cannot be used: {0}. Reload the page; if that does not help, build it again."
    )]
    Model(#[from] OpenError),
    /// Nothing was opened yet.
    #[error("no model is open yet. Wait until the page has loaded, or reload it.")]
    Closed,
    /// The settings of the model do not suit a listener.
    #[error("the model cannot listen: {0}. Build the page with another model.")]
    Listener(String),
    /// There is no such stream.
    #[error("there is no stream {stream}. Reload the page.")]
    Stream {
        /// Number of the stream.
        stream: usize,
    },
    /// The recording is not kept any more, or not yet.
    #[error(
        "nothing was recorded. Start the microphone, and hold the button while you make the sound."
    )]
    NothingRecorded,
    /// The recording cannot be embedded.
    #[error("the recording cannot be used: {0}. Record it again.")]
    Recording(String),
    /// A name has another meaning.
    #[error(transparent)]
    Name(#[from] ReservedName),
    /// Another sound has the name.
    #[error(
        "another sound is called \"{name}\" already. Choose another name, or delete that sound first."
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The set of sounds cannot be changed so.
    #[error("{0}.")]
    Support(#[from] SupportError),
    /// The sound cannot be learnt.
    #[error("{0}.")]
    Profile(#[from] ProfileError),
    /// The head cannot be fitted.
    #[error("the sounds cannot be told apart: {0}. Delete the example that you added last.")]
    Fit(#[from] FitError),
    /// The file is no snapshot, or one of another backbone.
    #[error("the file cannot be imported: {0}.")]
    Import(#[from] RestoreError),
}
