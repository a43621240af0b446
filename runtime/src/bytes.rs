//! Fields of records in bytes: the one way in which files, snapshots and flash are read and written.

use bytemuck::Pod;
use core::marker::PhantomData;

#[cfg(target_endian = "big")]
compile_error!("files are used in place and are little-endian: big-endian targets cannot");

/// A field of a record: a value of type `T`, little-endian, that begins at byte `AT`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field<T, const AT: usize>(PhantomData<T>);

impl<T: Pod, const AT: usize> Field<T, AT> {
    /// The field.
    pub const NEW: Self = Self(PhantomData);

    /// Reads the field of `record`. A record that is too short for the field does not compile.
    #[inline]
    pub fn get<const LEN: usize>(self, record: &[u8; LEN]) -> T {
        const { assert!(AT + size_of::<T>() <= LEN, "a field outside its record") };
        bytemuck::pod_read_unaligned(&record[AT..AT + size_of::<T>()])
    }

    /// Writes the field of `record`. A record that is too short for the field does not compile.
    #[inline]
    pub fn set<const LEN: usize>(self, record: &mut [u8; LEN], value: T) {
        const { assert!(AT + size_of::<T>() <= LEN, "a field outside its record") };
        record[AT..AT + size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
    }
}

/// Reads records one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next `len` bytes; `None` if there are fewer.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes the next record of `LEN` bytes; `None` if there are fewer.
    pub fn record<const LEN: usize>(&mut self) -> Option<&'a [u8; LEN]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }

    /// Returns the bytes that have not been taken.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Writes records one after the other. Bytes beyond the end are left out: the caller has computed
/// the length.
#[derive(Debug)]
pub(crate) struct Writer<'o> {
    rest: &'o mut [u8],
}

impl<'o> Writer<'o> {
    /// Begins at the first byte of `out`.
    pub const fn new(out: &'o mut [u8]) -> Self {
        Self { rest: out }
    }

    /// Writes `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        let len = room.len();
        room.copy_from_slice(&bytes[..len]);
    }

    /// Returns the next `len` bytes, to be filled by the caller.
    pub fn room(&mut self, len: usize) -> &'o mut [u8] {
        let len = len.min(self.rest.len());
        let (room, rest) = core::mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        const NUMBER: Field<u16, 1> = Field::NEW;
        const VALUE: Field<f32, 3> = Field::NEW;
        let mut record = [0; 7];
        NUMBER.set(&mut record, 0x0201);
        VALUE.set(&mut record, 1.0);
        assert_eq!(record, [0, 1, 2, 0, 0, 0x80, 0x3f]);
        assert_eq!((NUMBER.get(&record), VALUE.get(&record)), (0x0201, 1.0));
    }

    #[test]
    fn nothing_is_read_or_written_beyond_the_end() {
        let mut bytes = [0; 5];
        let mut writer = Writer::new(&mut bytes);
        writer.put(&[1, 2]);
        writer.room(1)[0] = 3;
        writer.put(&[4, 5, 6]);
        assert!(writer.room(1).is_empty());
        assert_eq!(bytes, [1, 2, 3, 4, 5]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.take(2), Some(&[1, 2][..]));
        assert_eq!(reader.record(), Some(&[3, 4]));
        assert_eq!(reader.record::<2>(), None);
        assert_eq!(reader.take(2), None);
        assert_eq!(reader.rest(), [5]);
    }
}
