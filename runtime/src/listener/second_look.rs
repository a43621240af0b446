//! Asks a verifier about candidates, and keeps what it said of a sound.

use crate::fewshot::ClassId;
use crate::frontend::FrontendConfig;
use crate::verifier::Check;

/// What a verifier said of the sound that is heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SecondLook {
    /// Whether it refused the last candidate.
    refused: bool,
    /// Whether it refused one that filled a patch, as long as a sound's beginning is compared.
    refused_beginning: bool,
}

impl SecondLook {
    /// Asks about a candidate for `class`, and tells whether it is refused. `frames` are those of the sound
    /// from its beginning on, or `None` once the beginning is gone: then it has decided.
    pub fn refuses<C: Check>(
        &mut self,
        check: &C,
        class: ClassId,
        frames: Option<&[f32]>,
        frontend: &FrontendConfig,
    ) -> bool {
        self.refused = match frames {
            Some(frames) => {
                let refused = !check.accepts(class, frames, frontend.mels.into());
                self.refused_beginning = refused && frames.len() == frontend.patch_len();
                refused
            }
            None => self.refused_beginning,
        };
        self.refused
    }

    /// Tells whether the last candidate was refused: the whole sound may be accepted where a part was not.
    pub fn has_refused(self) -> bool {
        self.refused
    }
}
