//! The joint of every kind of model that is measured.

use mtslvr_evaluate::{ClipEmbedder, Controls};
use mtslvr_pack::Engine;

/// A model that can be measured, with its controls.
pub(super) struct Subject {
    /// Its name in tables.
    pub(super) name: String,
    /// Engine that runs it.
    pub(super) engine: Engine,
    /// Rate at which it takes clips, Hz.
    pub(super) sample_rate: u32,
    /// Makes its embeddings.
    pub(super) embedder: Box<dyn ClipEmbedder>,
    /// Controls that answer the same tasks.
    pub(super) controls: Controls,
}
