//! Descriptions that cannot be packed, and what the builder says of them.

use mtslvr_pack::builder::{Activation, BuildError, ModelSpec, OpKindSpec, build};
use mtslvr_runtime::model::OpenError;

use crate::network::{Plan, network};

fn refusal(change: impl Fn(&mut ModelSpec)) -> BuildError {
    let mut spec = network(Plan::SMALL, 51);
    change(&mut spec);
    build(&spec).unwrap_err()
}

#[test]
fn lists_of_the_wrong_length() {
    let error = refusal(|spec| {
        spec.base_mean.pop();
    });
    let (found, expected) = (21, 22);
    let what = "base mean";
    assert_eq!(
        error,
        BuildError::Length {
            op: None,
            what,
            found,
            expected
        }
    );
    assert_eq!(
        error.to_string(),
        "model: base mean has 21 entries, 22 expected"
    );

    let error = refusal(|spec| {
        if let OpKindSpec::Convolution { paths, .. } = &mut spec.ops[0].kind {
            paths[1].weights.pop();
        }
    });
    assert_eq!(
        error.to_string(),
        "operator 0: weights has 124 entries, 125 expected"
    );
    assert_eq!(
        refusal(|spec| spec.input.clear()),
        BuildError::Paths { found: 0 }
    );
    assert_eq!(
        refusal(|spec| spec.ops.clear()),
        BuildError::OpCount { found: 0 }
    );
}

#[test]
fn operands_that_are_not_there() {
    let error = refusal(|spec| {
        if let OpKindSpec::MaxPool { input, .. } = &mut spec.ops[1].kind {
            *input = 2;
        }
    });
    assert_eq!(error, BuildError::Operand { op: 1, tensor: 2 });
}

#[test]
fn numbers_that_the_integers_cannot_carry() {
    let error = refusal(|spec| spec.ops[0].output.quantisation[0].scale = 0.0);
    assert_eq!(
        error,
        BuildError::Scale {
            tensor: 1,
            found: 0.0
        }
    );
    let error = refusal(|spec| spec.ops[2].output.quantisation[0].scale = 1e-12);
    assert!(
        matches!(error, BuildError::Multiplier { op: 2, path: 0, .. }),
        "{error}"
    );
    let error = refusal(|spec| {
        if let OpKindSpec::Convolution { paths, .. } = &mut spec.ops[0].kind {
            paths[0].gain[0] = f32::NAN;
        }
    });
    assert!(
        matches!(error, BuildError::Multiplier { op: 0, path: 0, .. }),
        "{error}"
    );
    let error = refusal(|spec| spec.ops[0].activation = Activation::Clip { lo: 1.0, hi: 0.0 });
    assert_eq!(error, BuildError::Activation { op: 0 });
}

#[test]
fn shapes_that_do_not_chain() {
    let error = refusal(|spec| spec.ops[1].output.shape.height += 1);
    assert_eq!(error, BuildError::Check(OpenError::Shape { tensor: 2 }));
    let error = refusal(|spec| {
        if let OpKindSpec::MaxPool { window, .. } = &mut spec.ops[1].kind {
            window.padding.top = 3;
        }
    });
    assert_eq!(error, BuildError::Check(OpenError::Window { op: 1 }));
}
