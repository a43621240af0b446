//! Flash that is read in whole words.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Asks for reads of whole words. The mark of a page is a word: after a cut its first byte may be there
/// and its last not, and then it must not be written again. Who reads the first byte alone does not see
/// that.
#[derive(Debug)]
pub(super) struct WholeWords<F>(pub F);

impl<F: ErrorType> ErrorType for WholeWords<F> {
    type Error = F::Error;
}

impl<F: NorFlash> ReadNorFlash for WholeWords<F> {
    const READ_SIZE: usize = if F::READ_SIZE > F::WRITE_SIZE {
        F::READ_SIZE
    } else {
        F::WRITE_SIZE
    };

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for WholeWords<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes).await
    }
}
