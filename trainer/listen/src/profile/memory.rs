//! Memory of a learner that holds a profile.

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::persist::SnapshotHeader;
use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, StorageVec};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::space::{EmbeddingSpace, OwnedSpace};

/// Memory that a [`Learner`] borrows.
#[derive(Debug)]
pub struct Memory {
    storage: StorageVec,
    space: OwnedSpace,
}

/// A placeholder: a snapshot does not say how the features of its backbone are made.
const NO_FRONTEND: FrontendConfig = FrontendConfig {
    sample_rate: 1,
    window: 1,
    hop: 1,
    mels: 1,
    frames: 1,
    f_min: 0.0,
    f_max: 0.0,
    floor: 0.0,
    mean: 0.0,
    scale: 0.0,
    form: FrontendForm::PLAIN,
};

impl Memory {
    /// Most classes of a profile: as many as the runtime can number.
    pub const CLASSES: usize = 256;
    /// Most examples of a profile. Fitting takes time with their cube: a second or so for this many.
    pub const EXAMPLES: usize = 1024;

    /// Allocates memory for embeddings of `backbone`.
    pub fn for_backbone(backbone: &impl Backbone) -> Self {
        let space = backbone.space().into_owned();
        Self {
            storage: Self::storage(space.dim()),
            space,
        }
    }

    /// Allocates memory for a snapshot whose backbone is not at hand: enough to list and change
    /// classes, but not to embed or to classify.
    pub fn for_snapshot(header: &SnapshotHeader<'_>) -> Self {
        let (parts, dim) = (header.parts, header.parts.dim());
        let (mean, reference) = (vec![0.0; dim], Reference::assumed(0.0));
        let space = EmbeddingSpace::new(header.backbone, NO_FRONTEND, parts, &mean, reference);
        Self {
            storage: Self::storage(dim),
            space: space.expect("a mean for each value").into_owned(),
        }
    }

    fn storage(dim: usize) -> StorageVec {
        StorageVec::new(Self::CLASSES, Self::EXAMPLES, dim)
    }

    /// Makes an empty learner in this memory, with the default head.
    pub fn learner(&mut self) -> Learner<'_> {
        let space = self.space.as_space();
        Learner::new(self.storage.lend(), HeadKind::default(), space)
            .expect("the storage is as long as an embedding")
    }
}
