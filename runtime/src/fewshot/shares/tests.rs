use super::*;
use crate::fewshot::{HeadKind, fit, fit_scratch_len, scores};
use crate::space::test_space::parts;
use proptest::prelude::*;

const DIM: usize = 6;
type Row = [i8; DIM];

/// Three parts of two values each.
fn packed() -> Metric {
    Metric::new(&parts(&[2, 2, 2]))
}

/// The shares that suit these examples.
fn suited(rows: &[(u8, Row)]) -> [f32; MAX_PARTS] {
    let mut gram = vec![f32::NAN; rows.len() * rows.len()];
    let examples = rows.iter().map(|(label, row)| (*label, &row[..]));
    suited_to(&packed(), None, examples, 0.3, &mut gram).shares()
}

/// A direction whose parts point at these angles.
fn at(degrees: [f32; 3]) -> Row {
    let pair = |angle: f32| {
        let (sin, cos) = angle.to_radians().sin_cos();
        let peak = sin.abs().max(cos.abs());
        [cos, sin].map(|value| (127.0 * value / peak).round() as i8)
    };
    let [a, b, c] = degrees.map(pair);
    [a[0], a[1], b[0], b[1], c[0], c[1]]
}

/// Classes that the second part tells apart, the others not.
fn told_by_the_second() -> Vec<(u8, Row)> {
    (0..12_u8)
        .map(|i| {
            let (class, stray) = (i / 4, f32::from(i) * 77.0);
            let own = 120.0 * f32::from(class) + stray % 13.0;
            (class, at([stray, own, 2.0 * stray]))
        })
        .collect()
}

#[test]
fn the_part_that_tells_the_classes_apart_gets_most() {
    let shares = suited(&told_by_the_second());
    assert!(shares[1] > 0.5, "{shares:?}");
    assert!(shares[0] < 0.25 && shares[2] < 0.25, "{shares:?}");
}

/// Their likelihoods are so small that only their ratios can be counted.
#[test]
fn many_examples_that_no_part_tells_apart_have_shares() {
    let stray = |i: u8, by: f32| f32::from(i) * by % 360.0;
    let rows: Vec<(u8, Row)> = (0..64)
        .map(|i| (i / 4, at([77.0, 131.0, 59.0].map(|by| stray(i, by)))))
        .collect();
    let shares = suited(&rows);
    assert!(
        (shares.iter().sum::<f32>() - 1.0).abs() < 1e-5,
        "{shares:?}"
    );
}

#[test]
fn one_example_a_class_leaves_the_packed_shares() {
    let rows = told_by_the_second();
    let single = [rows[0], rows[4], rows[8]];
    assert_eq!(suited(&single), packed().shares());
    assert_eq!(suited(&[]), packed().shares());
}

/// Shares by kind, of a cohort with a direction for which the first part counts and one for which the last does.
fn suited_by_kind(rows: &[(u8, Row)]) -> [f32; MAX_PARTS] {
    let directions = [at([0.0, 0.0, 0.0]), at([180.0, 180.0, 180.0])];
    let cohort = Cohort::new(directions.as_flattened(), DIM).unwrap();
    let cohort = cohort.with_weights(&[200, 50, 0, 0, 0, 7], 3);
    let mut gram = vec![f32::NAN; rows.len() * rows.len()];
    let examples = rows.iter().map(|(label, row)| (*label, &row[..]));
    suited_to(&packed(), cohort, examples, 0.3, &mut gram).shares()
}

#[test]
fn one_example_a_class_has_the_shares_of_its_kind() {
    let (near, far) = (at([10.0, -20.0, 5.0]), at([170.0, 190.0, 180.0]));
    let close = |found: [f32; MAX_PARTS], expected: [f32; 3]| {
        let expected = expected.into_iter().chain([0.0; MAX_PARTS - 3]);
        let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-6, "{found:?}");
    };
    close(suited_by_kind(&[(0, near)]), [0.8, 0.2, 0.0]);
    close(suited_by_kind(&[(0, far), (1, far)]), [0.0, 0.0, 1.0]);
    close(suited_by_kind(&[(0, near), (1, far)]), [0.4, 0.1, 0.5]);
    assert_eq!(suited_by_kind(&[]), packed().shares());
}

#[test]
fn several_examples_a_class_speak_beside_their_kind() {
    // The kind of all examples says that the second part does not count, the examples that it does.
    let rows: Vec<(u8, Row)> = told_by_the_second();
    let by_kind = suited_by_kind(&[(0, rows[0].1), (1, rows[4].1), (2, rows[8].1)]);
    let shares = suited_by_kind(&rows);
    assert!(shares[1] > by_kind[1] + 0.2, "{by_kind:?} {shares:?}");
}

#[test]
fn a_part_without_a_share_gets_none() {
    let rows = told_by_the_second();
    let mut gram = vec![0.0; rows.len() * rows.len()];
    let examples = rows.iter().map(|(label, row)| (*label, &row[..]));
    let two = packed().with_shares(&[0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let shares = suited_to(&two, None, examples.clone(), 0.3, &mut gram).shares();
    assert_eq!(shares[1], 0.0);
    let alone = packed().with_shares(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(suited_to(&alone, None, examples, 0.3, &mut gram), alone);
}

/// The likelihood as its definition has it: a ridge head for each example, fitted to the others.
fn likelihood_by_refits(metric: &Metric, rows: &[(u8, Row)], lambda: f32) -> f32 {
    let kind = HeadKind::Ridge { lambda };
    let mut likelihood = 0.0;
    for (left_out, (label, query)) in rows.iter().enumerate() {
        let mut others = rows.to_vec();
        others.remove(left_out);
        let n = others.len();
        let labels: Vec<u8> = others.iter().map(|row| row.0).collect();
        let examples = others.iter().map(|row| &row.1[..]);
        let mut gram = vec![0.0; n * n];
        metric.gram(examples.clone(), &mut gram).unwrap();
        let (mut dual, mut bias, mut out) = (vec![0.0; 3 * n], [0.0; 3], [0.0; 3]);
        let mut scratch = vec![0.0; fit_scratch_len(kind, n, 3)];
        fit(kind, &mut gram, &labels, &mut dual, &mut bias, &mut scratch).unwrap();
        let similarities = examples.map(|example| metric.similarity(example, query));
        scores(&dual, &bias, similarities, &mut out).unwrap();
        let own = out[usize::from(*label)];
        let others = out.iter().map(|score| ((score - own) / TEMPERATURE).exp());
        likelihood -= others.sum::<f32>().ln();
    }
    likelihood
}

#[test]
fn leaving_out_in_closed_form_is_leaving_out() {
    let rows = told_by_the_second();
    let labels: Vec<u8> = rows.iter().map(|row| row.0).collect();
    for shares in grid(&packed()) {
        let metric = packed().with_shares(&shares);
        let mut gram = vec![0.0; rows.len() * rows.len()];
        let examples = rows.iter().map(|row| &row.1[..]);
        metric.gram(examples, &mut gram).unwrap();
        let closed = leave_one_out(&mut gram, &labels, 0.3);
        let refitted = likelihood_by_refits(&metric, &rows, 0.3);
        let off = (closed - refitted).abs();
        assert!(off < 1e-3 * (1.0 + refitted.abs()), "{closed} {refitted}");
    }
}

#[test]
fn no_more_than_64_examples_are_looked_at() {
    let rows: Vec<_> = (0..200_u8)
        .map(|i| {
            let (class, stray) = (i / 50, f32::from(i));
            (class, at([stray, 90.0 * f32::from(class), 3.0 * stray]))
        })
        .collect();
    let some: Vec<_> = rows.iter().step_by(4).copied().collect();
    assert_eq!(suited(&some), suited(&rows));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Shares are never negative, add up to one, and do not depend on the order of a class's examples.
    #[test]
    fn shares_are_shares(
        drawn in prop::collection::vec((0_u8..4, prop::array::uniform3(0.0_f32..360.0)), 1..20),
        turn in 0_usize..20,
    ) {
        let mut rows: Vec<(u8, Row)> =
            drawn.iter().map(|(label, degrees)| (*label, at(*degrees))).collect();
        rows.sort_by_key(|row| row.0);
        let shares = suited(&rows);
        prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        prop_assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        prop_assert_eq!(&shares[3..], &[0.0; MAX_PARTS - 3]);
        let turn = turn % rows.len();
        rows.rotate_left(turn);
        rows.reverse();
        rows.sort_by_key(|row| row.0);
        for (a, b) in suited(&rows).iter().zip(shares) {
            prop_assert!((a - b).abs() < 2e-3, "{a} {b}");
        }
    }
}
