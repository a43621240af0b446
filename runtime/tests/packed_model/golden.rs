//! A file of each version of the format and what it computes, read for ever.
//!
//! `cargo test --release -p mtslvr-runtime --features std -- --ignored write_golden` writes both anew
//! for the newest version; only a new version of the format is a reason to.

use std::path::{Path, PathBuf};

use mtslvr_pack::builder::build;
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::model::{AlignedBytes, Model, VERSION};

use mtslvr_runtime::nn::Layout;

use crate::network::{Plan, network, patches};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The int8 features of both paths for each of four patches, then the embeddings' bits.
fn outputs(file: &[u8]) -> Vec<u8> {
    let model = Model::open(file).unwrap();
    let mut backbone = PackedBackbone::new(model, vec![0i8; model.arena_len()]).unwrap();
    let (mut bytes, mut bits) = (Vec::new(), Vec::new());
    for patch in patches(model.frontend().patch_len(), 4) {
        for path in 0..model.paths() {
            bytes.extend(backbone.run_path(path, &patch).iter().map(|&q| q as u8));
        }
        let mut embedding = vec![0.0; backbone.space().dim()];
        backbone.embed(&patch, &mut embedding).unwrap();
        bits.extend(embedding.iter().flat_map(|x| x.to_le_bytes()));
    }
    bytes.extend(bits);
    bytes
}

#[test]
fn every_version_is_read_and_computes_the_same_bytes() {
    for version in 1..=VERSION {
        let file = std::fs::read(path(&format!("v{version}.slvr"))).unwrap();
        let file = AlignedBytes::new(&file);
        let model = Model::open(&file).unwrap();
        assert_eq!(model.version(), version);
        let in_pairs = model.ops().any(|op| op.layout == Layout::Pairs);
        assert_eq!(in_pairs, version > 1);
        let expected = std::fs::read(path(&format!("v{version}.outputs.bin"))).unwrap();
        assert!(outputs(&file) == expected, "version {version}");
    }
}

fn reference() -> Reference {
    let quantiles = [-0.03125, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
    Reference::new(quantiles).unwrap()
}

#[test]
fn a_reference_is_read_and_changes_nothing_else() {
    let [with, without] = ["v2-reference.slvr", "v2.slvr"]
        .map(|name| AlignedBytes::new(&std::fs::read(path(name)).unwrap()));
    let model = Model::open(&with).unwrap();
    let space = model.space();
    assert_eq!(space.reference(), &reference());
    assert_eq!(space.parts().as_slice()[0].share, 0.6875);
    assert_eq!(outputs(&with), outputs(&without));
    // What a file does not say is assumed.
    let model = Model::open(&without).unwrap();
    assert_eq!(*model.space().reference(), Reference::assumed(0.375));
    let mut spec = network(Plan::SMALL, 41);
    spec.reference = Some(reference());
    assert_eq!(*build(&spec).unwrap(), *with);
}

#[test]
#[ignore = "writes the golden file with a reference"]
fn write_golden_reference() {
    let mut spec = network(Plan::SMALL, 41);
    spec.reference = Some(reference());
    std::fs::write(path("v2-reference.slvr"), &*build(&spec).unwrap()).unwrap();
}

#[test]
#[ignore = "writes the golden files"]
fn write_golden() {
    let file = build(&network(Plan::SMALL, 41)).unwrap();
    std::fs::write(path(&format!("v{VERSION}.slvr")), &*file).unwrap();
    let outputs_path = path(&format!("v{VERSION}.outputs.bin"));
    std::fs::write(outputs_path, outputs(&file)).unwrap();
}
