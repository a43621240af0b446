//! Counts the multiply-accumulates of operators by their weights: each is used once for every position of the output.

use mtslvr_pack::builder::{ModelSpec, OpKindSpec, build};
use mtslvr_runtime::model::Model;

use crate::network::{Plan, every_operator, network};

/// Multiply-accumulates of all layers of a network.
fn uses_of_weights(spec: &ModelSpec) -> u64 {
    let of_op = spec.ops.iter().map(|op| {
        let (OpKindSpec::Convolution {
            channels: rules, ..
        }
        | OpKindSpec::Linear {
            channels: rules, ..
        }
        | OpKindSpec::Depthwise {
            channels: rules, ..
        }) = &op.kind
        else {
            return 0;
        };
        let adapter = rules.adapter.as_ref().map_or(0, Vec::len);
        let map = op.output.shape;
        ((rules.weights.len() + adapter) * map.height * map.width) as u64
    });
    of_op.sum()
}

#[test]
fn multiply_accumulates_are_the_uses_of_weights() {
    let split = Plan {
        split_from: 0,
        ..Plan::SMALL
    };
    for spec in [
        network(Plan::SMALL, 41),
        network(split, 42),
        every_operator(43),
    ] {
        let file = build(&spec).unwrap();
        let model = Model::open(&file).unwrap();
        let macs = model.ops().map(|op| op.macs()).sum::<u64>();
        assert_eq!(macs, uses_of_weights(&spec));
    }
}
