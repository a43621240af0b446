//! Asks a verifier about candidates, and keeps what it said of a sound.

use crate::fewshot::ClassId;
use crate::frontend::FrontendConfig;
use crate::verifier::Check;

/// Answers of a verifier about the sound that is heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SecondLook {
    refused: bool,
}

impl SecondLook {
    /// Asks about a candidate for `class`, and tells whether it is refused. `frames` are those of the sound
    /// from its beginning on. They are `None` once the beginning is gone: there is nothing to compare then,
    /// and the candidate passes.
    pub fn refuses<C: Check>(
        &mut self,
        check: &C,
        class: ClassId,
        frames: Option<&[f32]>,
        frontend: &FrontendConfig,
    ) -> bool {
        let mels = frontend.mels.into();
        self.refused = frames.is_some_and(|frames| !check.accepts(class, frames, mels));
        self.refused
    }

    /// Tells whether the last candidate was refused: the whole sound may be accepted where a part was not.
    pub fn has_refused(self) -> bool {
        self.refused
    }
}
