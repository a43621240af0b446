//! Reads files of version 1 of the format, for ever, and compares their outputs.
//!
//! `cargo test --release -p mtslvr-runtime --features std -- --ignored write_golden` writes them anew.
//! Only a new version of the format is a reason for that.

use std::path::{Path, PathBuf};

use mtslvr_pack::builder::{Section, add_section, build};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::model::wire::{SectionKind, SignatureRecord};
use mtslvr_runtime::model::{AlignedBytes, Model, VERSION};

use crate::network::{Plan, every_operator, network, patches};

/// A model with the sections that every model has.
const PLAIN: &str = "v1.slvr";

/// The same network with every section that a file may have, and one of a kind that is not known.
const FULL: &str = "v1-sections.slvr";

/// A network with every kind of operator.
const OPERATORS: &str = "v1-operators.slvr";

/// Its outputs.
const OPERATORS_OUTPUTS: &str = "v1-operators.outputs.bin";

/// Outputs that the other two compute.
const OUTPUTS: &str = "v1.outputs.bin";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn read(name: &str) -> AlignedBytes {
    AlignedBytes::new(&std::fs::read(path(name)).unwrap())
}

/// The int8 values of all parts for each of four patches, then the embeddings' bits.
fn outputs(file: &[u8]) -> Vec<u8> {
    let model = Model::open(file).unwrap();
    let mut backbone = PackedBackbone::new(model, vec![0i8; model.arena_len()]).unwrap();
    let (mut bytes, mut bits) = (Vec::new(), Vec::new());
    for patch in patches(model.frontend().patch_len(), 4) {
        bytes.extend(backbone.run(&patch).unwrap().flatten().map(|&q| q as u8));
        let mut embedding = vec![0.0; model.space().dim()];
        backbone.embed(&patch, &mut embedding).unwrap();
        bits.extend(embedding.iter().flat_map(|x| x.to_le_bytes()));
    }
    bytes.extend(bits);
    bytes
}

fn reference() -> Reference {
    let quantiles = [-0.03125, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
    Reference::new(quantiles).unwrap()
}

fn signature() -> SignatureRecord {
    SignatureRecord {
        key_id: *b"golden 1",
        signature: std::array::from_fn(|i| i as u8),
    }
}

fn cohort(dim: usize) -> Vec<i8> {
    // A direction has its peak in each part.
    (0..3 * dim)
        .map(|i| match i % 3 {
            0 => 127,
            _ => (i * 7 % 255) as i8 >> 1,
        })
        .collect()
}

fn cohort_weights(parts: usize) -> Vec<u8> {
    (1..=3 * parts).map(|i| 40 * i as u8).collect()
}

fn plain() -> AlignedBytes {
    build(&network(Plan::SMALL, 41)).unwrap()
}

fn operators() -> AlignedBytes {
    build(&every_operator(41)).unwrap()
}

fn full() -> AlignedBytes {
    let mut spec = network(Plan::SMALL, 41);
    spec.reference = Some(reference());
    spec.cohort = cohort(spec.base_mean.len());
    spec.cohort_weights = cohort_weights(spec.parts.len());
    spec.version_counter = Some(0x0102_0304_0506_0708);
    let unknown = Section {
        kind: 0x7FFF,
        must_understand: false,
        contents: b"of a later version".to_vec(),
    };
    let file = add_section(&build(&spec).unwrap(), unknown).unwrap();
    let signature = Section::optional(SectionKind::Signature, signature().emit());
    add_section(&file, signature).unwrap()
}

#[test]
fn files_of_this_version_compute_the_same_bytes() {
    assert_eq!(VERSION, 1);
    let expected = std::fs::read(path(OUTPUTS)).unwrap();
    for name in [PLAIN, FULL] {
        let file = read(name);
        assert!(outputs(&file) == expected, "{name}");
        assert!(Model::open(&file).unwrap().verify_hash(), "{name}");
    }
    let file = read(OPERATORS);
    assert!(outputs(&file) == std::fs::read(path(OPERATORS_OUTPUTS)).unwrap());
    assert!(*operators() == *file);
    assert!(*plain() == *read(PLAIN));
    assert!(*full() == *read(FULL));
}

#[test]
fn sections_that_a_file_may_have_are_read() {
    let file = read(FULL);
    let model = Model::open(&file).unwrap();
    let dim = model.space().dim();
    assert_eq!(model.name(), "small");
    assert_eq!(model.reference(), Some(reference()));
    assert_eq!(*model.space().reference(), reference());
    assert_eq!(model.version_counter(), Some(0x0102_0304_0506_0708));
    assert_eq!(model.signature(), Some(signature()));
    let directions = model.cohort().unwrap();
    assert_eq!(directions.len(), 3);
    assert_eq!(directions.as_slice(), cohort(dim));
    assert_eq!(directions.get(2), Some(&cohort(dim)[2 * dim..]));
    assert_eq!(directions.get(3), None);
    let parts = model.space().parts().as_slice().len();
    assert_eq!(directions.weights(), cohort_weights(parts));
    assert_eq!(
        directions.weights_of(2),
        &cohort_weights(parts)[2 * parts..]
    );

    let file = read(PLAIN);
    let model = Model::open(&file).unwrap();
    assert_eq!(model.reference(), None);
    assert_eq!(*model.space().reference(), Reference::assumed(0.5));
    assert_eq!(model.version_counter(), None);
    assert_eq!(model.signature(), None);
    assert_eq!(model.cohort(), None);
}

#[test]
#[ignore = "writes the golden files"]
fn write_golden() {
    std::fs::write(path(PLAIN), &*plain()).unwrap();
    std::fs::write(path(FULL), &*full()).unwrap();
    std::fs::write(path(OUTPUTS), outputs(&plain())).unwrap();
    std::fs::write(path(OPERATORS), &*operators()).unwrap();
    std::fs::write(path(OPERATORS_OUTPUTS), outputs(&operators())).unwrap();
}
