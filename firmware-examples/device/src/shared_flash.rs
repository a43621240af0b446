//! One flash for several owners, each of which has ranges of its own.

use core::cell::RefCell;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// A handle on a flash that others have a handle on, too. All are used in one thread, one after the other.
#[derive(Debug)]
pub struct SharedFlash<'f, F>(pub &'f RefCell<F>);

impl<F> Clone for SharedFlash<'_, F> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<F: ErrorType> ErrorType for SharedFlash<'_, F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for SharedFlash<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl<F: NorFlash> NorFlash for SharedFlash<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.borrow_mut().write(offset, bytes)
    }
}
