//! Writes a program as the bytes of a file.

use super::file::{Section, assemble};
use super::fusion::{self, Step};
use super::integer::{self, Place};
use super::planner::{Request, place};
use super::tables::{Constants, Tables, layout};
use super::{BuildError, Curve, ModelSpec, OpKindSpec};
use mtslvr_runtime::frontend::FrontendForm;
use mtslvr_runtime::model::OpKind;
use mtslvr_runtime::model::wire::{
    CohortHeader, NO_OPERAND, NetworkHeader, OpRecord, PartRecord, SectionKind, TensorRecord,
    emit_form, emit_frontend, field,
};
use mtslvr_runtime::nn::{Depthwise, Layout, Quantisation, Shape};

/// Writes the file of `spec`, which has been checked.
pub(super) fn emit(spec: &ModelSpec) -> Result<Vec<u8>, BuildError> {
    let program = fusion::program(spec);
    let emitter = Emitter {
        spec,
        steps: &program.steps,
    };
    let mut constants = Constants::default();
    let mut ops = Vec::new();
    for step in &program.steps {
        ops.push(emitter.op(step, &mut constants)?);
    }
    let mut tensors: Vec<TensorRecord> = (0..=ops.len())
        .map(|index| TensorRecord {
            shape: emitter.shape(index),
            offset: 0,
            quantisation: emitter.quantisation(index),
        })
        .collect();
    let arena_len = place_all(&mut ops, &mut tensors, &program.parts);
    write(spec, &ops, &tensors, &program.parts, arena_len, constants)
}

/// Writes a file of records whose tables and places are known.
fn write(
    spec: &ModelSpec,
    ops: &[OpRecord],
    tensors: &[TensorRecord],
    packed_parts: &[usize],
    arena_len: usize,
    constants: Constants,
) -> Result<Vec<u8>, BuildError> {
    let header = NetworkHeader {
        ops: ops.len() as u16,
        arena_len: u32::try_from(arena_len).unwrap_or(u32::MAX),
    };
    let mut network = header.emit().to_vec();
    network.extend(tensors.iter().flat_map(TensorRecord::emit));
    network.extend(ops.iter().flat_map(OpRecord::emit));

    let mut sections = vec![
        Section::needed(SectionKind::Network, network),
        Section::needed(SectionKind::Constants, constants.into_bytes()),
        Section::needed(SectionKind::Parts, parts(spec, packed_parts, tensors)?),
        Section::needed(SectionKind::Frontend, emit_frontend(&spec.frontend)),
    ];
    if spec.frontend.form != FrontendForm::PLAIN {
        let form = emit_form(&spec.frontend.form);
        sections.push(Section::needed(SectionKind::FrontendForm, form));
    }
    if let Some(norm) = &spec.patch_norm {
        let mut contents = [0; field::patch_norm::LEN];
        field::patch_norm::MEAN.set(&mut contents, norm.mean as u8);
        let bands: &[u8] = bytemuck::cast_slice(&norm.bands);
        let contents = [&contents[..], bands].concat();
        sections.push(Section::needed(SectionKind::PatchNorm, contents));
    }
    sections.extend(described(spec));
    assemble(&sections)
}

/// Writes the records of the parts, which lie in the `packed` tensors.
fn parts(
    spec: &ModelSpec,
    packed: &[usize],
    tensors: &[TensorRecord],
) -> Result<Vec<u8>, BuildError> {
    let mut records = Vec::new();
    for (part, &tensor) in spec.parts.iter().zip(packed) {
        let values = tensors[tensor].shape.len() as u16;
        let record = PartRecord::new(&part.name, tensor as u16, values, part.share);
        let too_long = BuildError::Parts(mtslvr_runtime::space::PartsError::Name);
        records.extend(record.ok_or(too_long)?.emit());
    }
    Ok(records)
}

/// Writes the sections that describe the embeddings or the model.
fn described(spec: &ModelSpec) -> Vec<Section> {
    let base_mean: &[u8] = bytemuck::cast_slice(&spec.base_mean);
    let mut sections = vec![Section::optional(SectionKind::BaseMean, base_mean)];
    if let Some(reference) = &spec.reference {
        let mut record = [0; field::reference::LEN];
        field::reference::QUANTILES.set(&mut record, *reference.quantiles());
        sections.push(Section::optional(SectionKind::Reference, record));
    }
    if !spec.cohort.is_empty() {
        let dim = spec.base_mean.len();
        let header = CohortHeader {
            count: (spec.cohort.len() / dim) as u16,
            dim: dim as u16,
            parts: match spec.cohort_weights.is_empty() {
                true => 0,
                false => spec.parts.len() as u16,
            },
        };
        let mut contents = header.emit().to_vec();
        contents.extend_from_slice(bytemuck::cast_slice(&spec.cohort));
        contents.extend_from_slice(&spec.cohort_weights);
        sections.push(Section::optional(SectionKind::Cohort, contents));
    }
    for (kind, text) in [
        (SectionKind::Name, &spec.name),
        (SectionKind::Provenance, &spec.provenance),
    ] {
        sections.push(Section::optional(kind, text.as_bytes()));
    }
    if let Some(count) = spec.version_counter {
        sections.push(Section::version_counter(count));
    }
    sections
}

struct Emitter<'s> {
    spec: &'s ModelSpec,
    steps: &'s [Step<'s>],
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

    fn quantisation(&self, tensor: usize) -> Quantisation {
        match tensor.checked_sub(1) {
            Some(step) => self.steps[step].output.quantisation,
            None => self.spec.input,
        }
    }

    /// Writes an operator's tables, and its record except for its place in the arena.
    fn op(&self, step: &Step<'_>, constants: &mut Constants) -> Result<OpRecord, BuildError> {
        let kind = step.kind.op_kind();
        let layout = match step.kind {
            OpKindSpec::Convolution { channels, .. } => layout(channels),
            _ => Layout::Rows,
        };
        let window = step.kind.window();
        let mut record = OpRecord {
            clamp: integer::clamp(step.activation, step.output.quantisation, step.op)?,
            first_channel: match step.kind {
                OpKindSpec::Slice { first, .. } => *first as u16,
                _ => 0,
            },
            ..OpRecord::bare(kind as u8, layout as u8, step.input as u16, window)
        };
        let channels = self.shape(step.input).channels;
        record.scratch_len = match kind {
            OpKind::Convolution => layout.scratch_len(&window, channels) as u32,
            OpKind::Depthwise => Depthwise::scratch_len(&window, channels) as u32,
            _ => 0,
        };
        if step.kind.channels().is_some() {
            self.weighted(step, layout, &mut record, constants)?;
        } else {
            self.unweighted(step, &mut record, constants)?;
        }
        if let Some(second) = step.second {
            record.second = second as u16;
        }
        if let Some(second) = step.second.filter(|_| kind != OpKind::Multiply) {
            // The second operand is added to the input, or to a convolution's own result.
            let first = step
                .fused
                .map_or(self.quantisation(step.input), |convolution| {
                    convolution.output.quantisation
                });
            let scales = [first.scale, self.quantisation(second).scale];
            let place = Place { op: step.op };
            record.add_multipliers =
                integer::addends(scales, step.output.quantisation.scale, place)?;
        }
        Ok(record)
    }

    /// Writes the tables of an operator with weights.
    fn weighted(
        &self,
        step: &Step<'_>,
        layout: Layout,
        record: &mut OpRecord,
        constants: &mut Constants,
    ) -> Result<(), BuildError> {
        let Some(rules) = step.kind.channels() else {
            return Ok(());
        };
        let mut made = step.output.quantisation;
        if let Some(convolution) = step.fused {
            made = convolution.output.quantisation;
            record.inner_zero_point = made.zero_point;
            record.inner_clamp = integer::clamp(convolution.activation, made, step.op)?;
        }
        let tables = Tables {
            rules,
            layout,
            kernel_height: record.window.kernel[0],
            from: self.quantisation(step.input),
            to: made,
        };
        let place = Place { op: step.op };
        match step.kind {
            OpKindSpec::Depthwise { .. } => tables.emit_depthwise(place, record, constants),
            _ => tables.emit(place, record, constants),
        }
    }

    /// Writes the tables of an operator without weights.
    fn unweighted(
        &self,
        step: &Step<'_>,
        record: &mut OpRecord,
        constants: &mut Constants,
    ) -> Result<(), BuildError> {
        let (from, to) = (self.quantisation(step.input), step.output.quantisation);
        let step_ratio = f64::from(from.scale) / f64::from(to.scale);
        let factors: Vec<f64> = match step.kind {
            OpKindSpec::AveragePool { window, .. } => {
                vec![step_ratio / window.area().max(1) as f64]
            }
            OpKindSpec::Multiply { b, .. } => {
                let second = self.quantisation(step.second.unwrap_or(*b));
                vec![f64::from(from.scale) * f64::from(second.scale) / f64::from(to.scale)]
            }
            OpKindSpec::Slopes { slopes, .. } => {
                let below = slopes.iter().map(|&slope| step_ratio * f64::from(slope));
                below.chain([step_ratio]).collect()
            }
            OpKindSpec::Lookup { curve, .. } => {
                let table = table(curve, from, to, record.clamp);
                record.weights = constants.table(bytemuck::cast_slice(&table));
                record.clamp = [i8::MIN, i8::MAX];
                return Ok(());
            }
            _ => return Ok(()),
        };
        multipliers(&factors, Place { op: step.op }, record, constants)
    }
}

/// Writes the multipliers of `factors`, and the shift that they need.
fn multipliers(
    factors: &[f64],
    place: Place,
    record: &mut OpRecord,
    constants: &mut Constants,
) -> Result<(), BuildError> {
    record.pre = integer::pre_shift(factors, place)?;
    let unit = integer::unit(record.pre);
    let multipliers = factors.iter().map(|factor| (factor * unit).round() as i32);
    let multipliers: Vec<i32> = multipliers.collect();
    record.multipliers = constants.table(bytemuck::cast_slice(&multipliers));
    Ok(())
}

/// Returns the results of `curve` for all int8 values, in the order of the values as unsigned bytes.
fn table(curve: &Curve, from: Quantisation, to: Quantisation, [lo, hi]: [i8; 2]) -> [i8; 256] {
    core::array::from_fn(|byte| {
        let x = i32::from(byte as u8 as i8) - i32::from(from.zero_point);
        let y = curve.at(f64::from(x) * f64::from(from.scale));
        to.quantise(y as f32).clamp(lo, hi)
    })
}

/// Gives every tensor and scratch its place; returns the arena's length. An operator whose second
/// operand is used for the last time writes over it; so does one on each value by itself over its input.
fn place_all(ops: &mut [OpRecord], tensors: &mut [TensorRecord], parts: &[usize]) -> usize {
    let operand = |tensor: u16| (tensor != NO_OPERAND).then_some(usize::from(tensor));
    // Times as in `Model::lifetime`: parts are read when all operators have run.
    let mut last_use: Vec<usize> = (0..tensors.len()).collect();
    for (index, op) in ops.iter().enumerate() {
        for tensor in [operand(op.input), operand(op.second)]
            .into_iter()
            .flatten()
        {
            last_use[tensor] = index + 1;
        }
    }
    for &tensor in parts {
        last_use[tensor] = ops.len() + 1;
    }
    let mut requests: Vec<Request> = Vec::new();
    // The request that each tensor lies in.
    let mut request_of: Vec<usize> = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let last = last_use[index];
        let op = index.checked_sub(1).map(|op| &ops[op]);
        let taken_over = op
            .filter(|op| op.input != op.second)
            .and_then(|op| match OpKind::from_number(op.kind) {
                Some(OpKind::Lookup | OpKind::Slopes | OpKind::Reshape) => operand(op.input),
                Some(OpKind::Concatenate) => None,
                _ => operand(op.second),
            })
            .filter(|&under| {
                last_use[under] == index && tensors[under].shape.len() == tensor.shape.len()
            });
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
