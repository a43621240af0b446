//! Any bytes give a model that runs or an error.

use crate::{TRUSTED, UNSEEN};
use mtslvr_pack::builder::seal;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::model::{AlignedBytes, Model};

/// Larger models are opened but not run: they would only be slow.
const MOST_ARENA: usize = 1 << 20;
const MOST_MACS: u64 = 10_000_000;

/// Opens `bytes` as a packed model, also as one that must be signed, and runs it. The checksum is put right on a copy, so that the
/// fuzzer gets past it to the structure.
pub fn model_open(bytes: &[u8]) {
    let mut file = AlignedBytes::new(bytes);
    let _ = Model::open(&file);
    seal(&mut file);
    // Nothing but a signature makes it one that is trusted.
    assert!(Model::open_signed(&file, &TRUSTED, UNSEEN).is_err());
    let Ok(model) = Model::open(&file) else {
        return;
    };
    let macs = model.ops().map(|op| op.macs()).sum::<u64>();
    if model.arena_len() > MOST_ARENA || macs > MOST_MACS {
        return;
    }
    let patch = vec![0.5; model.frontend().patch_len()];
    let arena = vec![0i8; model.arena_len()];
    let Ok(mut backbone) = PackedBackbone::new(model, arena) else {
        panic!("an arena of the stated length was refused");
    };
    let values = backbone.run(&patch).map(|parts| parts.flatten().count());
    assert_eq!(values, Ok(model.space().dim()));
    // What a caller may ask for in any model.
    let count = model.op_count();
    assert!(model.op(count).is_none() && model.tensor(count + 1).is_none());
    assert!(
        model
            .tensors()
            .all(|tensor| model.lifetime(tensor.index).is_some())
    );
    assert!(model.arena_lower_bound() <= model.arena_len());
    let _ = (model.cohort(), model.signature(), model.verify_hash());
}
