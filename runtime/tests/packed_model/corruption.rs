//! Damaged and forged files: an error or a model that runs, never a panic.

use mtslvr_pack::builder::{Section, add_section, build, seal};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::model::wire::{
    self, Header, NetworkHeader, OpRecord, PartRecord, SectionKind, SectionRecord, SignatureRecord,
    TensorRecord, field,
};
use mtslvr_runtime::model::{AlignedBytes, Model, OpenError};
use mtslvr_runtime::nn::Layout;
use mtslvr_runtime::space::PartsError;

use crate::network::{Plan, Random, network};

const SMALL: Plan = Plan {
    width: 2,
    stages: 1,
    ..Plan::SMALL
};

fn small() -> AlignedBytes {
    build(&network(SMALL, 21)).unwrap()
}

#[test]
fn every_cut_is_an_error() {
    let file = small();
    for len in 0..file.len() {
        let error = Model::open(&file[..len]).unwrap_err();
        assert!(
            matches!(error, OpenError::Truncated { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let mut file = small();
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            assert!(Model::open(&file).is_err(), "bit {bit} of byte {at}");
            file[at] ^= 1 << bit;
        }
    }
    assert!(Model::open(&file).is_ok());
}

/// What opening says of a small model after a change, with the checksum put right again.
fn refused(change: impl FnOnce(&mut AlignedBytes)) -> OpenError {
    let mut file = small();
    change(&mut file);
    seal(&mut file);
    Model::open(&file).unwrap_err()
}

/// The record of a section of this kind.
fn section(file: &mut [u8], kind: SectionKind) -> &mut [u8; SectionRecord::LEN] {
    let (records, _) = file[Header::LEN..].as_chunks_mut();
    let mut records = records.iter_mut();
    records
        .find(|record| field::section::KIND.get(record) == kind as u16)
        .unwrap()
}

/// The bytes of a section from byte `at` on.
fn contents<const LEN: usize>(file: &mut [u8], kind: SectionKind, at: usize) -> &mut [u8; LEN] {
    let record = SectionRecord::read(section(file, kind));
    let contents = &mut file[record.offset as usize..][..record.len as usize];
    contents[at..].first_chunk_mut().unwrap()
}

fn header(file: &mut [u8]) -> &mut [u8; Header::LEN] {
    file.first_chunk_mut().unwrap()
}

#[test]
fn headers_that_cannot_be() {
    let file = small();
    let open = |change: &dyn Fn(&mut AlignedBytes)| {
        let mut file = file.clone();
        change(&mut file);
        Model::open(&file).unwrap_err()
    };
    assert_eq!(open(&|f| f[0] = b'X'), OpenError::Magic);
    assert_eq!(open(&|f| f[4] = 9), OpenError::Version(9));
    assert!(matches!(open(&|f| f[40] ^= 1), OpenError::Checksum { .. }));
    let reserved = refused(|f| field::header::RESERVED.set(header(f), [1; 12]));
    assert_eq!(reserved, OpenError::Reserved);

    let mut longer = file.to_vec();
    longer.push(0);
    let expected = file.len();
    let found = longer.len();
    let longer = AlignedBytes::new(&longer);
    assert_eq!(
        Model::open(&longer).unwrap_err(),
        OpenError::Overlong { expected, found }
    );
    let shifted = AlignedBytes::new(&[&[0u8; 4], &file[..]].concat());
    assert_eq!(
        Model::open(&shifted[4..]).unwrap_err(),
        OpenError::Misaligned
    );
    assert_eq!(
        Model::open(&[]).unwrap_err(),
        OpenError::Truncated {
            expected: Header::LEN,
            found: 0
        }
    );
}

#[test]
fn sections_that_cannot_be() {
    use OpenError as E;
    use SectionKind as S;
    let table = [
        refused(|f| field::header::SECTIONS.set(header(f), 65)),
        refused(|f| field::header::TABLE_AT.set(header(f), u32::MAX)),
    ];
    assert_eq!(table, [E::SectionTable; 2]);
    // Not aligned, over the one before it, behind the end, too long.
    for (kind, offset, len) in [
        (S::Network, 68, None),
        (S::Constants, 256, None),
        (S::Parts, u32::MAX - 15, None),
        (S::Frontend, 0, Some(u32::MAX)),
    ] {
        let error = refused(|f| {
            let record = section(f, kind);
            if offset > 0 {
                field::section::OFFSET.set(record, offset);
            }
            if let Some(len) = len {
                field::section::SECTION_LEN.set(record, len);
            }
        });
        assert!(matches!(error, E::Section { .. }), "{kind}: {error}");
    }
    for kind in [S::Network, S::Constants, S::Parts, S::Frontend, S::BaseMean] {
        let gone = |flags| {
            refused(|f| {
                let record = section(f, kind);
                field::section::KIND.set(record, 0x7000);
                field::section::FLAGS.set(record, flags);
            })
        };
        assert_eq!(gone(0), E::MissingSection(kind));
        let must_understand = SectionRecord::MUST_UNDERSTAND;
        assert_eq!(gone(must_understand), E::UnknownSection { kind: 0x7000 });
        assert_eq!(gone(2), E::Reserved);
    }
    let repeated = refused(|f| {
        field::section::KIND.set(section(f, S::Provenance), S::Name as u16);
    });
    assert_eq!(repeated, E::RepeatedSection(S::Name));
    for kind in [S::Network, S::Parts, S::Frontend, S::BaseMean] {
        let shorter = refused(|f| {
            let record = section(f, kind);
            field::section::SECTION_LEN.set(record, SectionRecord::read(record).len - 4);
        });
        assert_eq!(shorter, E::SectionLen(kind));
    }
    // A name taken for a section of another length.
    for kind in [S::Reference, S::Cohort, S::VersionCounter, S::Signature] {
        let other = refused(|f| field::section::KIND.set(section(f, S::Name), kind as u16));
        assert_eq!(other, E::SectionLen(kind));
    }
    let text = refused(|f| *contents(f, S::Name, 0) = [0xFF]);
    assert_eq!(text, E::Text);
}

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
        op(0, &|record| field::op::KIND.set(record, 9)),
        E::Kind { op: 0, kind: 9 }
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
        op(0, &|record| field::op::KERNEL.set(record, [8, 8])),
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
        op(0, &|record| field::op::RESERVED.set(record, 1)),
        op(1, &|record| field::op::BIAS.set(record, 0)),
    ] {
        assert_eq!(unused, E::Reserved);
    }

    let tensor = |change: &dyn Fn(&mut [u8; TensorRecord::LEN])| {
        refused(|f| {
            change(contents(
                f,
                S::Network,
                NetworkHeader::LEN + TensorRecord::LEN,
            ))
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
    // No name, the other part's, one that is no text, one with more behind it.
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
    spec.cohort = vec![1; 2 * spec.base_mean.len()];
    let mut file = build(&spec).unwrap();
    let record = contents::<{ field::cohort::LEN }>(&mut file, S::Cohort, 0);
    field::cohort::COUNT.set(record, 1);
    field::cohort::DIM.set(record, 2 * spec.base_mean.len() as u16);
    seal(&mut file);
    assert_eq!(Model::open(&file).unwrap_err(), E::SectionLen(S::Cohort));
}

/// The hash is of the contents: a signature does not change it, nor does where sections lie.
#[test]
fn the_hash_is_of_the_contents() {
    let file = small();
    let model = Model::open(&file).unwrap();
    assert!(model.verify_hash());
    let signature = SignatureRecord {
        key_id: [1; 8],
        signature: [2; 64],
    };
    let signed = Section::optional(SectionKind::Signature, signature.emit());
    let signed = add_section(&file, signed).unwrap();
    let signed = Model::open(&signed).unwrap();
    assert!(signed.verify_hash() && signed.id() == model.id());
    let counted = Section::optional(SectionKind::VersionCounter, 1u64.to_le_bytes());
    let counted = add_section(&file, counted).unwrap();
    assert_ne!(Model::open(&counted).unwrap().id(), model.id());

    // Opening does not recompute it: a file that states another opens, and is told.
    let mut other = file.clone();
    other[Header::LEN - 1] ^= 1;
    let checksum = wire::checksum(&other);
    field::header::CHECKSUM.set(header(&mut other), checksum);
    assert!(!Model::open(&other).unwrap().verify_hash());
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

/// Changes to fields with the checksum put right again: whatever is accepted must run.
#[test]
fn forged_files_never_panic() {
    let original = small();
    // Up to the constants.
    let mut copy = original.clone();
    let constants = section(&mut copy, SectionKind::Constants);
    let records = field::section::OFFSET.get(constants) as usize;
    let mut random = Random::new(22);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6_000 {
        let mut file = original.clone();
        for _ in 0..1 + random.below(3) {
            // Mostly header and records, where the structure is.
            let end = if random.below(8) == 0 {
                file.len()
            } else {
                records
            };
            let at = random.below(end);
            file[at] = match random.below(6) {
                0 => 0,
                1 => 0xFF,
                2 => file[at].wrapping_add(1),
                3 => file[at].wrapping_sub(1),
                4 => 1 << random.below(8),
                _ => random.bits() as u8,
            };
        }
        seal(&mut file);
        let Ok(model) = Model::open(&file) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        // An arena of exactly the stated size, so that nothing beyond it is touched unnoticed.
        if model.arena_len() < 1 << 16 {
            let patch = vec![0.5; model.frontend().patch_len()];
            let mut backbone = PackedBackbone::new(model, vec![0i8; model.arena_len()]).unwrap();
            let values: usize = backbone.run(&patch).unwrap().map(<[i8]>::len).sum();
            assert_eq!(values, model.space().dim());
            for tensor in model.tensors() {
                assert!(!model.lifetime(tensor.index).unwrap().is_empty());
            }
            assert!(model.arena_lower_bound() <= model.arena_len());
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} {refused}");
}
