//! The one table of offsets. A module is a record, a constant a field of it: its type and the byte
//! that it begins at; `LEN` is the record's length in bytes. Reserved fields are zero.

/// The file's header: its first bytes.
pub mod header {
    use crate::bytes::Field;

    /// `SLVR`.
    pub const MAGIC: Field<[u8; 4], 0> = Field::NEW;
    /// Version of the layout.
    pub const VERSION: Field<u16, 4> = Field::NEW;
    /// Number of sections.
    pub const SECTIONS: Field<u16, 6> = Field::NEW;
    /// Length of the file, bytes.
    pub const FILE_LEN: Field<u32, 8> = Field::NEW;
    /// CRC-32 of all bytes of the file but these four.
    pub const CHECKSUM: Field<u32, CHECKSUM_AT> = Field::NEW;
    /// Byte that the checksum begins at.
    pub const CHECKSUM_AT: usize = 12;
    /// Offset of the section table in the file.
    pub const TABLE_AT: Field<u32, 16> = Field::NEW;
    /// Reserved.
    pub const RESERVED: Field<[u8; 12], 20> = Field::NEW;
    /// SHA-256 hash of the contents.
    pub const HASH: Field<[u8; 32], 32> = Field::NEW;
    /// Bytes of the header.
    pub const LEN: usize = 64;
}

/// A record of the section table.
pub mod section {
    use crate::bytes::Field;

    /// Contents of the section: a [`SectionKind`](crate::model::wire::SectionKind).
    pub const KIND: Field<u16, 0> = Field::NEW;
    /// Bit 0: a reader that does not know the kind must refuse the file.
    pub const FLAGS: Field<u16, 2> = Field::NEW;
    /// Offset of the section in the file.
    pub const OFFSET: Field<u32, 4> = Field::NEW;
    /// Bytes of the section.
    pub const SECTION_LEN: Field<u32, 8> = Field::NEW;
    /// Bytes of the record.
    pub const LEN: usize = 12;
}

/// The first bytes of the network section.
pub mod network {
    use crate::bytes::Field;

    /// Number of operators.
    pub const OPS: Field<u16, 0> = Field::NEW;
    /// Reserved.
    pub const RESERVED_2: Field<u16, 2> = Field::NEW;
    /// Bytes of the arena.
    pub const ARENA_LEN: Field<u32, 4> = Field::NEW;
    /// Reserved.
    pub const RESERVED_8: Field<u64, 8> = Field::NEW;
    /// Bytes of the network's header.
    pub const LEN: usize = 16;
}

/// A tensor's record in the network section.
pub mod tensor {
    use crate::bytes::Field;

    /// Height: time steps.
    pub const HEIGHT: Field<u16, 0> = Field::NEW;
    /// Width: mel bands.
    pub const WIDTH: Field<u16, 2> = Field::NEW;
    /// Channels.
    pub const CHANNELS: Field<u16, 4> = Field::NEW;
    /// int8 value of real zero.
    pub const ZERO_POINT: Field<i8, 6> = Field::NEW;
    /// Reserved.
    pub const RESERVED: Field<u8, 7> = Field::NEW;
    /// Offset in the arena.
    pub const OFFSET: Field<u32, 8> = Field::NEW;
    /// Real value of one step.
    pub const SCALE: Field<f32, 12> = Field::NEW;
    /// Bytes of the record.
    pub const LEN: usize = 16;
}

/// An operator's record in the network section.
pub mod op {
    use crate::bytes::Field;

    /// Kind of the operator: an [`OpKind`](crate::model::OpKind).
    pub const KIND: Field<u8, 0> = Field::NEW;
    /// Order of the weights: a [`Layout`](crate::nn::Layout).
    pub const LAYOUT: Field<u8, 1> = Field::NEW;
    /// Tensor that it reads.
    pub const INPUT: Field<u16, 2> = Field::NEW;
    /// Second operand.
    pub const SECOND: Field<u16, 4> = Field::NEW;
    /// Kernel: height, width.
    pub const KERNEL: Field<[u16; 2], 6> = Field::NEW;
    /// Stride: height, width.
    pub const STRIDE: Field<[u8; 2], 10> = Field::NEW;
    /// Padding: top, bottom, left, right.
    pub const PADDING: Field<[u8; 4], 12> = Field::NEW;
    /// Offset of the scratch in the arena.
    pub const SCRATCH_AT: Field<u32, 16> = Field::NEW;
    /// Bytes of the scratch.
    pub const SCRATCH_LEN: Field<u32, 20> = Field::NEW;
    /// Offset of the weights in the constants.
    pub const WEIGHTS: Field<u32, 24> = Field::NEW;
    /// Offset of the adapter in the constants.
    pub const ADAPTER: Field<u32, 28> = Field::NEW;
    /// Offset of the bias in the constants.
    pub const BIAS: Field<u32, 32> = Field::NEW;
    /// Offset of the multipliers in the constants.
    pub const MULTIPLIERS: Field<u32, 36> = Field::NEW;
    /// Multipliers of the sum: of the first operand, of the second.
    pub const ADD_MULTIPLIERS: Field<[i32; 2], 40> = Field::NEW;
    /// Left shift of the accumulator.
    pub const PRE: Field<u8, 48> = Field::NEW;
    /// Least and greatest output.
    pub const CLAMP: Field<[i8; 2], 49> = Field::NEW;
    /// Zero point between a convolution and its sum.
    pub const INNER_ZERO_POINT: Field<i8, 51> = Field::NEW;
    /// Least and greatest value between a convolution and its sum.
    pub const INNER_CLAMP: Field<[i8; 2], 52> = Field::NEW;
    /// Dilation less one: height, width; for all kinds but a slice.
    pub const GAPS: Field<[u8; 2], 54> = Field::NEW;
    /// The first channel of a slice.
    pub const FIRST_CHANNEL: Field<u16, 54> = Field::NEW;
    /// Bytes of the record.
    pub const LEN: usize = 56;
}

/// The section of a frontend's form.
pub mod form {
    use crate::bytes::Field;

    /// Length of the transform, samples; 0: as long as the window.
    pub const TRANSFORM: Field<u16, 0> = Field::NEW;
    /// [`Spectrum`](crate::frontend::Spectrum).
    pub const SPECTRUM: Field<u8, 2> = Field::NEW;
    /// [`MelScale`](crate::frontend::MelScale).
    pub const MEL_SCALE: Field<u8, 3> = Field::NEW;
    /// [`BandNorm`](crate::frontend::BandNorm).
    pub const BAND_NORM: Field<u8, 4> = Field::NEW;
    /// [`FloorRule`](crate::frontend::FloorRule).
    pub const FLOOR_RULE: Field<u8, 5> = Field::NEW;
    /// [`Framing`](crate::frontend::Framing).
    pub const FRAMING: Field<u8, 6> = Field::NEW;
    /// Reserved.
    pub const RESERVED: Field<[u8; 9], 7> = Field::NEW;
    /// Bytes of the section.
    pub const LEN: usize = 16;
}

/// A record of the parts section.
pub mod part {
    use crate::bytes::Field;
    use crate::space::PART_NAME_BYTES;

    /// Tensor that holds the values.
    pub const TENSOR: Field<u16, 0> = Field::NEW;
    /// Number of values.
    pub const VALUES: Field<u16, 2> = Field::NEW;
    /// Share in the similarity.
    pub const SHARE: Field<f32, 4> = Field::NEW;
    /// Bytes of the name.
    pub const NAME_LEN: Field<u8, 8> = Field::NEW;
    /// Reserved.
    pub const RESERVED: Field<[u8; 7], 9> = Field::NEW;
    /// Name, filled up with zeros.
    pub const NAME: Field<[u8; PART_NAME_BYTES], NAME_AT> = Field::NEW;
    /// Byte that the name begins at.
    pub const NAME_AT: usize = 16;
    /// Bytes of the record.
    pub const LEN: usize = 48;
}

/// The frontend section.
pub mod frontend {
    use crate::bytes::Field;

    /// Sample rate, Hz.
    pub const SAMPLE_RATE: Field<u32, 0> = Field::NEW;
    /// Samples of a window.
    pub const WINDOW: Field<u16, 4> = Field::NEW;
    /// Samples from a window to the next.
    pub const HOP: Field<u16, 6> = Field::NEW;
    /// Mel bands.
    pub const MELS: Field<u16, 8> = Field::NEW;
    /// Frames of a patch.
    pub const FRAMES: Field<u16, 10> = Field::NEW;
    /// Lower edge of the lowest band, Hz.
    pub const F_MIN: Field<f32, 12> = Field::NEW;
    /// Upper edge of the highest band, Hz.
    pub const F_MAX: Field<f32, 16> = Field::NEW;
    /// Floor added to the mel power.
    pub const FLOOR: Field<f32, 20> = Field::NEW;
    /// Mean subtracted from the logarithm.
    pub const MEAN: Field<f32, 24> = Field::NEW;
    /// Factor of the result.
    pub const SCALE: Field<f32, 28> = Field::NEW;
    /// Bytes of the section.
    pub const LEN: usize = 32;
}

/// The reference section.
pub mod reference {
    use crate::bytes::Field;

    /// Similarities that the shares [`REFERENCE_TAILS`](crate::fewshot::REFERENCE_TAILS) of unrelated
    /// pairs exceed.
    pub const QUANTILES: Field<[f32; 8], 0> = Field::NEW;
    /// Bytes of the section.
    pub const LEN: usize = 32;
}

/// The first bytes of the cohort section.
pub mod cohort {
    use crate::bytes::Field;

    /// Number of directions.
    pub const COUNT: Field<u16, 0> = Field::NEW;
    /// Values of a direction.
    pub const DIM: Field<u16, 2> = Field::NEW;
    /// Weights of a direction.
    pub const PARTS: Field<u16, 4> = Field::NEW;
    /// Reserved.
    pub const RESERVED: Field<[u8; 10], 6> = Field::NEW;
    /// Bytes of the cohort's header.
    pub const LEN: usize = 16;
}

/// The version counter section.
pub mod version_counter {
    use crate::bytes::Field;

    /// The count.
    pub const COUNT: Field<u64, 0> = Field::NEW;
    /// Bytes of the section.
    pub const LEN: usize = 8;
}

/// The first bytes of the patch norm section.
pub mod patch_norm {
    use crate::bytes::Field;

    /// Which mean of the patch is subtracted.
    pub const MEAN: Field<u8, 0> = Field::NEW;
    /// Reserved.
    pub const RESERVED: Field<[u8; 15], 1> = Field::NEW;
    /// Bytes before the bands' means and scales.
    pub const LEN: usize = 16;
}

/// The signature section.
pub mod signature {
    use crate::bytes::Field;

    /// Which key signed.
    pub const KEY_ID: Field<[u8; 8], 0> = Field::NEW;
    /// Ed25519 signature.
    pub const SIGNATURE: Field<[u8; 64], 8> = Field::NEW;
    /// Bytes of the section.
    pub const LEN: usize = 72;
}
