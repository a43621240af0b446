//! The records of the network section.

use super::field::{network, op, tensor};
use crate::model::OpKind;
use crate::nn::{Padding, Quantisation, Shape, Window};

/// Stands for no second operand.
pub const NO_OPERAND: u16 = u16::MAX;

/// Stands for a table that an operator does not have.
pub const NO_TABLE: u32 = u32::MAX;

/// The first bytes of the network section. The tensors' records follow, then the operators'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkHeader {
    /// Number of operators; there is one tensor more.
    pub ops: u16,
    /// Bytes of the arena.
    pub arena_len: u32,
}

impl NetworkHeader {
    /// Bytes of the header.
    pub const LEN: usize = network::LEN;

    /// Reads the header, whatever its reserved fields are.
    pub fn read(record: &[u8; network::LEN]) -> Self {
        Self {
            ops: network::OPS.get(record),
            arena_len: network::ARENA_LEN.get(record),
        }
    }

    /// Writes the header.
    pub fn emit(&self) -> [u8; network::LEN] {
        let mut record = [0; network::LEN];
        network::OPS.set(&mut record, self.ops);
        network::ARENA_LEN.set(&mut record, self.arena_len);
        record
    }
}

/// A tensor's record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorRecord {
    /// Height, width and channels, each below 2^16.
    pub shape: Shape,
    /// Offset in the arena.
    pub offset: u32,
    /// Real values that its int8 values stand for.
    pub quantisation: Quantisation,
}

impl TensorRecord {
    /// Bytes of a record.
    pub const LEN: usize = tensor::LEN;

    /// Reads a record, whatever its reserved field is.
    #[inline]
    pub fn read(record: &[u8; tensor::LEN]) -> Self {
        Self {
            shape: Shape {
                height: tensor::HEIGHT.get(record).into(),
                width: tensor::WIDTH.get(record).into(),
                channels: tensor::CHANNELS.get(record).into(),
            },
            offset: tensor::OFFSET.get(record),
            quantisation: Quantisation {
                scale: tensor::SCALE.get(record),
                zero_point: tensor::ZERO_POINT.get(record),
            },
        }
    }

    /// Writes the record. Sizes are cut to 16 bits.
    pub fn emit(&self) -> [u8; tensor::LEN] {
        let mut record = [0; tensor::LEN];
        tensor::HEIGHT.set(&mut record, self.shape.height as u16);
        tensor::WIDTH.set(&mut record, self.shape.width as u16);
        tensor::CHANNELS.set(&mut record, self.shape.channels as u16);
        tensor::ZERO_POINT.set(&mut record, self.quantisation.zero_point);
        tensor::OFFSET.set(&mut record, self.offset);
        tensor::SCALE.set(&mut record, self.quantisation.scale);
        record
    }
}

/// An operator's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpRecord {
    /// Number of an [`OpKind`](crate::model::OpKind).
    pub kind: u8,
    /// Number of a [`Layout`](crate::nn::Layout).
    pub layout: u8,
    /// Tensor that it reads.
    pub input: u16,
    /// Second operand, or [`NO_OPERAND`].
    pub second: u16,
    /// Kernel below 2^16, stride and padding below 2^8, dilation from 1 to 2^8; none for a slice.
    pub window: Window,
    /// The first channel of a slice; 0 for all other kinds.
    pub first_channel: u16,
    /// Offset of the scratch in the arena.
    pub scratch_at: u32,
    /// Bytes of the scratch.
    pub scratch_len: u32,
    /// Offset of the weights in the constants, or [`NO_TABLE`].
    pub weights: u32,
    /// Offset of the adapter in the constants, or [`NO_TABLE`].
    pub adapter: u32,
    /// Offset of the bias in the constants, or [`NO_TABLE`].
    pub bias: u32,
    /// Offset of the multipliers in the constants, or [`NO_TABLE`].
    pub multipliers: u32,
    /// Multipliers of the sum: of the first operand, of the second.
    pub add_multipliers: [i32; 2],
    /// Left shift of the accumulator.
    pub pre: u8,
    /// Least and greatest output.
    pub clamp: [i8; 2],
    /// Zero point between a convolution and its sum.
    pub inner_zero_point: i8,
    /// Least and greatest value between a convolution and its sum.
    pub inner_clamp: [i8; 2],
}

impl OpRecord {
    /// Bytes of a record.
    pub const LEN: usize = op::LEN;

    /// Makes an operator with only the fields that all operators have.
    pub const fn bare(kind: u8, layout: u8, input: u16, window: Window) -> Self {
        Self {
            kind,
            layout,
            input,
            second: NO_OPERAND,
            window,
            first_channel: 0,
            scratch_at: 0,
            scratch_len: 0,
            weights: NO_TABLE,
            adapter: NO_TABLE,
            bias: NO_TABLE,
            multipliers: NO_TABLE,
            add_multipliers: [0; 2],
            pre: 0,
            clamp: [i8::MIN, i8::MAX],
            inner_zero_point: 0,
            inner_clamp: [0; 2],
        }
    }

    /// Reads a record.
    #[inline]
    pub fn read(record: &[u8; op::LEN]) -> Self {
        let [top, bottom, left, right] = op::PADDING.get(record).map(usize::from);
        let kind = op::KIND.get(record);
        // One field, used by a slice for another thing than by all other kinds.
        let slices = kind == OpKind::Slice as u8;
        let gaps = op::GAPS.get(record).map(|gap| usize::from(gap) + 1);
        Self {
            kind,
            layout: op::LAYOUT.get(record),
            input: op::INPUT.get(record),
            second: op::SECOND.get(record),
            window: Window {
                kernel: op::KERNEL.get(record).map(usize::from),
                stride: op::STRIDE.get(record).map(usize::from),
                padding: Padding {
                    top,
                    bottom,
                    left,
                    right,
                },
                dilation: if slices { [1, 1] } else { gaps },
            },
            first_channel: match slices {
                true => op::FIRST_CHANNEL.get(record),
                false => 0,
            },
            scratch_at: op::SCRATCH_AT.get(record),
            scratch_len: op::SCRATCH_LEN.get(record),
            weights: op::WEIGHTS.get(record),
            adapter: op::ADAPTER.get(record),
            bias: op::BIAS.get(record),
            multipliers: op::MULTIPLIERS.get(record),
            add_multipliers: op::ADD_MULTIPLIERS.get(record),
            pre: op::PRE.get(record),
            clamp: op::CLAMP.get(record),
            inner_zero_point: op::INNER_ZERO_POINT.get(record),
            inner_clamp: op::INNER_CLAMP.get(record),
        }
    }

    /// Writes the record. Sizes of the window are cut to the bits of their fields.
    pub fn emit(&self) -> [u8; op::LEN] {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.window.padding;
        let mut record = [0; op::LEN];
        op::KIND.set(&mut record, self.kind);
        op::LAYOUT.set(&mut record, self.layout);
        op::INPUT.set(&mut record, self.input);
        op::SECOND.set(&mut record, self.second);
        op::KERNEL.set(&mut record, self.window.kernel.map(|size| size as u16));
        op::STRIDE.set(&mut record, self.window.stride.map(|step| step as u8));
        op::PADDING.set(&mut record, [top, bottom, left, right].map(|pad| pad as u8));
        op::SCRATCH_AT.set(&mut record, self.scratch_at);
        op::SCRATCH_LEN.set(&mut record, self.scratch_len);
        op::WEIGHTS.set(&mut record, self.weights);
        op::ADAPTER.set(&mut record, self.adapter);
        op::BIAS.set(&mut record, self.bias);
        op::MULTIPLIERS.set(&mut record, self.multipliers);
        op::ADD_MULTIPLIERS.set(&mut record, self.add_multipliers);
        op::PRE.set(&mut record, self.pre);
        op::CLAMP.set(&mut record, self.clamp);
        op::INNER_ZERO_POINT.set(&mut record, self.inner_zero_point);
        op::INNER_CLAMP.set(&mut record, self.inner_clamp);
        if self.kind == OpKind::Slice as u8 {
            op::FIRST_CHANNEL.set(&mut record, self.first_channel);
        } else {
            let gaps = self.window.dilation.map(|step| step.wrapping_sub(1) as u8);
            op::GAPS.set(&mut record, gaps);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_written() {
        let header = NetworkHeader {
            ops: 3,
            arena_len: 4,
        };
        assert_eq!(NetworkHeader::read(&header.emit()), header);
        let tensor = TensorRecord {
            shape: Shape::new(1, 2, 3),
            offset: 4,
            quantisation: Quantisation {
                scale: 0.5,
                zero_point: -3,
            },
        };
        assert_eq!(TensorRecord::read(&tensor.emit()), tensor);
        let op = OpRecord {
            kind: 1,
            layout: 2,
            input: 3,
            second: 4,
            window: Window {
                kernel: [300, 5],
                stride: [6, 7],
                padding: Padding {
                    top: 8,
                    bottom: 9,
                    left: 10,
                    right: 11,
                },
                dilation: [1, 256],
            },
            first_channel: 0,
            scratch_at: 12,
            scratch_len: 13,
            weights: 14,
            adapter: 15,
            bias: 16,
            multipliers: 17,
            add_multipliers: [-18, 19],
            pre: 20,
            clamp: [-21, 22],
            inner_zero_point: -23,
            inner_clamp: [-24, 25],
        };
        assert_eq!(OpRecord::read(&op.emit()), op);
        let slice = OpRecord {
            first_channel: 0x1234,
            ..OpRecord::bare(OpKind::Slice as u8, 0, 1, Window::square(1, 1, 0))
        };
        assert_eq!(OpRecord::read(&slice.emit()), slice);
    }
}
