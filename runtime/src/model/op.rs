//! One operator of the program, its tables resolved.

use core::ops::Range;

use super::tables::{TableResolver, Tables};
use super::wire::{self, NO_OPERAND, OP_LEN, OpRecord, PATHS, PathRecord};
use super::{Model, OpenError, Tensor};
use crate::nn::{Layout, Shape, Window};

/// What an operator computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpKind {
    /// Convolution with an optional adapter tap; adds its second operand if it has one.
    Convolution = 1,
    /// Linear layer over all values of its input.
    Linear = 2,
    /// Sum of two tensors.
    Add = 3,
    /// Maximum over windows.
    MaxPool = 4,
    /// Mean over windows.
    AveragePool = 5,
}

impl OpKind {
    const ALL: [Self; 5] = [
        Self::Convolution,
        Self::Linear,
        Self::Add,
        Self::MaxPool,
        Self::AveragePool,
    ];

    /// The field's term for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Convolution => "convolution",
            Self::Linear => "linear",
            Self::Add => "add",
            Self::MaxPool => "max pool",
            Self::AveragePool => "average pool",
        }
    }
}

/// An operator: what it reads, writes and computes. It writes tensor `index + 1`.
#[derive(Clone, Copy, Debug)]
pub struct Op<'a> {
    /// Its place in the program.
    pub index: usize,
    /// What it computes.
    pub kind: OpKind,
    /// The order of a convolution's weights; in rows for all other operators.
    pub layout: Layout,
    /// The tensor it reads.
    pub input: usize,
    /// The tensor it adds, if it adds one.
    pub second: Option<usize>,
    /// Shape of the input.
    pub input_shape: Shape,
    /// Shape of the output.
    pub output_shape: Shape,
    /// Kernel, stride and padding; 1x1 where it has none.
    pub window: Window,
    /// The bytes of the arena that it may use while it runs.
    pub scratch: Scratch,
    tables: [Tables<'a>; PATHS],
}

/// A range of the arena (`Range` itself is not `Copy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    offset: usize,
    len: usize,
}

impl Scratch {
    /// Bytes that it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the operator has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of the arena that it takes.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len
    }

    /// Where it ends, even if that is beyond what the machine can address.
    pub(super) fn end(&self) -> u64 {
        self.offset as u64 + self.len as u64
    }
}

/// Bytes of the file that an operator takes; what its paths share counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlashUse {
    /// Kernels.
    pub weights: usize,
    /// Adapters.
    pub adapters: usize,
    /// Biases, multipliers and the records of operator and output tensor.
    pub tables: usize,
}

impl<'a> Op<'a> {
    /// What it computes with in path `path` (0 or 1).
    pub fn tables(&self, path: usize) -> &Tables<'a> {
        &self.tables[path]
    }

    /// Multiply-accumulates of path `path`, adapter included; the kernel counts in full where it
    /// covers padding. Zero for what is not a convolution or linear layer.
    pub fn macs(&self, path: usize) -> u64 {
        let taps = match self.kind {
            OpKind::Convolution => {
                self.window.area() + usize::from(!self.tables[path].adapter.is_empty())
            }
            OpKind::Linear => self.input_shape.height * self.input_shape.width,
            OpKind::Add | OpKind::MaxPool | OpKind::AveragePool => 0,
        };
        (taps * self.input_shape.channels) as u64 * self.output_shape.len() as u64
    }

    /// Bytes of the file that it takes.
    pub fn flash(&self) -> FlashUse {
        let [a, b] = &self.tables;
        FlashUse {
            weights: distinct(a.weights, b.weights),
            adapters: distinct(a.adapter, b.adapter),
            tables: distinct(a.bias, b.bias)
                + distinct(a.multipliers, b.multipliers)
                + OP_LEN
                + wire::TENSOR_LEN,
        }
    }
}

/// Bytes of two tables, or of one if they are the same one.
fn distinct<T>(a: &[T], b: &[T]) -> usize {
    if core::ptr::eq(a, b) {
        size_of_val(a)
    } else {
        size_of_val(a) + size_of_val(b)
    }
}

impl<'a> Model<'a> {
    /// Operator `index` with its tables; checks all but the range of its accumulators.
    pub(super) fn resolve(&self, index: usize) -> Result<Op<'a>, OpenError> {
        let op = index as u16;
        let records = self.section(self.header.ops_at, self.op_count() * OP_LEN)?;
        let record =
            OpRecord::read(&records[index * OP_LEN..][..OP_LEN]).ok_or(OpenError::Reserved)?;
        let kind = OpKind::ALL
            .into_iter()
            .find(|&kind| kind as u8 == record.kind)
            .ok_or(OpenError::Kind {
                op,
                kind: record.kind,
            })?;

        let known = Layout::ALL.into_iter().find(|&l| l as u8 == record.layout);
        let layout = known
            // Version 1 knows rows alone, and so do operators that are not convolutions.
            .filter(|&layout| {
                layout == Layout::Rows || (self.version() > 1 && kind == OpKind::Convolution)
            })
            .ok_or(OpenError::Layout {
                op,
                layout: record.layout,
            })?;

        let operand = |tensor: u16| {
            if usize::from(tensor) <= index {
                self.read_tensor(tensor.into())
            } else {
                Err(OpenError::Operand { op })
            }
        };
        let input = operand(record.input)?;
        let second = match (record.second, kind) {
            (NO_OPERAND, OpKind::Add) => return Err(OpenError::Operand { op }),
            (NO_OPERAND, _) => None,
            (tensor, OpKind::Add | OpKind::Convolution) => Some(operand(tensor)?),
            _ => return Err(OpenError::Operand { op }),
        };
        let output = self.read_tensor(index + 1)?;
        let window = record.window;
        check_shapes(kind, &window, &input, second.as_ref(), &output)?;

        let mut tables = [Tables::NONE; PATHS];
        for (path, (tables, record)) in tables.iter_mut().zip(&record.paths).enumerate() {
            if path < self.paths() {
                let resolver = TableResolver {
                    model: self,
                    op,
                    path,
                    kind,
                    layout,
                    window: &window,
                    input: &input,
                    second: second.as_ref(),
                    output: &output,
                };
                *tables = resolver.resolve(record)?;
            } else if *record != PathRecord::default() {
                return Err(OpenError::Reserved);
            }
        }
        Ok(Op {
            index,
            kind,
            layout,
            input: input.index,
            second: second.map(|t| t.index),
            input_shape: input.shape,
            output_shape: output.shape,
            window,
            scratch: Scratch {
                offset: record.scratch_at as usize,
                len: record.scratch_len as usize,
            },
            tables,
        })
    }
}

/// Largest kernel of a convolution, in either direction.
const MAX_KERNEL: usize = 7;

fn check_shapes(
    kind: OpKind,
    window: &Window,
    input: &Tensor,
    second: Option<&Tensor>,
    output: &Tensor,
) -> Result<(), OpenError> {
    let op = (output.index - 1) as u16;
    let shape_error = OpenError::Shape {
        tensor: output.index as u16,
    };
    let map = input.shape;
    let expected = match kind {
        OpKind::Convolution | OpKind::MaxPool | OpKind::AveragePool => {
            let small = window.kernel.iter().all(|&k| k <= MAX_KERNEL);
            let [height, width] = window
                .output_size(map.height, map.width)
                .filter(|_| small || kind != OpKind::Convolution)
                .ok_or(OpenError::Window { op })?;
            let channels = match kind {
                OpKind::Convolution => output.shape.channels,
                _ => map.channels,
            };
            Shape::new(height, width, channels)
        }
        OpKind::Linear | OpKind::Add => {
            if *window != Window::square(1, 1, 0) {
                return Err(OpenError::Window { op });
            }
            match kind {
                OpKind::Linear => Shape::new(1, 1, output.shape.channels),
                _ => map,
            }
        }
    };
    if output.shape != expected || second.is_some_and(|second| second.shape != expected) {
        return Err(shape_error);
    }
    Ok(())
}
