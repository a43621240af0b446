//! The layout of header and records: where each field lies, read and written. `FORMAT.md` is this
//! in words.

use crate::frontend::FrontendConfig;
use crate::nn::{Padding, Quantisation, Shape, Window};

#[cfg(target_endian = "big")]
compile_error!("the packed model is used in place and is little-endian: big-endian targets cannot");

/// First bytes of every file.
pub const MAGIC: [u8; 4] = *b"SLVR";
/// Bytes of the header.
pub const HEADER_LEN: usize = 128;
/// Bytes of a tensor's record.
pub const TENSOR_LEN: usize = 32;
/// Bytes of an operator's record.
pub const OP_LEN: usize = 96;
/// Where the checksum lies; it covers all other bytes.
pub const CRC_AT: usize = 12;
/// Second operand of an operator that has none.
pub const NO_OPERAND: u16 = u16::MAX;
/// Offsets in the file are multiples of this.
pub const SECTION_ALIGN: usize = 16;

/// Paths that a file has room for.
pub const PATHS: usize = 2;

/// The header but for magic, version, length and checksum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// Paths, 1 or 2.
    pub paths: u16,
    /// Operators in the program.
    pub ops: u16,
    /// Leading operators that run once for both paths.
    pub shared_ops: u16,
    /// Bytes of the arena.
    pub arena_len: u32,
    /// Offset of the tensors' records.
    pub tensors_at: u32,
    /// Offset of the operators' records.
    pub ops_at: u32,
    /// Offset and length of the name.
    pub name: [u32; 2],
    /// Offset and length of the provenance.
    pub provenance: [u32; 2],
    /// Offset of the base mean.
    pub base_mean_at: u32,
    /// Cosine similarity below which two clips of base audio are taken to be unrelated.
    pub rejection_similarity: f32,
    /// Parameters of the features.
    pub frontend: FrontendConfig,
    /// Share of the invariant features, then quantiles; all zero where there is no reference.
    pub reference: [f32; 9],
}

/// A tensor's record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorRecord {
    /// Height, width and channels.
    pub shape: Shape,
    /// Bytes from the start of the arena.
    pub offset: u32,
    /// Meaning of its int8 values, for each path.
    pub quantisation: [Quantisation; PATHS],
}

/// An operator's record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpRecord {
    /// Number of its [`OpKind`](super::OpKind).
    pub kind: u8,
    /// Number of its [`Layout`](crate::nn::Layout).
    pub layout: u8,
    /// Tensor that it reads.
    pub input: u16,
    /// Tensor that it adds, or [`NO_OPERAND`].
    pub second: u16,
    /// Kernel, stride and padding.
    pub window: Window,
    /// Offset of its scratch in the arena.
    pub scratch_at: u32,
    /// Bytes of its scratch.
    pub scratch_len: u32,
    /// Tables and rules of each path.
    pub paths: [PathRecord; PATHS],
}

/// The part of an operator's record that is about one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRecord {
    /// Offset of the weights.
    pub weights_at: u32,
    /// Offset of the adapter; 0 for none.
    pub adapter_at: u32,
    /// Offset of the biases.
    pub bias_at: u32,
    /// Offset of the multipliers.
    pub multipliers_at: u32,
    /// Left shift of an accumulator before its multiplication.
    pub pre: u8,
    /// Least and greatest result.
    pub clamp: [i8; 2],
    /// Zero point of the convolution's own result, where an addition is fused.
    pub inner_zero_point: i8,
    /// Least and greatest of that result.
    pub inner_clamp: [i8; 2],
    /// Multipliers of the two addends.
    pub add_multipliers: [i32; 2],
}

/// Takes fields off the front of a record.
struct Fields<'a> {
    rest: &'a [u8],
    reserved_clear: bool,
}

impl<'a> Fields<'a> {
    fn new(record: &'a [u8]) -> Self {
        Self {
            rest: record,
            reserved_clear: true,
        }
    }

    /// The next `N` bytes; zeros past the end, which no caller with a whole record meets.
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                *head
            }
            None => [0; N],
        }
    }

    fn u8(&mut self) -> u8 {
        let [byte] = self.bytes();
        byte
    }

    fn i8(&mut self) -> i8 {
        self.u8() as i8
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.bytes())
    }

    fn f32(&mut self) -> f32 {
        f32::from_le_bytes(self.bytes())
    }

    fn reserved<const N: usize>(&mut self) {
        self.reserved_clear &= self.bytes::<N>() == [0; N];
    }

    /// `value`, unless a reserved field was not zero.
    fn finish<T>(self, value: T) -> Option<T> {
        debug_assert!(self.rest.is_empty());
        self.reserved_clear.then_some(value)
    }
}

impl Header {
    /// `None` if a reserved field is not zero.
    pub fn read(record: &[u8; HEADER_LEN]) -> Option<Self> {
        let mut f = Fields::new(&record[6..]);
        f.reserved::<2>();
        let _length_and_checksum: [u8; 8] = f.bytes();
        let header = Self {
            paths: f.u16(),
            ops: f.u16(),
            shared_ops: f.u16(),
            arena_len: {
                f.reserved::<2>();
                f.u32()
            },
            tensors_at: f.u32(),
            ops_at: f.u32(),
            name: [f.u32(), f.u32()],
            provenance: [f.u32(), f.u32()],
            base_mean_at: f.u32(),
            rejection_similarity: f.f32(),
            frontend: FrontendConfig {
                sample_rate: f.u32(),
                window: f.u16(),
                hop: f.u16(),
                mels: f.u16(),
                frames: f.u16(),
                f_min: f.f32(),
                f_max: f.f32(),
                floor: f.f32(),
                mean: f.f32(),
                scale: f.f32(),
            },
            reference: core::array::from_fn(|_| f.f32()),
        };
        f.finish(header)
    }
}

impl TensorRecord {
    /// `None` if a reserved field is not zero.
    pub fn read(record: &[u8]) -> Option<Self> {
        let mut f = Fields::new(record);
        let shape = Shape::new(f.u16().into(), f.u16().into(), f.u16().into());
        f.reserved::<2>();
        let offset = f.u32();
        f.reserved::<4>();
        let mut quantisation = || {
            let q = Quantisation {
                scale: f.f32(),
                zero_point: f.i8(),
            };
            f.reserved::<3>();
            q
        };
        let record = Self {
            shape,
            offset,
            quantisation: [quantisation(), quantisation()],
        };
        f.finish(record)
    }
}

impl OpRecord {
    /// `None` if a reserved field is not zero.
    pub fn read(record: &[u8]) -> Option<Self> {
        let mut f = Fields::new(record);
        let (kind, layout) = (f.u8(), f.u8());
        let (input, second) = (f.u16(), f.u16());
        let window = Window {
            kernel: [f.u16().into(), f.u16().into()],
            stride: [f.u8().into(), f.u8().into()],
            padding: Padding {
                top: f.u8().into(),
                bottom: f.u8().into(),
                left: f.u8().into(),
                right: f.u8().into(),
            },
        };
        let (scratch_at, scratch_len) = (f.u32(), f.u32());
        f.reserved::<8>();
        let mut path = || {
            let weights_at = f.u32();
            let (adapter_at, bias_at, multipliers_at) = (f.u32(), f.u32(), f.u32());
            let pre = f.u8();
            let clamp = [f.i8(), f.i8()];
            let inner_zero_point = f.i8();
            let inner_clamp = [f.i8(), f.i8()];
            f.reserved::<2>();
            PathRecord {
                weights_at,
                adapter_at,
                bias_at,
                multipliers_at,
                pre,
                clamp,
                inner_zero_point,
                inner_clamp,
                add_multipliers: [f.i32(), f.i32()],
            }
        };
        let record = Self {
            kind,
            layout,
            input,
            second,
            window,
            scratch_at,
            scratch_len,
            paths: [path(), path()],
        };
        f.finish(record)
    }
}

#[cfg(feature = "std")]
mod emit {
    use super::*;

    impl Header {
        /// Writes the header, with length and checksum still zero.
        pub fn emit(&self) -> Vec<u8> {
            let mut out = MAGIC.to_vec();
            out.extend(super::super::VERSION.to_le_bytes());
            out.extend([0; 10]);
            for field in [self.paths, self.ops, self.shared_ops, 0] {
                out.extend(field.to_le_bytes());
            }
            let [name_at, name_len] = self.name;
            let [provenance_at, provenance_len] = self.provenance;
            for field in [
                self.arena_len,
                self.tensors_at,
                self.ops_at,
                name_at,
                name_len,
                provenance_at,
                provenance_len,
                self.base_mean_at,
            ] {
                out.extend(field.to_le_bytes());
            }
            out.extend(self.rejection_similarity.to_le_bytes());
            let c = &self.frontend;
            out.extend(c.sample_rate.to_le_bytes());
            for field in [c.window, c.hop, c.mels, c.frames] {
                out.extend(field.to_le_bytes());
            }
            for field in [c.f_min, c.f_max, c.floor, c.mean, c.scale] {
                out.extend(field.to_le_bytes());
            }
            out.extend(self.reference.iter().flat_map(|field| field.to_le_bytes()));
            out
        }
    }

    impl TensorRecord {
        /// Writes the record: [`TENSOR_LEN`] bytes.
        pub fn emit(&self) -> Vec<u8> {
            let mut out = Vec::with_capacity(TENSOR_LEN);
            for field in [self.shape.height, self.shape.width, self.shape.channels, 0] {
                out.extend((field as u16).to_le_bytes());
            }
            out.extend(self.offset.to_le_bytes());
            out.extend([0; 4]);
            for q in self.quantisation {
                out.extend(q.scale.to_le_bytes());
                out.extend([q.zero_point as u8, 0, 0, 0]);
            }
            out
        }
    }

    impl OpRecord {
        /// Writes the record: [`OP_LEN`] bytes.
        pub fn emit(&self) -> Vec<u8> {
            let mut out = vec![self.kind, self.layout];
            let [kernel_height, kernel_width] = self.window.kernel.map(|k| k as u16);
            for field in [self.input, self.second, kernel_height, kernel_width] {
                out.extend(field.to_le_bytes());
            }
            let p = self.window.padding;
            let [stride_y, stride_x] = self.window.stride;
            out.extend([stride_y, stride_x, p.top, p.bottom, p.left, p.right].map(|v| v as u8));
            out.extend(self.scratch_at.to_le_bytes());
            out.extend(self.scratch_len.to_le_bytes());
            out.extend([0; 8]);
            for path in &self.paths {
                for field in [
                    path.weights_at,
                    path.adapter_at,
                    path.bias_at,
                    path.multipliers_at,
                ] {
                    out.extend(field.to_le_bytes());
                }
                let [lo, hi] = path.clamp.map(|v| v as u8);
                let [inner_lo, inner_hi] = path.inner_clamp.map(|v| v as u8);
                out.extend([path.pre, lo, hi, path.inner_zero_point as u8]);
                out.extend([inner_lo, inner_hi, 0, 0]);
                for field in path.add_multipliers {
                    out.extend(field.to_le_bytes());
                }
            }
            out
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_written() {
        let quantisation =
            [(0.5, -3), (0.25, 7)].map(|(scale, zero_point)| Quantisation { scale, zero_point });
        let tensor = TensorRecord {
            shape: Shape::new(1, 2, 3),
            offset: 4,
            quantisation,
        };
        assert_eq!(tensor.emit().len(), TENSOR_LEN);
        assert_eq!(TensorRecord::read(&tensor.emit()), Some(tensor));

        let path = PathRecord {
            weights_at: 1,
            adapter_at: 2,
            bias_at: 3,
            multipliers_at: 4,
            pre: 5,
            clamp: [-6, 7],
            inner_zero_point: -8,
            inner_clamp: [-9, 10],
            add_multipliers: [-11, 12],
        };
        let op = OpRecord {
            kind: 1,
            layout: 1,
            input: 2,
            second: 3,
            window: Window {
                kernel: [300, 5],
                stride: [6, 7],
                padding: Padding {
                    top: 8,
                    bottom: 9,
                    left: 10,
                    right: 11,
                },
            },
            scratch_at: 12,
            scratch_len: 13,
            paths: [path, PathRecord { pre: 6, ..path }],
        };
        assert_eq!(op.emit().len(), OP_LEN);
        assert_eq!(OpRecord::read(&op.emit()), Some(op));

        let header = Header {
            paths: 1,
            ops: 2,
            shared_ops: 3,
            arena_len: 4,
            tensors_at: 5,
            ops_at: 6,
            name: [7, 8],
            provenance: [9, 10],
            base_mean_at: 11,
            rejection_similarity: 0.5,
            frontend: FrontendConfig {
                sample_rate: 12,
                window: 13,
                hop: 14,
                mels: 15,
                frames: 16,
                f_min: 17.0,
                f_max: 18.0,
                floor: 19.0,
                mean: 20.0,
                scale: 21.0,
            },
            reference: core::array::from_fn(|i| 22.0 + i as f32),
        };
        let bytes: [u8; HEADER_LEN] = header.emit().try_into().unwrap();
        assert_eq!(Header::read(&bytes), Some(header));
    }
}
