//! Offsets and kinds of a snapshot and of the index in flash. `SNAPSHOT.md` is this in words.

/// Version of the layout that is written and read.
pub const SNAPSHOT_VERSION: u16 = 1;

/// The first bytes of a snapshot.
pub(super) const SNAPSHOT_MAGIC: [u8; 4] = *b"MTSS";

/// The first bytes of an index.
#[cfg(feature = "flash")]
pub(super) const INDEX_MAGIC: [u8; 4] = *b"MTSI";

/// Bits of a threshold that is not set.
pub(super) const NO_THRESHOLD: u32 = 0x7fc0_0000;

/// Contents of a section, by their number in the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum SectionKind {
    /// Id of the backbone.
    Backbone = 1,
    /// Parts of an embedding.
    Parts = 2,
    /// Classes.
    Classes = 3,
    /// Examples themselves.
    Examples = 4,
    /// References to the records of examples in flash.
    References = 5,
    /// Thresholds that the user has set.
    Thresholds = 6,
    /// A number that grows from one release of a profile to the next; in a snapshot that was signed.
    #[cfg_attr(
        not(feature = "signed"),
        expect(dead_code, reason = "nothing but the verifier reads it")
    )]
    VersionCounter = 7,
    /// Who vouches for the contents; in a snapshot that was signed.
    Signature = 8,
}

impl SectionKind {
    /// Number of kinds, plus one for the number 0, which is none of them.
    pub const COUNT: usize = Self::Signature as usize + 1;
}

/// The one table of offsets. A module is a record, a constant a field of it: its type and the byte
/// that it begins at; `LEN` is the record's length in bytes.
pub(super) mod field {
    /// The header: the first bytes.
    pub mod header {
        use crate::bytes::Field;

        /// `MTSS` or `MTSI`.
        pub const MAGIC: Field<[u8; 4], 0> = Field::NEW;
        /// Version of the layout.
        pub const VERSION: Field<u16, 4> = Field::NEW;
        /// Number of sections.
        pub const SECTIONS: Field<u16, 6> = Field::NEW;
        /// Length of everything, bytes.
        pub const TOTAL_LEN: Field<u32, 8> = Field::NEW;
        /// CRC-32 of all bytes but these four.
        pub const CHECKSUM: Field<u32, CHECKSUM_AT> = Field::NEW;
        /// Byte that the checksum begins at; it is the header's last field.
        pub const CHECKSUM_AT: usize = 12;
        /// Bytes of the header.
        pub const LEN: usize = 16;
    }

    /// A record of the section table, which follows the header. The sections follow the table in its
    /// order, without gaps.
    pub mod section {
        use crate::bytes::Field;

        /// Contents: a [`SectionKind`](super::super::SectionKind).
        pub const KIND: Field<u16, 0> = Field::NEW;
        /// [`MUST_UNDERSTAND`] or zero.
        pub const FLAGS: Field<u16, 2> = Field::NEW;
        /// Bytes of the section.
        pub const SECTION_LEN: Field<u32, 4> = Field::NEW;
        /// Bytes of the record.
        pub const LEN: usize = 8;

        /// Flag: a reader that does not know the kind must refuse everything.
        pub const MUST_UNDERSTAND: u16 = 1;
    }

    /// A record of the parts; the name follows it.
    pub mod part {
        use crate::bytes::Field;

        /// Number of values.
        pub const VALUES: Field<u16, 0> = Field::NEW;
        /// Share in the similarity.
        pub const SHARE: Field<f32, 2> = Field::NEW;
        /// Bytes of the name.
        pub const NAME_LEN: Field<u8, 6> = Field::NEW;
        /// Bytes of the record.
        pub const LEN: usize = 7;
    }

    /// The first bytes of the classes.
    pub mod classes {
        use crate::bytes::Field;

        /// The id from which on the next class gets the first that is free.
        pub const NEXT_ID: Field<u16, 0> = Field::NEW;
        /// Bytes in front of the first class.
        pub const LEN: usize = 2;
    }

    /// A record of a class; the name follows it.
    pub mod class {
        use crate::bytes::Field;

        /// Id.
        pub const ID: Field<u16, 0> = Field::NEW;
        /// 0 a sound, 1 negatives, 2 background.
        pub const ROLE: Field<u8, 2> = Field::NEW;
        /// 0 if the class is enabled, 1 if not.
        pub const DISABLED: Field<u8, 3> = Field::NEW;
        /// Number of examples; above 0.
        pub const EXAMPLES: Field<u16, 4> = Field::NEW;
        /// Bytes of the name.
        pub const NAME_LEN: Field<u8, 6> = Field::NEW;
        /// Bytes of the record.
        pub const LEN: usize = 7;
    }

    /// A record of the references: the example that stands at its place is in a record of its own.
    #[cfg(feature = "flash")]
    pub mod reference {
        use crate::bytes::Field;

        /// Key of the example's record.
        pub const KEY: Field<u16, 0> = Field::NEW;
        /// [`fingerprint`](crate::fewshot::persist::fingerprint) of the example.
        pub const FINGERPRINT: Field<u64, 2> = Field::NEW;
        /// Bytes of the record.
        pub const LEN: usize = 10;
    }

    /// The first bytes of the thresholds.
    pub mod thresholds {
        use crate::bytes::Field;

        /// Bits of the threshold of classes without one of their own, or
        /// [`NO_THRESHOLD`](super::super::NO_THRESHOLD).
        pub const DEFAULT: Field<u32, 0> = Field::NEW;
        /// Bytes in front of the first class's threshold.
        pub const LEN: usize = 4;
    }

    /// A record of a class's own threshold.
    pub mod threshold {
        use crate::bytes::Field;

        /// Id of the class.
        pub const CLASS: Field<u16, 0> = Field::NEW;
        /// Bits of its threshold.
        pub const THRESHOLD: Field<u32, 2> = Field::NEW;
        /// Bytes of the record.
        pub const LEN: usize = 6;
    }
}
