//! Compares the arena with its lower bound.

use mtslvr_pack::builder::build;
use mtslvr_runtime::model::Model;

use crate::network::{Plan, network};

#[test]
fn the_arena_of_residual_networks_is_within_five_percent_of_the_bound() {
    for (seed, width, stages) in [(31, 4, 3), (32, 6, 2), (33, 8, 4), (34, 5, 1)] {
        for split_from in [0, 1] {
            let plan = Plan {
                frames: 32,
                mels: 24,
                width,
                stages,
                split_from,
                max_pool: false,
                ..Plan::SMALL
            };
            let file = build(&network(plan, seed)).unwrap();
            let model = Model::open(&file).unwrap();
            let (arena, bound) = (model.arena_len(), model.arena_lower_bound());
            assert!(arena >= bound);
            assert!(arena * 100 <= bound * 105, "{plan:?}: {arena} over {bound}");
        }
    }
}

/// Two maps of a block at a time, not three: additions are fused and written in place.
#[test]
fn a_residual_block_needs_two_maps() {
    let plan = Plan {
        parts: 1,
        width: 8,
        stages: 1,
        max_pool: false,
        ..Plan::SMALL
    };
    let file = build(&network(plan, 35)).unwrap();
    let model = Model::open(&file).unwrap();
    let map = 13 * 10 * 8;
    let scratch = model.ops().map(|op| op.scratch.len()).max().unwrap();
    assert!(scratch < map);
    assert!(
        model.arena_lower_bound() <= 2 * map + scratch,
        "{}",
        model.arena_lower_bound()
    );
}

/// A part stays whole while the others are computed, and no longer than that is needed.
#[test]
fn parts_live_to_the_end() {
    let plan = Plan {
        parts: 3,
        ..Plan::SMALL
    };
    let file = build(&network(plan, 36)).unwrap();
    let model = Model::open(&file).unwrap();
    let end = model.op_count() + 1;
    let outputs: Vec<usize> = model.outputs().map(|tensor| tensor.index).collect();
    for tensor in model.tensors() {
        let lifetime = model.lifetime(tensor.index).unwrap();
        let is_part = outputs.contains(&tensor.index);
        assert_eq!(*lifetime.end() == end, is_part, "{tensor:?}");
    }
    assert_eq!(model.lifetime(model.op_count() + 1), None);
}
