//! Sizes of what the device is taught.

use crate::model::EMBEDDING_DIM;
use mtslvr_runtime::fewshot::Storage;

/// Most classes that can be enrolled.
pub const CLASSES: usize = 8;
/// Most examples that can be enrolled, of all classes together.
pub const EXAMPLES: usize = 64;

/// Room for the sounds that this device is taught.
pub type SoundStorage = Storage<CLASSES, EXAMPLES, EMBEDDING_DIM>;
