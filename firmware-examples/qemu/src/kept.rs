//! What outlives the power: the support set in flash.

use crate::arguments::{Argument, arguments};
use crate::model::EMBEDDING_DIM;
use crate::sounds::{CLASSES, EXAMPLES};
use core::fmt;
use mtslvr_board::flash::{FlashError, HostFlash, PAGE};
use mtslvr_board::say;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, StoreError, flash_len, store_scratch_len,
};

/// Bytes that the store works in.
pub const SCRATCH_LEN: usize = store_scratch_len(CLASSES, EXAMPLES, EMBEDDING_DIM);
/// Bytes of flash; no less than a store has, for a model whose records no page has room for.
const FLASH_LEN: usize = match flash_len(CLASSES, EXAMPLES, EMBEDDING_DIM, PAGE) {
    Some(len) => len,
    None => 2 * PAGE,
};

/// Keeps what was taught.
pub struct Kept<'s> {
    /// The store in flash.
    pub store: BlockingFlashStore<HostFlash>,
    /// Memory that it works in.
    pub scratch: &'s mut [u8],
}

/// Why it could not be kept.
pub enum KeptError {
    /// The flash could not be opened.
    Flash(FlashError),
    /// The store failed.
    Store(StoreError<FlashError>),
}

impl<'s> Kept<'s> {
    /// The flash that the command line names, if it does, until the power goes.
    pub fn open(line: &str, scratch: &'s mut [u8]) -> Result<Option<Self>, KeptError> {
        let (mut path, mut power) = (None, None);
        for argument in arguments(line) {
            match argument {
                Ok(Argument::Flash { path: named }) => path = Some(named),
                Ok(Argument::Cut(bytes)) => power = Some(bytes),
                _ => {}
            }
        }
        let Some(path) = path else {
            return Ok(None);
        };
        let flash = HostFlash::open(path, FLASH_LEN, power).map_err(KeptError::Flash)?;
        let store =
            BlockingFlashStore::new(flash, 0..FLASH_LEN as u32).map_err(KeptError::Store)?;
        Ok(Some(Self { store, scratch }))
    }

    /// Makes `sounds` know what was kept.
    pub fn restore(&mut self, sounds: &mut Learner) -> Result<(), KeptError> {
        self.store
            .load(sounds, self.scratch)
            .map_err(KeptError::Store)?;
        say!("restored {}", Count(sounds));
        Ok(())
    }

    /// Keeps what `sounds` knows.
    pub fn save(&mut self, sounds: &Learner) -> Result<(), KeptError> {
        self.store
            .save(sounds, self.scratch)
            .map_err(KeptError::Store)?;
        say!("saved {}", Count(sounds));
        Ok(())
    }
}

/// How much is known.
pub struct Count<'a>(pub &'a Learner<'a>);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let support = self.0.support();
        let (classes, examples) = (support.class_count(), support.example_count());
        write!(f, "classes={classes} examples={examples}")
    }
}

impl fmt::Display for KeptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash: {error}"),
            Self::Store(StoreError::Flash(error)) => write!(f, "the flash: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}
