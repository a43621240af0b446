//! The last example, which the next one may belong with.

use mtslvr_runtime::fewshot::ClassName;

/// An example was enrolled.
#[derive(Debug)]
pub(super) struct Lesson {
    pub name: ClassName,
    /// End of the example in the recording.
    pub end: u32,
}
