//! Checks the errors of descriptions that cannot be packed.

use mtslvr_pack::builder::{Activation, BuildError, ModelSpec, OpKindSpec, PartSpec, build};
use mtslvr_runtime::model::OpenError;
use mtslvr_runtime::space::PartsError;

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
    let (found, expected) = (22, 23);
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
        "model: base mean has 22 entries, 23 expected"
    );

    let error = refusal(|spec| {
        if let OpKindSpec::Convolution { channels, .. } = &mut spec.ops[0].kind {
            channels.weights.pop();
        }
    });
    assert_eq!(
        error.to_string(),
        "operator 0: weights has 124 entries, 125 expected"
    );
    let error = refusal(|spec| spec.cohort = vec![1; 47]);
    assert_eq!(
        error.to_string(),
        "model: cohort has 47 entries, 46 expected"
    );
    let error = refusal(|spec| {
        spec.cohort = vec![127; 46];
        spec.cohort_weights = vec![1; 2 * spec.parts.len() + 1];
    });
    assert!(
        error.to_string().starts_with("model: cohort's weights has"),
        "{error}"
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
fn parts_that_describe_no_embedding() {
    let parts = |change: &dyn Fn(&mut Vec<PartSpec>)| refusal(|spec| change(&mut spec.parts));
    assert_eq!(
        parts(&|parts| parts.clear()),
        BuildError::Parts(PartsError::Count)
    );
    assert_eq!(
        parts(&|parts| parts[1].name = parts[0].name.clone()),
        BuildError::Parts(PartsError::Name)
    );
    assert_eq!(
        parts(&|parts| parts[1].share = 0.25),
        BuildError::Parts(PartsError::Share)
    );
    let error = parts(&|parts| parts[1].tensor = 99);
    assert_eq!(error.to_string(), "part `part 1`: tensor 99 is not there");
}

#[test]
fn numbers_that_the_integers_cannot_carry() {
    let error = refusal(|spec| spec.ops[0].output.quantisation.scale = 0.0);
    assert_eq!(
        error,
        BuildError::Scale {
            tensor: 1,
            found: 0.0
        }
    );
    let error = refusal(|spec| spec.ops[2].output.quantisation.scale = 1e-12);
    assert!(
        matches!(error, BuildError::Multiplier { op: 2, .. }),
        "{error}"
    );
    let error = refusal(|spec| {
        if let OpKindSpec::Convolution { channels, .. } = &mut spec.ops[0].kind {
            channels.gain[0] = f32::NAN;
        }
    });
    assert!(
        matches!(error, BuildError::Multiplier { op: 0, .. }),
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
