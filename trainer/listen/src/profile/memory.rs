//! Room for a learner that holds a profile.

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::persist::SnapshotHeader;
use mtslvr_runtime::fewshot::{EmbeddingSpace, HeadKind, Learner, Reference, StorageVec};

/// What a [`Learner`] borrows.
#[derive(Debug)]
pub struct Memory {
    storage: StorageVec,
    backbone: u32,
    base_mean: Vec<f32>,
    invariant_dim: usize,
    reference: Reference,
}

impl Memory {
    /// Most classes of a profile: as many as the runtime can number.
    pub const CLASSES: usize = 256;
    /// Most examples of a profile. Fitting takes time with their cube: a second or so for this many.
    pub const EXAMPLES: usize = 1024;

    /// For embeddings of `backbone`, whose file has the CRC-32 `checksum`.
    pub fn for_backbone(backbone: &impl Backbone, checksum: u32) -> Self {
        let space = EmbeddingSpace::of(backbone, checksum);
        Self {
            storage: Self::storage(backbone.embedding_dim()),
            backbone: checksum,
            base_mean: space.base_mean.to_vec(),
            invariant_dim: space.invariant_dim,
            reference: space.reference,
        }
    }

    /// For a snapshot whose backbone is not at hand: enough to list and change classes, and not to
    /// embed or to classify.
    pub fn for_snapshot(header: &SnapshotHeader) -> Self {
        Self {
            storage: Self::storage(header.dim),
            backbone: header.backbone,
            base_mean: vec![0.0; header.dim],
            invariant_dim: header.invariant_dim,
            reference: Reference::assumed(0.0),
        }
    }

    fn storage(dim: usize) -> StorageVec {
        StorageVec::new(Self::CLASSES, Self::EXAMPLES, dim)
    }

    /// A learner in this memory that knows nothing yet, with the default head.
    pub fn learner(&mut self) -> Learner<'_> {
        let space = EmbeddingSpace {
            backbone: self.backbone,
            base_mean: &self.base_mean,
            invariant_dim: self.invariant_dim,
            reference: self.reference,
        };
        Learner::new(self.storage.lend(), HeadKind::default(), space)
            .expect("the storage is as long as the base mean, which holds the invariant features")
    }
}
