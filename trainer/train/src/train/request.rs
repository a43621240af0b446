//! The input of a training run.

use super::config::RunConfig;
use crate::net::Weights;
use mtslvr_audio::{DecodeCache, Recordings};
use std::path::PathBuf;
use std::sync::Arc;

/// Configuration, sounds and folders of a run.
#[derive(Clone, Debug)]
pub struct TrainRequest {
    /// Configuration; its normalisation is measured where it is left open.
    pub config: RunConfig,
    /// Recordings at the frontend's sample rate; may be empty.
    pub recordings: Arc<Recordings>,
    /// Cache of the held-out sets' decoded recordings.
    pub cache: DecodeCache,
    /// Folder for what teachers say of the recordings, made if it is needed.
    pub heard: PathBuf,
    /// The run folder, made if it is not there.
    pub out: PathBuf,
    /// Whether to go on from the folder's checkpoint.
    pub resume: bool,
    /// Weights to start from, in place of random ones; not looked at where `resume` is set.
    pub start: Option<Weights>,
}
