//! Single layers, the same as in other kernels' tables: written by the build script.

use crate::input::Random;
use crate::{Bench, agrees, crc32, layers, reported};
use mtslvr_board::say;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::model::{Aligned, MAX_OPS, Model};

/// A model around one layer.
pub struct Shape {
    name: &'static str,
    /// Which of its operators is the layer.
    op: usize,
    /// CRC-32 of the embedding that the host makes of the same patch.
    embedding_crc32: u32,
    model: &'static Aligned<[u8]>,
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

impl Bench {
    /// Every layer.
    pub fn shapes(&self, arena: &mut [i8], patch: &mut [f32]) -> Option<()> {
        let mut passed = true;
        for shape in SHAPES {
            let model = reported(shape.name, Model::open(&shape.model.0))?;
            let patch = &mut patch[..model.frontend().patch_len()];
            let mut random = Random::new(patch.len() as u32);
            patch.fill_with(|| f32::from(random.next()) / 16_384.0);
            let mut embedding = [0.0; SHAPE_FEATURES];
            let embedding = &mut embedding[..model.space().dim()];
            let mut backbone = reported(shape.name, PackedBackbone::new(model, &mut *arena))?;
            let mut counts = [0; MAX_OPS];
            let embedded = layers::by_operator(self, &mut backbone, patch, embedding, &mut counts);
            reported(shape.name, embedded)?;
            let macs = model.op(shape.op).map_or(0, |op| op.macs());
            say!(
                "shape macs={} instructions={} name={}",
                macs,
                counts[shape.op],
                shape.name
            );
            passed &= agrees(shape.name, crc32(embedding), shape.embedding_crc32);
        }
        passed.then_some(())
    }
}
