//! Records, embeddings and weights that break a rule of the format are refused.

use mtslvr_pack::builder::{BuildError, Section, add_section, build, seal};
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{FrontendConfigError, Spectrum};
use mtslvr_runtime::model::wire::{
    self, NetworkHeader, OpRecord, PartRecord, SectionKind, TensorRecord, field,
};
use mtslvr_runtime::model::{AlignedBytes, Model, OpKind, OpenError};
use mtslvr_runtime::nn::Layout;
use mtslvr_runtime::space::PartsError;

use crate::network::{Plan, every_operator, network};
use crate::opening::{SMALL, contents, refused, small};

#[test]
fn records_that_cannot_be() {
    use OpenError as E;
    use SectionKind as S;
    let network = |change: &dyn Fn(&mut [u8; NetworkHeader::LEN])| {
        refused(|f| change(contents(f, S::Network, 0)))
    };
    assert_eq!(
        network(&|header| field::network::OPS.set(header, 0)),
        E::OpCount(0)
    );
    assert_eq!(
        network(&|header| field::network::OPS.set(header, 7)),
        E::SectionLen(S::Network)
    );
    assert_eq!(
        network(&|header| field::network::RESERVED_8.set(header, 1)),
        E::Reserved
    );
    assert!(matches!(
        network(&|header| field::network::ARENA_LEN.set(header, 1 << 29)),
        E::ArenaTooLarge { .. }
    ));
    assert!(matches!(
        network(&|header| field::network::ARENA_LEN.set(header, 16)),
        E::Placement { .. }
    ));

    let ops = small_ops();
    let op = |index: usize, change: &dyn Fn(&mut [u8; OpRecord::LEN])| {
        let at = NetworkHeader::LEN + (ops + 1) * TensorRecord::LEN + index * OpRecord::LEN;
        refused(|f| change(contents(f, S::Network, at)))
    };
    assert_eq!(
        op(0, &|record| field::op::KIND.set(record, 99)),
        E::Kind { op: 0, kind: 99 }
    );
    assert_eq!(
        op(0, &|record| field::op::LAYOUT.set(record, 2)),
        E::Layout { op: 0, layout: 2 }
    );
    assert_eq!(
        op(1, &|record| field::op::INPUT.set(record, 2)),
        E::Operand { op: 1 }
    );
    assert_eq!(
        op(0, &|record| field::op::WEIGHTS.set(record, 8)),
        E::Table { op: 0 }
    );
    assert_eq!(
        op(0, &|record| field::op::BIAS.set(record, wire::NO_TABLE)),
        E::Table { op: 0 }
    );
    assert_eq!(
        op(0, &|record| field::op::KERNEL.set(record, [16, 1])),
        E::Window { op: 0 }
    );
    assert_eq!(
        op(0, &|record| field::op::CLAMP.set(record, [1, 0])),
        E::Clamp { op: 0 }
    );
    assert_eq!(
        op(0, &|record| field::op::PRE.set(record, 16)),
        E::Overflow { op: 0 }
    );
    for unused in [
        op(0, &|record| field::op::ADD_MULTIPLIERS.set(record, [1, 0])),
        op(0, &|record| field::op::INNER_CLAMP.set(record, [0, 1])),
        op(1, &|record| field::op::BIAS.set(record, 0)),
    ] {
        assert_eq!(unused, E::Reserved);
    }

    // A pool has no dilation.
    assert_eq!(
        op(1, &|record| field::op::GAPS.set(record, [0, 1])),
        E::Window { op: 1 }
    );

    let tensor = |change: &dyn Fn(&mut [u8; TensorRecord::LEN])| {
        refused(|f| {
            change(contents(
                f,
                S::Network,
                NetworkHeader::LEN + TensorRecord::LEN,
            ));
        })
    };
    assert_eq!(
        tensor(&|record| field::tensor::HEIGHT.set(record, 0)),
        E::Shape { tensor: 1 }
    );
    assert_eq!(
        tensor(&|record| field::tensor::SCALE.set(record, f32::NAN)),
        E::Scale { tensor: 1 }
    );
    assert_eq!(
        tensor(&|record| field::tensor::OFFSET.set(record, 2)),
        E::Placement { tensor: 1 }
    );
    assert_eq!(
        tensor(&|record| field::tensor::RESERVED.set(record, 1)),
        E::Reserved
    );
}

/// Operators of the small model.
fn small_ops() -> usize {
    Model::open(&small()).unwrap().op_count()
}

#[test]
fn embeddings_that_cannot_be() {
    use OpenError as E;
    use SectionKind as S;
    let part = |change: &dyn Fn(&mut [u8; PartRecord::LEN])| {
        refused(|f| change(contents(f, S::Parts, PartRecord::LEN)))
    };
    assert_eq!(
        part(&|record| field::part::TENSOR.set(record, 999)),
        E::PartTensor { part: 1 }
    );
    assert_eq!(
        part(&|record| field::part::VALUES.set(record, 1)),
        E::PartTensor { part: 1 }
    );
    assert_eq!(
        part(&|record| field::part::SHARE.set(record, 0.6)),
        E::Parts(PartsError::Share)
    );
    assert_eq!(
        part(&|record| field::part::RESERVED.set(record, [1; 7])),
        E::Reserved
    );
    // An empty name, the other part's name, bytes that are no text, and bytes behind the name.
    let first = *PartRecord::new("part 0", 0, 0, 0.0)
        .unwrap()
        .name
        .first_chunk::<32>()
        .unwrap();
    for (len, name) in [
        (0, [0; 32]),
        (6, first),
        (3, std::array::from_fn(|i| if i < 3 { 0xFF } else { 0 })),
        (3, first),
        (33, first),
    ] {
        let error = part(&|record| {
            field::part::NAME_LEN.set(record, len);
            field::part::NAME.set(record, name);
        });
        assert_eq!(error, E::Parts(PartsError::Name));
    }
    let mean = refused(|f| *contents(f, S::BaseMean, 0) = f32::NAN.to_le_bytes());
    assert_eq!(mean, E::Statistics);
    let frontend = refused(|f| {
        field::frontend::HOP.set(contents::<{ field::frontend::LEN }>(f, S::Frontend, 0), 0);
    });
    assert!(matches!(frontend, E::Frontend(_)));
    let form = |change: &dyn Fn(&mut [u8; field::form::LEN])| {
        let mut spec = network(SMALL, 21);
        spec.frontend.form.spectrum = Spectrum::Magnitude;
        let mut file = build(&spec).unwrap();
        change(contents(&mut file, S::FrontendForm, 0));
        seal(&mut file);
        Model::open(&file).unwrap_err()
    };
    assert_eq!(
        form(&|record| field::form::MEL_SCALE.set(record, 2)),
        E::Frontend(FrontendConfigError::Form)
    );
    assert_eq!(
        form(&|record| field::form::TRANSFORM.set(record, 100)),
        E::Frontend(FrontendConfigError::Window)
    );
    assert_eq!(
        form(&|record| field::form::RESERVED.set(record, [1; 9])),
        E::Reserved
    );

    let norm = |change: &dyn Fn(&mut Vec<u8>)| {
        let mels = usize::from(network(SMALL, 21).frontend.mels);
        let mut section = vec![0; field::patch_norm::LEN];
        section.extend(
            [0.0f32.to_le_bytes(), 1.0f32.to_le_bytes()]
                .concat()
                .repeat(mels),
        );
        change(&mut section);
        let section = Section::needed(S::PatchNorm, section);
        let file = build(&network(SMALL, 21)).unwrap();
        add_section(&file, section).map(|file| Model::open(&file).map(drop))
    };
    assert_eq!(norm(&|_| ()).unwrap(), Ok(()));
    assert_eq!(
        norm(&|s| s.truncate(field::patch_norm::LEN)).unwrap(),
        Ok(())
    );
    for (change, expected) in [
        (
            &(|s: &mut Vec<u8>| s.truncate(15)) as &dyn Fn(&mut Vec<u8>),
            E::SectionLen(S::PatchNorm),
        ),
        (&|s| s.truncate(30), E::SectionLen(S::PatchNorm)),
        (&|s| s.truncate(32), E::PatchNorm),
        (&|s| s[0] = 3, E::PatchNorm),
        (&|s| s[15] = 1, E::Reserved),
        (&|s| s[20..24].fill(0), E::PatchNorm),
        (&|s| s[20..24].fill(0xFF), E::PatchNorm),
    ] {
        let refused = match norm(change) {
            Ok(opened) => opened.unwrap_err(),
            Err(BuildError::Check(error)) => error,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused, expected);
    }

    // A similarity of 2, and a quantile below the one before it.
    for (at, value) in [(7, 2.0), (1, -0.5)] {
        let mut spec = network(SMALL, 21);
        spec.reference = Reference::new([0.0; 8]);
        let mut file = build(&spec).unwrap();
        let record = contents::<{ field::reference::LEN }>(&mut file, S::Reference, 0);
        let mut quantiles = field::reference::QUANTILES.get(record);
        quantiles[at] = value;
        field::reference::QUANTILES.set(record, quantiles);
        seal(&mut file);
        assert_eq!(Model::open(&file).unwrap_err(), E::Statistics);
    }
    // Directions of another length.
    let mut spec = network(SMALL, 21);
    spec.cohort = vec![127; 2 * spec.base_mean.len()];
    let mut file = build(&spec).unwrap();
    let record = contents::<{ field::cohort::LEN }>(&mut file, S::Cohort, 0);
    field::cohort::COUNT.set(record, 1);
    field::cohort::DIM.set(record, 2 * spec.base_mean.len() as u16);
    seal(&mut file);
    assert_eq!(Model::open(&file).unwrap_err(), E::SectionLen(S::Cohort));
    // Fewer directions than the header says, and none.
    for count in [3, 0] {
        let mut spec = network(SMALL, 21);
        spec.cohort = vec![127; 2 * spec.base_mean.len()];
        let mut file = build(&spec).unwrap();
        assert_eq!(Model::open(&file).unwrap().cohort().unwrap().len(), 2);
        let record = contents::<{ field::cohort::LEN }>(&mut file, S::Cohort, 0);
        field::cohort::COUNT.set(record, count);
        seal(&mut file);
        assert_eq!(Model::open(&file).unwrap_err(), E::SectionLen(S::Cohort));
    }
    // Weights of fewer parts than there are, and a direction near which none has any.
    let mut spec = network(SMALL, 21);
    let parts = spec.parts.len();
    spec.cohort = vec![127; 2 * spec.base_mean.len()];
    spec.cohort_weights = vec![1; 2 * parts];
    let file = build(&spec).unwrap();
    let cohort = Model::open(&file).unwrap().cohort().unwrap();
    assert_eq!(cohort.weights(), spec.cohort_weights);
    let mut fewer = build(&spec).unwrap();
    let record = contents::<{ field::cohort::LEN }>(&mut fewer, S::Cohort, 0);
    field::cohort::PARTS.set(record, parts as u16 - 1);
    seal(&mut fewer);
    assert_eq!(Model::open(&fewer).unwrap_err(), E::SectionLen(S::Cohort));
    let mut none = build(&spec).unwrap();
    for part in 0..parts {
        let at = field::cohort::LEN + spec.cohort.len() + part;
        *contents::<1>(&mut none, S::Cohort, at) = [0];
    }
    seal(&mut none);
    assert_eq!(Model::open(&none).unwrap_err(), E::Statistics);
    // A part without its peak, and a value beyond it.
    for value in [126, -128] {
        let mut spec = network(SMALL, 21);
        spec.cohort = vec![127; 2 * spec.base_mean.len()];
        let mut file = build(&spec).unwrap();
        for at in 0..spec.base_mean.len() {
            let byte = contents::<1>(&mut file, S::Cohort, field::cohort::LEN + at);
            *byte = [i8::cast_unsigned(value)];
        }
        seal(&mut file);
        assert_eq!(Model::open(&file).unwrap_err(), E::Statistics);
    }
}

/// Pairs whose second weight is beyond an `i8`, or that are not zero beyond the end of a row.
#[test]
fn weights_that_cannot_be() {
    let file = small();
    let model = Model::open(&file).unwrap();
    let stem = model.ops().next().unwrap();
    assert_eq!(stem.layout, Layout::Pairs);
    let weights = stem.tables.weights.as_ptr().addr() - file.as_ptr().addr();
    let row = stem.window.kernel[1];
    assert!(row % 2 == 1);
    for (pair, accepted) in [(0x7F7F_i16, true), (0x7F80, false), (i16::MIN, true)] {
        let mut file = file.clone();
        file[weights..weights + 2].copy_from_slice(&pair.to_le_bytes());
        seal(&mut file);
        match Model::open(&file) {
            Ok(_) => assert!(accepted, "{pair:#x}"),
            Err(error) => {
                assert!(!accepted, "{pair:#x}");
                assert_eq!(error, OpenError::Weights { op: 0 });
            }
        }
    }
    let mut file = file.clone();
    file[weights + 2 * row] = 1;
    seal(&mut file);
    assert_eq!(
        Model::open(&file).unwrap_err(),
        OpenError::Weights { op: 0 }
    );
}

/// Where the record of an operator begins.
fn record_at(file: &[u8], op: usize) -> usize {
    let header = wire::Header::read(file.first_chunk().unwrap());
    let record = file[header.table_at as usize..].first_chunk().unwrap();
    let network = wire::SectionRecord::read(record).offset as usize;
    let tensors = (Model::open(file).unwrap().op_count() + 1) * TensorRecord::LEN;
    network + NetworkHeader::LEN + tensors + op * OpRecord::LEN
}

/// Breaks a rule of each kind of operator that a small network does not have.
#[test]
fn operators_that_cannot_be() {
    use OpenError as E;
    let file = build(&every_operator(3)).unwrap();
    let model = Model::open(&file).unwrap();
    let refused = |kind: OpKind, change: &dyn Fn(&mut [u8; OpRecord::LEN])| {
        let op = model.ops().find(|op| op.kind == kind).unwrap().index;
        let at = record_at(&file, op);
        let mut changed = AlignedBytes::new(&file);
        change(changed[at..].first_chunk_mut().unwrap());
        seal(&mut changed);
        (Model::open(&changed).unwrap_err(), op as u16)
    };
    let (error, op) = refused(OpKind::Depthwise, &|r| field::op::WEIGHTS.set(r, u32::MAX));
    assert_eq!(error, E::Table { op });
    let (error, op) = refused(OpKind::Depthwise, &|r| field::op::KERNEL.set(r, [3, 16]));
    assert_eq!(error, E::Window { op });
    let (error, op) = refused(OpKind::Depthwise, &|r| field::op::PRE.set(r, 15));
    assert_eq!(error, E::Overflow { op });
    let (error, op) = refused(OpKind::Depthwise, &|r| field::op::SCRATCH_LEN.set(r, 100));
    assert_eq!(error, E::Placement { tensor: op + 1 });
    let (error, op) = refused(OpKind::Depthwise, &|r| field::op::GAPS.set(r, [0, 0]));
    assert_eq!(error, E::Shape { tensor: op + 1 });
    let (error, op) = refused(OpKind::Lookup, &|r| {
        field::op::WEIGHTS.set(r, u32::MAX - 15);
    });
    assert_eq!(error, E::Table { op });
    let (error, _) = refused(OpKind::Lookup, &|r| field::op::CLAMP.set(r, [0, 1]));
    assert_eq!(error, E::Reserved);
    let (error, op) = refused(OpKind::Slopes, &|r| field::op::MULTIPLIERS.set(r, 4));
    assert_eq!(error, E::Table { op });
    let (error, op) = refused(OpKind::Multiply, &|r| field::op::SECOND.set(r, u16::MAX));
    assert_eq!(error, E::Operand { op });
    let (error, _) = refused(OpKind::Multiply, &|r| {
        field::op::ADD_MULTIPLIERS.set(r, [1, 1]);
    });
    assert_eq!(error, E::Reserved);
    let (error, op) = refused(OpKind::Multiply, &|r| field::op::SECOND.set(r, 0));
    assert_eq!(error, E::Shape { tensor: op + 1 });
    let (error, op) = refused(OpKind::Slice, &|r| field::op::FIRST_CHANNEL.set(r, 5));
    assert_eq!(error, E::Shape { tensor: op + 1 });
    let (error, op) = refused(OpKind::Slice, &|r| {
        field::op::FIRST_CHANNEL.set(r, u16::MAX);
    });
    assert_eq!(error, E::Shape { tensor: op + 1 });
    let (error, op) = refused(OpKind::Reshape, &|r| field::op::INPUT.set(r, 0));
    assert_eq!(error, E::Shape { tensor: op + 1 });
    let (error, _) = refused(OpKind::Reshape, &|r| field::op::CLAMP.set(r, [0, 1]));
    assert_eq!(error, E::Reserved);
    let (error, op) = refused(OpKind::Concatenate, &|r| field::op::SECOND.set(r, 1));
    assert_eq!(error, E::Shape { tensor: op + 1 });
    let (error, op) = refused(OpKind::Concatenate, &|r| {
        field::op::ADD_MULTIPLIERS.set(r, [i32::MAX, 1]);
    });
    assert_eq!(error, E::Overflow { op });
}

/// The largest sum that fits is accepted, one more is refused: no input can overflow an accumulator.
#[test]
fn sums_that_just_fit() {
    let dense = build(&network(Plan::SMALL, 5)).unwrap();
    let filters = build(&every_operator(3)).unwrap();
    for (file, kind) in [
        (&dense, OpKind::Convolution),
        (&dense, OpKind::Linear),
        (&filters, OpKind::Convolution),
        (&filters, OpKind::Depthwise),
    ] {
        let model = Model::open(file).unwrap();
        let op = model.ops().find(|op| op.kind == kind).unwrap();
        let channels = op.output.shape.channels;
        let of_channel = |channel: usize| -> Vec<i32> {
            if kind == OpKind::Depthwise {
                let column = op.tables.weights.iter().skip(channel).step_by(channels);
                return column.map(|&w| w.into()).collect();
            }
            let stored = op.layout.stored_channels(channels);
            let both = [op.tables.weights, op.tables.adapter].map(|table| {
                let len = table.len() / stored;
                op.layout.channel(table, len, channel).collect::<Vec<_>>()
            });
            both.concat()
        };
        let sums: Vec<i64> = (0..channels)
            .map(|channel| {
                of_channel(channel)
                    .iter()
                    .map(|w| 128 * i64::from(w.abs()))
                    .sum()
            })
            .collect();
        let needed = sums.iter().zip(op.tables.bias);
        let needed = needed
            .map(|(sum, bias)| sum + i64::from(bias.abs()))
            .max()
            .unwrap();
        let pre = (0..=15_u8)
            .rev()
            .find(|pre| needed <= i64::from(i32::MAX >> pre))
            .unwrap();
        let limit = i64::from(i32::MAX >> pre);
        let at = |table: *const u8| table.addr() - file.as_ptr().addr();
        let bias_at = at(op.tables.bias.as_ptr().cast());
        let record = record_at(file, op.index);
        for (channel, sum) in sums.into_iter().enumerate() {
            for (sign, more, fits) in [(1, 0, true), (-1, 0, true), (1, 1, false), (-1, 1, false)] {
                let mut changed = AlignedBytes::new(file);
                let written: &mut [u8; OpRecord::LEN] =
                    changed[record..].first_chunk_mut().unwrap();
                field::op::PRE.set(written, pre);
                let bias = sign * i32::try_from(limit - sum + more).unwrap();
                changed[bias_at + 4 * channel..][..4].copy_from_slice(&bias.to_le_bytes());
                seal(&mut changed);
                let found = Model::open(&changed).map(drop);
                let refused = OpenError::Overflow {
                    op: op.index as u16,
                };
                let expected = if fits { Ok(()) } else { Err(refused) };
                assert_eq!(found, expected, "{kind:?}, channel {channel}, {bias}");
            }
        }
    }
}

/// The sum of an average pool over a whole map, at every shift.
#[test]
fn sums_of_pools_that_just_fit() {
    let plan = Plan {
        frames: 40,
        mels: 36,
        max_pool: false,
        stages: 1,
        linear: false,
        ..Plan::SMALL
    };
    let file = build(&network(plan, 6)).unwrap();
    let model = Model::open(&file).unwrap();
    let mut ops = model.ops();
    let op = ops.find(|op| op.kind == OpKind::AveragePool).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for pre in 0..=15 {
        let mut changed = AlignedBytes::new(&file);
        let at = record_at(&file, op.index);
        let record: &mut [u8; OpRecord::LEN] = changed[at..].first_chunk_mut().unwrap();
        field::op::PRE.set(record, pre);
        seal(&mut changed);
        let fits = 255 * op.window.area() as i64 <= i64::from(i32::MAX >> pre);
        assert_eq!(Model::open(&changed).is_ok(), fits, "{pre}");
        *(if fits { &mut accepted } else { &mut refused }) += 1;
    }
    assert!(accepted > 0 && refused > 0);
}

/// A clamp of one value, and the largest shift where sums are short.
#[test]
fn rules_at_their_bounds() {
    let file = build(&every_operator(3)).unwrap();
    let model = Model::open(&file).unwrap();
    for (kind, change) in [
        (
            OpKind::Convolution,
            (|r| field::op::CLAMP.set(r, [5, 5])) as fn(&mut [u8; OpRecord::LEN]),
        ),
        (OpKind::Slopes, |r| field::op::PRE.set(r, 15)),
    ] {
        let op = model.ops().find(|op| op.kind == kind).unwrap();
        let mut changed = AlignedBytes::new(&file);
        change(
            changed[record_at(&file, op.index)..]
                .first_chunk_mut()
                .unwrap(),
        );
        seal(&mut changed);
        Model::open(&changed).unwrap();
    }
}
