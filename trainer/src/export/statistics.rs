//! What heads need to know of embeddings in general: where they lie, and how alike unrelated ones are.

/// Statistics of one engine's embeddings over base audio.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingStatistics {
    /// Mean embedding, invariant ‖ equivariant: what heads centre with.
    pub base_mean: Vec<f32>,
    /// Cosine similarity below which two clips are taken to be unrelated.
    pub rejection_similarity: f32,
}
