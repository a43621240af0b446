use super::*;
use crate::fewshot::dot;
use proptest::prelude::*;

const KINDS: [HeadKind; 3] = [
    HeadKind::NearestMean,
    HeadKind::Ridge { lambda: 0.1 },
    HeadKind::Logistic { c: 10.0 },
];

/// Dual coefficients, biases, and the weights that they stand for.
type Fitted = (Vec<f32>, Vec<f32>, Vec<f32>);

fn fitted(
    kind: HeadKind,
    x: &[f32],
    y: &[u8],
    classes: usize,
    dim: usize,
) -> Result<Fitted, FitError> {
    let n = y.len();
    let rows = || x.chunks(dim);
    let mut gram: Vec<f32> = rows().flat_map(|a| rows().map(|b| dot(a, b))).collect();
    let (mut dual, mut bias) = (vec![f32::NAN; classes * n], vec![f32::NAN; classes]);
    let mut scratch = vec![f32::NAN; fit_scratch_len(kind, n, classes)];
    fit(kind, &mut gram, y, &mut dual, &mut bias, &mut scratch)?;
    let weights = dual.chunks(n).flat_map(|dual| {
        let weight = |d: usize| rows().zip(dual).map(|(x, dual)| x[d] * dual).sum();
        (0..dim).map(weight).collect::<Vec<f32>>()
    });
    let weights = weights.collect();
    Ok((dual, bias, weights))
}

#[test]
fn one_shot_examples_are_recognised_by_every_head() {
    let (dim, classes) = (16, 4);
    let mut x = vec![0.0; dim * classes];
    for class in 0..classes {
        x[class * dim + class] = 0.6;
        x[class * dim + 8 + class] = 0.8;
    }
    for kind in KINDS {
        let (dual, bias, _) = fitted(kind, &x, &[0, 1, 2, 3], classes, dim).unwrap();
        for (class, query) in x.chunks(dim).enumerate() {
            let mut out = vec![0.0; classes];
            scores(&dual, &bias, x.chunks(dim).map(|x| dot(x, query)), &mut out).unwrap();
            let best = (0..classes).max_by(|a, b| out[*a].total_cmp(&out[*b]));
            assert_eq!(best, Some(class), "{kind:?}: {out:?}");
        }
    }
}

#[test]
fn nearest_mean_scores_order_by_distance() {
    let x = [1.0, 0.0, 0.0, 1.0, -0.6, 0.8];
    let (dual, bias, weights) = fitted(HeadKind::NearestMean, &x, &[0, 0, 1], 2, 2).unwrap();
    assert_eq!(weights, [0.5, 0.5, -0.6, 0.8]);
    let query = [0.0, 1.0];
    let mut out = [0.0; 2];
    scores(&dual, &bias, x.chunks(2).map(|x| dot(x, &query)), &mut out).unwrap();
    for (score, mean) in out.iter().zip(weights.chunks(2)) {
        let distance: f32 = mean.iter().zip(query).map(|(m, q)| (m - q) * (m - q)).sum();
        assert!((score - (1.0 - distance) / 2.0).abs() < 1e-6);
    }
}

#[test]
fn every_kind_of_bad_input_has_its_error() {
    use FitError as E;
    for kind in KINDS {
        let with = |x: &[f32], y: &[u8], classes| fitted(kind, x, y, classes, 1).unwrap_err();
        assert_eq!(with(&[], &[], 0), E::NoExamples);
        let missing = E::LabelWithoutExamples { label: 1 };
        assert_eq!(with(&[1.0, 2.0], &[0, 2], 3), missing);
        let (label, classes) = (2, 2);
        let outside = E::LabelOutOfRange { label, classes };
        assert_eq!(with(&[1.0, 2.0], &[0, 2], 2), outside);
        let (needed, found) = (4, 9);
        let length = E::Length { needed, found };
        assert_eq!(with(&[1.0, 2.0, 3.0], &[0, 1], 2), length);
        assert_eq!(with(&[1.0, f32::NAN], &[0, 1], 2), E::NotFinite);
        assert!(fitted(kind, &[1.0; 300], &[0; 300], 300, 1).is_err());
    }
    for parameter in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        for kind in [
            HeadKind::Ridge { lambda: parameter },
            HeadKind::Logistic { c: parameter },
        ] {
            let error = fitted(kind, &[1.0, 2.0], &[0, 1], 2, 1).unwrap_err();
            assert_eq!(error, E::Parameter);
        }
    }
    let mut out = [0.0; 2];
    let mut with = |dual: &[f32], bias: &[f32], similarities: &[f32]| {
        scores(dual, bias, similarities.iter().copied(), &mut out)
    };
    assert_eq!(with(&[0.0; 4], &[0.0; 2], &[1.0; 2]), Ok(()));
    assert_eq!(
        with(&[0.0; 4], &[0.0; 2], &[1.0; 3]),
        Err(ScoresError::Examples)
    );
    assert_eq!(
        with(&[0.0; 3], &[0.0; 2], &[1.0]),
        Err(ScoresError::Classes)
    );
    assert_eq!(
        with(&[0.0; 4], &[0.0; 3], &[1.0]),
        Err(ScoresError::Classes)
    );
    let tiny = HeadKind::Ridge { lambda: 1e-20 };
    let error = fitted(tiny, &[1.0, 0.3, 0.7, 0.1], &[0, 1, 0, 1], 2, 1).unwrap_err();
    assert_eq!(error, E::NotPositiveDefinite);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Whatever the examples and parameters are, a fit ends, and with finite numbers or an error.
    #[test]
    fn any_problem_ends(
        y in prop::collection::vec(0_u8..4, 1..24),
        values in prop::collection::vec(-1.0_f32..1.0, 24 * 3),
        scale in -18_i32..18,
        parameter in -12_i32..12,
    ) {
        let x: Vec<f32> = values[..y.len() * 3]
            .iter()
            .map(|value| value * 10.0_f32.powi(scale))
            .collect();
        let parameter = 10.0_f32.powi(parameter);
        for kind in [
            HeadKind::NearestMean,
            HeadKind::Ridge { lambda: parameter },
            HeadKind::Logistic { c: parameter },
        ] {
            if let Ok((dual, bias, _)) = fitted(kind, &x, &y, 4, 3) {
                prop_assert!(dual.iter().chain(&bias).all(|value| value.is_finite()));
            }
        }
    }
}
