//! A program to the bytes of a file.

use std::collections::HashMap;

use super::fusion::{self, Step};
use super::integer::{self, Place};
use super::planner::{Request, place};
use super::{BuildError, ChannelRules, ModelSpec, OpKindSpec};
use mtslvr_runtime::model::wire::{
    CRC_AT, HEADER_LEN, Header, NO_OPERAND, OP_LEN, OpRecord, PATHS, PathRecord, SECTION_ALIGN,
    TENSOR_LEN, TensorRecord,
};
use mtslvr_runtime::model::{OpKind, checksum, last_use};
use mtslvr_runtime::nn::{Layout, Quantisation, Shape, Window};

const NO_QUANTISATION: Quantisation = Quantisation {
    scale: 0.0,
    zero_point: 0,
};

/// The file of `spec`, which has been checked.
pub(super) fn emit(spec: &ModelSpec) -> Result<Vec<u8>, BuildError> {
    let steps = fusion::program(spec);
    let emitter = Emitter {
        spec,
        steps: &steps,
        paths: spec.input.len(),
    };
    let mut file = File::new(HEADER_LEN + (steps.len() + 1) * TENSOR_LEN + steps.len() * OP_LEN);
    let mut ops = Vec::new();
    for step in &steps {
        ops.push(emitter.op(step, &mut file)?);
    }
    let mut tensors: Vec<TensorRecord> = (0..=steps.len())
        .map(|index| emitter.tensor(index))
        .collect();
    let shared_ops = if spec.share_prefix && emitter.paths == PATHS {
        shared_prefix(&ops, &tensors)
    } else {
        0
    };
    let arena_len = place_all(&mut ops, &mut tensors, shared_ops);

    let text = |file: &mut File, text: &str| [file.section(text.as_bytes()), text.len() as u32];
    let base_mean: &[u8] = bytemuck::cast_slice(&spec.base_mean);
    let header = Header {
        paths: emitter.paths as u16,
        ops: steps.len() as u16,
        shared_ops: shared_ops as u16,
        arena_len: u32::try_from(arena_len).unwrap_or(u32::MAX),
        tensors_at: HEADER_LEN as u32,
        ops_at: (HEADER_LEN + tensors.len() * TENSOR_LEN) as u32,
        base_mean_at: file.section(base_mean),
        name: text(&mut file, &spec.name),
        provenance: text(&mut file, &spec.provenance),
        rejection_similarity: spec.rejection_similarity,
        frontend: spec.frontend,
        reference: spec.reference.map_or([0.0; 9], |reference| {
            let [a, b, c, d, e, f, g, h] = *reference.quantiles();
            [spec.invariant_share, a, b, c, d, e, f, g, h]
        }),
    };
    let mut records = header.emit();
    records.extend(tensors.iter().flat_map(TensorRecord::emit));
    records.extend(ops.iter().flat_map(OpRecord::emit));
    file.finish(&records)
}

struct Emitter<'s> {
    spec: &'s ModelSpec,
    steps: &'s [Step<'s>],
    paths: usize,
}

impl Emitter<'_> {
    fn shape(&self, tensor: usize) -> Shape {
        match tensor.checked_sub(1) {
            Some(step) => self.steps[step].output.shape,
            None => {
                let frontend = &self.spec.frontend;
                Shape::new(frontend.frames.into(), frontend.mels.into(), 1)
            }
        }
    }

    fn quantisation(&self, tensor: usize) -> &[Quantisation] {
        match tensor.checked_sub(1) {
            Some(step) => &self.steps[step].output.quantisation,
            None => &self.spec.input,
        }
    }

    /// The record of a tensor that has no place yet.
    fn tensor(&self, index: usize) -> TensorRecord {
        let mut quantisation = [NO_QUANTISATION; PATHS];
        quantisation[..self.paths].copy_from_slice(self.quantisation(index));
        TensorRecord {
            shape: self.shape(index),
            offset: 0,
            quantisation,
        }
    }

    fn op(&self, step: &Step<'_>, file: &mut File) -> Result<OpRecord, BuildError> {
        let unit = Window::square(1, 1, 0);
        let (kind, window) = match *step.kind {
            OpKindSpec::Convolution { window, .. } => (OpKind::Convolution, window),
            OpKindSpec::Linear { .. } => (OpKind::Linear, unit),
            OpKindSpec::Add { .. } => (OpKind::Add, unit),
            OpKindSpec::MaxPool { window, .. } => (OpKind::MaxPool, window),
            OpKindSpec::AveragePool { window, .. } => (OpKind::AveragePool, window),
        };
        let mut paths = [PathRecord::default(); PATHS];
        for (path, record) in paths.iter_mut().enumerate().take(self.paths) {
            *record = self.path(step, path, file)?;
        }
        let (layout, scratch_len) = match kind {
            OpKind::Convolution => {
                let layout = layout(step.kind);
                let input_channels = self.shape(step.input).channels;
                (layout, layout.scratch_len(&window, input_channels))
            }
            _ => (Layout::Rows, 0),
        };
        Ok(OpRecord {
            kind: kind as u8,
            layout: layout as u8,
            input: step.input as u16,
            second: step.second.map_or(NO_OPERAND, |second| second as u16),
            window,
            scratch_at: 0,
            scratch_len: scratch_len as u32,
            paths,
        })
    }

    fn path(
        &self,
        step: &Step<'_>,
        path: usize,
        file: &mut File,
    ) -> Result<PathRecord, BuildError> {
        let place = Place { op: step.op, path };
        let quantisation = |tensor: usize| self.quantisation(tensor)[path];
        let from = quantisation(step.input);
        let to = step.output.quantisation[path];
        let mut record = PathRecord {
            clamp: integer::clamp(step.activation, to, step.op)?,
            ..PathRecord::default()
        };
        // The scale that the second operand is added to: of the input, or of the convolution.
        let mut addend = from;
        match step.kind {
            OpKindSpec::Convolution { paths, .. } | OpKindSpec::Linear { paths, .. } => {
                let mut made = to;
                if let Some(convolution) = step.fused {
                    made = convolution.output.quantisation[path];
                    addend = made;
                    record.inner_zero_point = made.zero_point;
                    record.inner_clamp = integer::clamp(convolution.activation, made, step.op)?;
                }
                self.channels(
                    step.kind,
                    &paths[path],
                    [from, made],
                    place,
                    &mut record,
                    file,
                )?;
            }
            OpKindSpec::AveragePool { window, .. } => {
                let factor =
                    f64::from(from.scale) / f64::from(to.scale) / window.area().max(1) as f64;
                record.pre = integer::pre_shift(&[factor], place)?;
                let multiplier = (factor * integer::unit(record.pre)).round() as i32;
                record.multipliers_at = file.section(bytemuck::bytes_of(&multiplier));
            }
            OpKindSpec::Add { .. } | OpKindSpec::MaxPool { .. } => {}
        }
        if let Some(second) = step.second {
            let scales = [addend.scale, quantisation(second).scale];
            record.add_multipliers = integer::addends(scales, to.scale, place)?;
        }
        Ok(record)
    }

    /// Writes weights, adapter, bias and multipliers.
    fn channels(
        &self,
        kind: &OpKindSpec,
        rules: &ChannelRules,
        [from, to]: [Quantisation; 2],
        place: Place,
        record: &mut PathRecord,
        file: &mut File,
    ) -> Result<(), BuildError> {
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
        let layout = layout(kind);
        let kernel_height = match kind {
            OpKindSpec::Convolution { window, .. } => window.kernel[0],
            _ => 1,
        };
        let mut arranged = |rows: &[i8], groups: usize| {
            let row = rows.len() / factors.len() / groups;
            // A row is what the layout makes of an adapter of that length.
            let len = groups * layout.adapter_len(row);
            let mut out = vec![0; layout.bytes(factors.len(), len)];
            layout.arrange(rows, factors.len(), row, &mut out);
            file.section(bytemuck::cast_slice(&out))
        };
        record.weights_at = arranged(&rules.weights, kernel_height);
        if !adapter.is_empty() {
            record.adapter_at = arranged(adapter, 1);
        }
        record.bias_at = file.section(bytemuck::cast_slice(&bias));
        record.multipliers_at = file.section(bytemuck::cast_slice(&multipliers));
        Ok(())
    }
}

/// The order in which an operator's weights are written: pairs, unless one of them is -128, which a
/// symmetric quantiser does not make and a pair does not hold.
fn layout(kind: &OpKindSpec) -> Layout {
    let OpKindSpec::Convolution { paths, .. } = kind else {
        return Layout::Rows;
    };
    let holds = |table: &[i8]| !table.contains(&i8::MIN);
    let rules_hold =
        |rules: &ChannelRules| holds(&rules.weights) && rules.adapter.as_deref().is_none_or(holds);
    if paths.iter().all(rules_hold) {
        Layout::Pairs
    } else {
        Layout::Rows
    }
}

/// Leading operators that are the same for both paths. Equal tables have equal offsets here.
fn shared_prefix(ops: &[OpRecord], tensors: &[TensorRecord]) -> usize {
    let same = |tensor: &TensorRecord| tensor.quantisation[0] == tensor.quantisation[1];
    if !same(&tensors[0]) {
        return 0;
    }
    let shared =
        |(op, output): &(&OpRecord, &TensorRecord)| op.paths[0] == op.paths[1] && same(output);
    ops.iter().zip(&tensors[1..]).take_while(shared).count()
}

/// Gives every tensor and scratch its place; returns the arena's length. An operator whose second
/// operand is used for the last time writes over it.
fn place_all(ops: &mut [OpRecord], tensors: &mut [TensorRecord], shared_ops: usize) -> usize {
    let operand = |tensor: u16| (tensor != NO_OPERAND).then_some(usize::from(tensor));
    let last_use = |tensor| {
        let reads = ops.iter().map(|op| [operand(op.input), operand(op.second)]);
        last_use(tensor, reads, ops.len(), shared_ops)
    };
    let mut requests: Vec<Request> = Vec::new();
    // The request that each tensor lies in.
    let mut request_of: Vec<usize> = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let last = last_use(index);
        let op = index.checked_sub(1).map(|op| &ops[op]);
        let taken_over = op
            .filter(|op| op.input != op.second)
            .and_then(|op| operand(op.second))
            .filter(|&second| last_use(second) == index);
        if let Some(second) = taken_over {
            let request = request_of[second];
            requests[request].lifetime = *requests[request].lifetime.start()..=last;
            request_of.push(request);
        } else {
            request_of.push(requests.len());
            requests.push(Request {
                len: tensor.shape.len(),
                lifetime: index..=last,
            });
        }
    }
    let scratches = ops.iter().enumerate().map(|(index, op)| Request {
        len: op.scratch_len as usize,
        lifetime: index + 1..=index + 1,
    });
    let first_scratch = requests.len();
    requests.extend(scratches);

    let placement = place(&requests);
    for (tensor, &request) in tensors.iter_mut().zip(&request_of) {
        tensor.offset = placement.offsets[request] as u32;
    }
    for (op, &offset) in ops.iter_mut().zip(&placement.offsets[first_scratch..]) {
        op.scratch_at = if op.scratch_len > 0 { offset as u32 } else { 0 };
    }
    placement.arena_len
}

/// Writes length and checksum into the header of `file`, for bytes that were changed on purpose:
/// tests of what [`Model::open`](mtslvr_runtime::model::Model::open) makes of them. Does nothing to what is
/// shorter than a header.
pub fn seal(file: &mut [u8]) {
    if file.len() < HEADER_LEN {
        return;
    }
    let len = file.len() as u32;
    file[CRC_AT - 4..CRC_AT].copy_from_slice(&len.to_le_bytes());
    let checksum = checksum(file);
    file[CRC_AT..CRC_AT + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// The sections after the records. Equal sections are stored once: that is how both paths come to
/// share weights.
struct File {
    base: usize,
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, usize>,
}

impl File {
    fn new(records_len: usize) -> Self {
        Self {
            base: records_len.next_multiple_of(SECTION_ALIGN),
            bytes: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The offset of `section` in the file.
    fn section(&mut self, section: &[u8]) -> u32 {
        let at = match self.known.get(section) {
            Some(&at) => at,
            None => {
                self.bytes
                    .resize(self.bytes.len().next_multiple_of(SECTION_ALIGN), 0);
                let at = self.bytes.len();
                self.bytes.extend_from_slice(section);
                self.known.insert(section.to_vec(), at);
                at
            }
        };
        // A file too large for this is refused when it is finished.
        (self.base + at) as u32
    }

    /// The whole file: `records`, then the sections; length and checksum filled in.
    fn finish(self, records: &[u8]) -> Result<Vec<u8>, BuildError> {
        let mut file = records.to_vec();
        file.resize(self.base, 0);
        file.extend(self.bytes);
        if u32::try_from(file.len()).is_err() {
            return Err(BuildError::FileTooLarge);
        }
        seal(&mut file);
        Ok(file)
    }
}
