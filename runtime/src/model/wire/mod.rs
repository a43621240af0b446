//! The layout of a `.slvr` file: where each field lies, and the records that are made of fields.
//! `FORMAT.md` says the same in words.
//!
//! [`field`] names each field's place and type once; reading, checking and writing all go through it.
//! A record, such as [`OpRecord`], is read from an array of its length and written to one, so that no
//! field can lie outside: the compiler checks that. Reading gives what the bytes say, sensible or
//! not; [`Model::open`](crate::model::Model::open) decides which.
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

pub use described::{
    CohortHeader, PartRecord, SignatureRecord, emit_form, emit_frontend, read_form, read_frontend,
};
pub use file::{
    Header, MAX_ARENA, MAX_OPS, MAX_SECTIONS, SECTION_ALIGN, SectionKind, SectionRecord, VERSION,
    checksum,
};
pub use network::{NO_OPERAND, NO_TABLE, NetworkHeader, OpRecord, TensorRecord};

pub use crate::bytes::Field;
