//! The layout of a `.slvr` file: where each field lies, and the records that are made of fields.
//! `FORMAT.md` is this in words.
//!
//! [`field`] names each field's place and type once; reading, checking and writing all go through it.
//! A record, such as [`OpRecord`], is read from an array of its length and written to one, so that no
//! field can lie outside: the compiler checks that. Reading gives what the bytes say, sensible or
//! not; [`Model::open`](crate::model::Model::open) is what decides.
//!
//! ```
//! use mtslvr_runtime::model::wire::{SectionKind, SectionRecord, field};
//!
//! let record = SectionRecord {
//!     kind: SectionKind::Parts as u16,
//!     flags: SectionRecord::MUST_UNDERSTAND,
//!     offset: 64,
//!     len: 96,
//! };
//! let bytes = record.emit();
//! assert_eq!(field::section::OFFSET.get(&bytes), 64);
//! assert_eq!(SectionRecord::read(&bytes), record);
//! ```

mod described;
pub mod field;
mod file;
mod network;

pub use described::{CohortHeader, PartRecord, SignatureRecord, emit_frontend, read_frontend};
pub use file::{Header, MAX_SECTIONS, SECTION_ALIGN, SectionKind, SectionRecord, checksum};
pub use network::{NO_OPERAND, NO_TABLE, NetworkHeader, OpRecord, TensorRecord};

use bytemuck::Pod;
use core::marker::PhantomData;

#[cfg(target_endian = "big")]
compile_error!("the packed model is used in place and is little-endian: big-endian targets cannot");

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
