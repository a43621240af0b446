//! Flash as `sequential-storage` may see it: in whole words, and without records that it does not expect.

use super::{ITEM_HEADER, KEY_LEN};
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Asks for reads of whole words. The mark of a page is a word: after a cut its first byte may be there
/// and its last not, and then it must not be written again. Who reads the first byte alone does not see
/// that.
///
/// A record that is shorter than its key looks erased. None is ever written, but flash may hold anything, and
/// `sequential-storage` takes the key's length off the record's.
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
        self.0.read(offset, bytes).await?;
        if bytes.len() == ITEM_HEADER.next_multiple_of(Self::READ_SIZE) {
            hide_short(bytes);
        }
        Ok(())
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

/// Lengths of records that are shorter than their key, as the bytes of a header behind its first four: the length,
/// and the length's checksum.
const SHORT: [[u8; 4]; KEY_LEN] = {
    let mut short = [[0; 4]; KEY_LEN];
    let mut len = 0;
    while len < KEY_LEN {
        let [low, high] = length_checksum(len as u8).to_le_bytes();
        short[len] = [len as u8, 0, low, high];
        len += 1;
    }
    short
};

/// Returns the checksum that `sequential-storage` gives a length below 256: CRC-16F/4.2 of its two bytes.
const fn length_checksum(len: u8) -> u16 {
    let mut checksum = 0xffff ^ len as u16;
    let mut bit = 0;
    // The second byte is zero: all bits follow each other.
    while bit < 16 {
        let carry = checksum & 1 == 1;
        checksum >>= 1;
        if carry {
            checksum ^= 0x1a2e;
        }
        bit += 1;
    }
    checksum ^ 0xffff
}

/// Clears the checksum in a header of a record that is [`SHORT`]: with none, it is one that was erased. A record of a
/// header's length may be read, too; that its bytes are such a header by chance is as likely as that a checksum of
/// 32 bits fits by chance.
fn hide_short(header: &mut [u8]) {
    if let Some((checksum, length)) = header.split_first_chunk_mut::<4>()
        && SHORT.iter().any(|short| length.starts_with(short))
    {
        checksum.fill(0);
    }
}
