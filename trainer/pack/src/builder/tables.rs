//! Converts the real rules of channels to tables of constants.

use std::collections::HashMap;

use super::integer::{self, Place};
use super::{BuildError, ChannelRules};
use mtslvr_runtime::model::wire::{OpRecord, SECTION_ALIGN};
use mtslvr_runtime::nn::{Layout, Quantisation};

/// A convolution or linear layer whose tables are to be made.
pub(super) struct Tables<'s> {
    pub rules: &'s ChannelRules,
    pub layout: Layout,
    pub kernel_height: usize,
    pub from: Quantisation,
    pub to: Quantisation,
}

impl Tables<'_> {
    /// Writes weights, adapter, bias and multipliers.
    pub fn emit(
        &self,
        place: Place,
        record: &mut OpRecord,
        constants: &mut Constants,
    ) -> Result<(), BuildError> {
        let made = self.rules(place, record)?;
        record.weights = self.arrange(&self.rules.weights, self.kernel_height, constants);
        let adapter = self.rules.adapter.as_deref().unwrap_or_default();
        if !adapter.is_empty() {
            record.adapter = self.arrange(adapter, 1, constants);
        }
        made.emit(record, constants);
        Ok(())
    }

    /// Writes weights `[place of the kernel][channel]`, bias and multipliers.
    pub fn emit_depthwise(
        &self,
        place: Place,
        record: &mut OpRecord,
        constants: &mut Constants,
    ) -> Result<(), BuildError> {
        let made = self.rules(place, record)?;
        let weights = &self.rules.weights;
        let channels = self.rules.scale.len();
        let area = weights.len() / channels;
        let turned = (0..weights.len()).map(|at| weights[at % channels * area + at / channels]);
        let turned: Vec<i8> = turned.collect();
        record.weights = constants.table(bytemuck::cast_slice(&turned));
        made.emit(record, constants);
        Ok(())
    }

    /// Makes bias and multipliers, and sets the shift that they need.
    fn rules(&self, place: Place, record: &mut OpRecord) -> Result<Made, BuildError> {
        let (rules, from, to) = (self.rules, self.from, self.to);
        let step = f64::from(from.scale) / f64::from(to.scale);
        let factors: Vec<f64> = (rules.scale.iter().zip(&rules.gain))
            .map(|(&scale, &gain)| step * f64::from(scale) * f64::from(gain))
            .collect();
        record.pre = integer::pre_shift(&factors, place)?;
        let adapter = rules.adapter.as_deref().unwrap_or_default();
        let row = rules.weights.len() / factors.len();
        let adapter_row = adapter.len() / factors.len();
        let (mut bias, mut multipliers) = (Vec::new(), Vec::new());
        for (o, (&factor, &shift)) in factors.iter().zip(&rules.shift).enumerate() {
            let weights = rules.weights[o * row..][..row].iter();
            let channel = integer::channel(
                factor,
                f64::from(shift) / f64::from(to.scale),
                record.pre,
                from.zero_point,
                weights.chain(&adapter[o * adapter_row..][..adapter_row]),
                place,
            )?;
            bias.push(channel.bias);
            multipliers.push(channel.multiplier);
        }
        Ok(Made { bias, multipliers })
    }

    /// Writes kernels of `groups` rows each in the order of the layout.
    fn arrange(&self, kernels: &[i8], groups: usize, constants: &mut Constants) -> u32 {
        let channels = self.rules.scale.len();
        let row = kernels.len() / channels / groups;
        // A row is what the layout makes of an adapter of that length.
        let len = groups * self.layout.adapter_len(row);
        let mut out = vec![0; self.layout.bytes(channels, len)];
        self.layout.arrange(kernels, channels, row, &mut out);
        constants.table(bytemuck::cast_slice(&out))
    }
}

/// Tables with a number for each output channel.
struct Made {
    bias: Vec<i32>,
    multipliers: Vec<i32>,
}

impl Made {
    fn emit(&self, record: &mut OpRecord, constants: &mut Constants) {
        record.bias = constants.table(bytemuck::cast_slice(&self.bias));
        record.multipliers = constants.table(bytemuck::cast_slice(&self.multipliers));
    }
}

/// The order in which a convolution's weights are written: pairs, unless one of them is -128, which a
/// symmetric quantiser does not make and a pair does not hold.
pub(super) fn layout(rules: &ChannelRules) -> Layout {
    let holds = |table: &[i8]| !table.contains(&i8::MIN);
    if holds(&rules.weights) && rules.adapter.as_deref().is_none_or(holds) {
        Layout::Pairs
    } else {
        Layout::Rows
    }
}

/// The constants. Equal tables are stored once: that is how operators come to share weights.
#[derive(Default)]
pub(super) struct Constants {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, usize>,
}

impl Constants {
    /// Returns the offset of `table`, which is written if it is new.
    pub fn table(&mut self, table: &[u8]) -> u32 {
        let at = match self.known.get(table) {
            Some(&at) => at,
            None => {
                let at = self.bytes.len().next_multiple_of(SECTION_ALIGN);
                self.bytes.resize(at, 0);
                self.bytes.extend_from_slice(table);
                self.known.insert(table.to_vec(), at);
                at
            }
        };
        // A file too large for this is refused when it is assembled.
        at as u32
    }

    /// Returns all tables.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
