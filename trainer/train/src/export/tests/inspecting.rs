//! Inspection of a model.

use crate::export::{random, write};
use crate::net::AdapterKind;
use mtslvr_audio::calibration_clips;
use mtslvr_pack::calibration::RangeRule;
use mtslvr_pack::memory_plan::Buffer;
use mtslvr_pack::{BackboneFile, PackOptions, onnx, pack};

#[test]
fn both_forms_of_a_model_tell_the_same_of_it() {
    let spec = random::spec(AdapterKind::Parallel, 1);
    let weights = random::weights(&spec, 2);
    let (frontend, statistics) = (random::frontend(), random::statistics(&spec));
    let float = write(&spec, &weights, &frontend, &statistics, "a test").unwrap();
    let graph = onnx::read(&float, None).unwrap();
    let options = PackOptions {
        name: "test".into(),
        provenance: "a test".into(),
        fold: false,
        range: RangeRule::default(),
        cohort: 4,
    };
    let clips = &calibration_clips(&frontend)[..8];
    let packed = pack(&graph, &clips.to_vec().into(), &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let inspect = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = BackboneFile::read(&path, None).unwrap();
        file.inspect().unwrap()
    };
    let (float, int8) = (inspect("m.onnx", &float), inspect("m.slvr", &packed));
    assert_eq!(float.macs, int8.macs);
    // Fusion changes no count of a part either.
    assert_eq!(float.parts, int8.parts);
    let named = |at: usize| (float.parts[at].name.as_str(), float.parts[at].len);
    assert_eq!(
        [named(0), named(1)],
        [("invariant", 12), ("equivariant", 12)]
    );
    // Stem and first stage are there once: a block of two convolutions and their sum, which is
    // fused when packed. The second stage's eight operators and the average are each part's own.
    assert_eq!(
        (float.operators.len(), int8.operators.len()),
        (1 + 3 + 2 * 8, 1 + 2 + 2 * 6)
    );
    let shared: u64 = int8.operators[..3].iter().map(|op| op.macs).sum();
    let alone: u64 = int8.parts.iter().map(|part| part.macs).sum();
    assert!(shared > 0 && int8.macs + shared == alone);
    assert!(int8.hash.as_ref().unwrap().verified);
    let f = int8.flash;
    assert_eq!(f.weights + f.adapters + f.tables + f.other, packed.len());
    assert_eq!(float.flash.adapters, 4 * int8.flash.adapters);
    let text = int8.to_string();
    assert_eq!(int8.statistics.unwrap().cohort, 4);
    for part in [
        "cohort      4 dir",
        "arena",
        "conv (adapted)",
        "5x5",
        "16000 Hz",
        "share 0.7",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = serde_json::to_value(&int8).unwrap();
    assert_eq!(json["ram"]["arena"], int8.ram.arena.unwrap());

    // The plan in words is the plan: the fullest moment is the bound, and the arena's end is used.
    let plan = int8.memory_plan.as_ref().unwrap();
    assert_eq!(json["memory_plan"]["arena"], plan.arena);
    assert!(float.memory_plan.is_none());
    let needed_at = |time: usize| -> usize {
        let live = |b: &&Buffer| (b.lifetime[0]..=b.lifetime[1]).contains(&time);
        let over_addend = |b: &&Buffer| b.in_place && b.lifetime[0] == time;
        let buffers = plan.buffers.iter().filter(live);
        buffers.filter(|b| !over_addend(b)).map(|b| b.bytes).sum()
    };
    let end = int8.operators.len() + 1;
    assert_eq!((0..=end).map(needed_at).max(), Some(plan.lower_bound));
    let ends = plan.buffers.iter().map(|b| b.offset + b.bytes);
    assert_eq!(ends.max(), Some(plan.arena));
    assert!(plan.above_bound_percent <= 5.0);
    assert!(plan.buffers.iter().any(|b| b.in_place));
    assert!(
        text.contains("lower bound") && text.contains("output of 0"),
        "{text}"
    );
}
