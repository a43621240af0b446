//! An operator's tables of one path: found in the file and checked.

use super::op::OpKind;
use super::wire::PathRecord;
use super::{Model, OpenError, Tensor};
use crate::nn::{AddRule, Layout, MAX_PRE_SHIFT, Requantisation, Window};

/// What an operator computes with in one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables<'a> {
    /// Kernels, `[output channels][height][width][input channels]` in the order of the operator's
    /// layout.
    pub weights: &'a [i8],
    /// Adapter, `[output channels][input channels]` in the same order; empty for none.
    pub adapter: &'a [i8],
    /// Start of each accumulator.
    pub bias: &'a [i32],
    /// Multiplier of each output channel; one for an average pool.
    pub multipliers: &'a [i32],
    /// Accumulator to int8; its clamp is also that of a maximum pool.
    pub requantisation: Requantisation,
    /// The addition of the second operand.
    pub add: Option<AddRule>,
}

impl Tables<'_> {
    /// Those of a path that does not exist.
    pub(super) const NONE: Self = Self {
        weights: &[],
        adapter: &[],
        bias: &[],
        multipliers: &[],
        requantisation: Requantisation {
            pre: 0,
            zero_point: 0,
            lo: i8::MIN,
            hi: i8::MAX,
        },
        add: None,
    };
}

/// What it takes to find and check the tables of one path.
pub(super) struct TableResolver<'r, 'a> {
    pub model: &'r Model<'a>,
    pub op: u16,
    pub path: usize,
    pub kind: OpKind,
    pub layout: Layout,
    pub window: &'r Window,
    pub input: &'r Tensor,
    pub second: Option<&'r Tensor>,
    pub output: &'r Tensor,
}

impl<'a> TableResolver<'_, 'a> {
    pub(super) fn resolve(&self, record: &PathRecord) -> Result<Tables<'a>, OpenError> {
        let model = self.model;
        let channels = self.output.shape.channels;
        let zero_point = |tensor: &Tensor| tensor.quantisation[self.path].zero_point;

        // The fields that this kind of operator has; the others must be zero.
        let mut used = PathRecord {
            clamp: record.clamp,
            ..PathRecord::default()
        };
        let [lo, hi] = record.clamp;
        let mut tables = Tables {
            requantisation: Requantisation {
                pre: record.pre,
                zero_point: zero_point(self.output),
                lo,
                hi,
            },
            ..Tables::NONE
        };

        match self.kind {
            OpKind::Convolution | OpKind::Linear => {
                used.weights_at = record.weights_at;
                used.bias_at = record.bias_at;
                let column = match self.kind {
                    OpKind::Convolution => {
                        (self.layout).column_len(self.window, self.input.shape.channels)
                    }
                    _ => self.input.shape.len(),
                };
                let bytes = self.layout.bytes(channels, column);
                tables.weights = model.table(record.weights_at, bytes)?;
                tables.bias = model.table(record.bias_at, channels)?;
            }
            OpKind::MaxPool => {
                let [a, b] = [self.input, self.output].map(|t| t.quantisation[self.path]);
                if a != b {
                    return Err(OpenError::Scale {
                        tensor: self.op + 1,
                    });
                }
            }
            OpKind::Add | OpKind::AveragePool => {}
        }
        if self.kind == OpKind::Convolution && record.adapter_at != 0 {
            used.adapter_at = record.adapter_at;
            self.check_centre()?;
            let row = self.layout.adapter_len(self.input.shape.channels);
            let bytes = self.layout.bytes(channels, row);
            tables.adapter = model.table(record.adapter_at, bytes)?;
        }
        let multipliers = match self.kind {
            OpKind::Convolution | OpKind::Linear => channels,
            OpKind::AveragePool => 1,
            OpKind::Add | OpKind::MaxPool => 0,
        };
        if multipliers > 0 {
            used.multipliers_at = record.multipliers_at;
            used.pre = record.pre;
            tables.multipliers = model.table(record.multipliers_at, multipliers)?;
        }
        if let Some(second) = self.second {
            used.add_multipliers = record.add_multipliers;
            let [a_multiplier, b_multiplier] = record.add_multipliers;
            let mut add = AddRule {
                a_zero_point: zero_point(self.input),
                a_multiplier,
                b_zero_point: zero_point(second),
                b_multiplier,
                zero_point: zero_point(self.output),
                lo,
                hi,
            };
            if self.kind == OpKind::Convolution {
                used.inner_zero_point = record.inner_zero_point;
                used.inner_clamp = record.inner_clamp;
                add.a_zero_point = record.inner_zero_point;
                let [lo, hi] = record.inner_clamp;
                tables.requantisation = Requantisation {
                    zero_point: record.inner_zero_point,
                    lo,
                    hi,
                    ..tables.requantisation
                };
            }
            if !add.fits() {
                return Err(OpenError::Overflow { op: self.op });
            }
            tables.add = Some(add);
        }

        if used != *record {
            return Err(OpenError::Reserved);
        }
        if lo > hi || tables.requantisation.lo > tables.requantisation.hi {
            return Err(OpenError::Clamp { op: self.op });
        }
        if record.pre > MAX_PRE_SHIFT {
            return Err(OpenError::Overflow { op: self.op });
        }
        Ok(tables)
    }

    /// The adapter reads input position `output position * stride`, which must exist.
    fn check_centre(&self) -> Result<(), OpenError> {
        let (map, output) = (self.input.shape, self.output.shape);
        let [stride_y, stride_x] = self.window.stride;
        let inside = (output.height - 1) * stride_y < map.height
            && (output.width - 1) * stride_x < map.width;
        if inside {
            Ok(())
        } else {
            Err(OpenError::Window { op: self.op })
        }
    }
}

impl<'a> Model<'a> {
    /// `len` values at offset `at`.
    fn table<T: bytemuck::AnyBitPattern>(&self, at: u32, len: usize) -> Result<&'a [T], OpenError> {
        let bytes = self.section(at, len.saturating_mul(size_of::<T>()))?;
        bytemuck::try_cast_slice(bytes).map_err(|_| OpenError::Section { offset: at })
    }
}
