//! The store for flash drivers that block.

use super::{FlashStore, Loaded, StoreError};
use crate::fewshot::Learner;
use core::future::Future;
use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embedded_storage::nor_flash::{self, ErrorType};
use embedded_storage_async::nor_flash as asynchronous;

/// A part of a flash memory in which a support set is kept, behind a blocking driver.
///
/// ```
/// # use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, StorageVec};
/// # use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
/// # use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
/// use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, Loaded, flash_len, store_scratch_len};
/// use mtslvr_simulated_flash::SimulatedFlash;
///
/// // Up to 4 classes with 8 examples in all, of 2 values each.
/// const LEN: usize = flash_len(4, 8, 2, 4096).unwrap();
/// let mut scratch = [0; store_scratch_len(4, 8, 2)];
/// # let parts = Parts::new([Part { name: "features", len: 2, share: 1.0 }])?;
/// # let frontend = FrontendConfig {
/// #     sample_rate: 16_000, window: 256, hop: 128, mels: 16, frames: 20,
/// #     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// #     form: FrontendForm::PLAIN,
/// # };
/// # let (id, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// # let space = EmbeddingSpace::new(id, frontend, parts, &[0.0; 2], reference).unwrap();
/// # let (mut one, mut other) = (StorageVec::new(4, 8, 2), StorageVec::new(4, 8, 2));
/// # let mut learner = Learner::new(one.lend(), HeadKind::default(), space)?;
/// # let mut restarted = Learner::new(other.lend(), HeadKind::default(), space)?;
///
/// // Any driver that implements `embedded_storage::nor_flash::NorFlash`; here one that can lose power.
/// let flash = SimulatedFlash::<4096, 4>::new(LEN / 4096);
/// let mut store = BlockingFlashStore::new(flash, 0..LEN as u32)?;
/// assert_eq!(store.load(&mut learner, &mut scratch)?, Loaded::Nothing);
///
/// let doorbell = learner.enrol("doorbell", &[1.0, 0.5])?;
/// store.save(&learner, &mut scratch)?;
///
/// // After the power was off:
/// assert_eq!(store.load(&mut restarted, &mut scratch)?, Loaded::Saved);
/// assert_eq!(restarted.support().name(doorbell)?, "doorbell");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockingFlashStore<F: nor_flash::NorFlash> {
    pub(super) store: FlashStore<Blocking<F>>,
}

impl<F: nor_flash::NorFlash> BlockingFlashStore<F> {
    /// Opens a store: see [`FlashStore::new`].
    ///
    /// # Errors
    /// [`StoreError::Range`].
    pub fn new(flash: F, range: Range<u32>) -> Result<Self, StoreError<F::Error>> {
        let store = FlashStore::new(Blocking(flash), range)?;
        Ok(Self { store })
    }

    /// Returns the flash, whose other ranges hold other things.
    pub fn flash(&mut self) -> &mut F {
        &mut self.store.flash().0
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.store.into_flash().0
    }

    /// Makes `learner` know the state that was saved last: see [`FlashStore::load`].
    ///
    /// # Errors
    /// [`StoreError`]; the learner then knows nothing.
    pub fn load(
        &mut self,
        learner: &mut Learner<'_>,
        scratch: &mut [u8],
    ) -> Result<Loaded, StoreError<F::Error>> {
        block_on(self.store.load(learner, scratch))
    }

    /// Saves what `learner` was taught: see [`FlashStore::save`].
    ///
    /// # Errors
    /// [`StoreError`]; the state that was saved before is then still there. Only [`StoreError::Damaged`]
    /// promises nothing.
    pub fn save(
        &mut self,
        learner: &Learner<'_>,
        scratch: &mut [u8],
    ) -> Result<(), StoreError<F::Error>> {
        block_on(self.store.save(learner, scratch))
    }

    /// Erases everything that was saved: see [`FlashStore::erase`].
    ///
    /// # Errors
    /// [`StoreError::Flash`].
    pub fn erase(&mut self) -> Result<(), StoreError<F::Error>> {
        block_on(self.store.erase())
    }
}

/// A blocking flash driver as an asynchronous one that is always ready.
#[derive(Debug)]
pub struct Blocking<F>(
    /// The driver.
    pub F,
);

impl<F: ErrorType> ErrorType for Blocking<F> {
    type Error = F::Error;
}

impl<F: nor_flash::NorFlash> asynchronous::ReadNorFlash for Blocking<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: nor_flash::NorFlash> asynchronous::NorFlash for Blocking<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes)
    }
}

/// Runs a future that waits for nothing but [`Blocking`], which is always ready.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
