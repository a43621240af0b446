//! The ridge and logistic heads against scikit-learn's solutions (`scripts/golden_heads.py`).

use mtslvr_runtime::fewshot::{HeadKind, fit, fit_scratch_len, scores, softmax};
use serde_json::Value;

/// Largest difference of a weight, bias or probability; for weights above 1, relative to the
/// largest of the problem.
const TOLERANCE: f64 = 2e-5;

struct Problem {
    name: String,
    x: Vec<f32>,
    queries: Vec<f32>,
    labels: Vec<u8>,
    dim: usize,
    classes: usize,
    golden: Value,
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("an array of numbers");
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn problems() -> Vec<Problem> {
    let golden: Value = serde_json::from_str(include_str!("golden/heads.json")).unwrap();
    let grid = golden["grid"].as_f64().unwrap();
    let scaled = |value: &Value| -> Vec<f32> {
        let values = numbers(value);
        values.iter().map(|v| (v / grid) as f32).collect()
    };
    let problems = golden["problems"].as_array().unwrap();
    problems
        .iter()
        .enumerate()
        .map(|(i, golden)| {
            let labels: Vec<u8> = numbers(&golden["labels"])
                .iter()
                .map(|v| *v as u8)
                .collect();
            Problem {
                name: format!("problem {i}"),
                x: scaled(&golden["x"]),
                queries: scaled(&golden["queries"]),
                dim: golden["dim"].as_u64().unwrap() as usize,
                classes: usize::from(*labels.iter().max().unwrap()) + 1,
                labels,
                golden: golden.clone(),
            }
        })
        .collect()
}

impl Problem {
    fn fit(&self, kind: HeadKind) -> (Vec<f32>, Vec<f32>) {
        let mut weights = vec![f32::NAN; self.classes * self.dim];
        let mut bias = vec![f32::NAN; self.classes];
        let needed = fit_scratch_len(kind, self.labels.len(), self.dim, self.classes);
        let mut scratch = vec![f32::NAN; needed];
        fit(
            kind,
            &self.x,
            &self.labels,
            self.classes,
            self.dim,
            &mut weights,
            &mut bias,
            &mut scratch,
        )
        .unwrap_or_else(|error| panic!("{}, {kind:?}: {error}", self.name));
        (weights, bias)
    }

    fn parameter(&self, name: &str) -> f32 {
        self.golden[name].as_f64().unwrap() as f32
    }

    fn assert_close(&self, what: &str, made: &[f32], expected: &Value) {
        let expected = numbers(expected);
        assert_eq!(made.len(), expected.len(), "{}: {what}", self.name);
        let largest = expected.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        let off = made
            .iter()
            .zip(&expected)
            .map(|(a, b)| (f64::from(*a) - b).abs() / largest)
            .fold(0.0, f64::max);
        println!(
            "{}: {what} differ by {off:.1e}, largest {largest:.2}",
            self.name
        );
        assert!(off < TOLERANCE, "{}: {what} differ by {off:e}", self.name);
    }
}

#[test]
fn ridge_matches_scikit_learn() {
    for problem in problems() {
        let lambda = problem.parameter("lambda");
        let (weights, bias) = problem.fit(HeadKind::Ridge { lambda });
        problem.assert_close("ridge weights", &weights, &problem.golden["ridge_weights"]);
        problem.assert_close("ridge biases", &bias, &problem.golden["ridge_bias"]);
    }
}

#[test]
fn logistic_matches_scikit_learn() {
    for problem in problems() {
        let c = problem.parameter("c");
        let (mut weights, mut bias) = problem.fit(HeadKind::Logistic { c });

        let mut probabilities = Vec::new();
        for query in problem.queries.chunks(problem.dim) {
            let mut out = vec![0.0; problem.classes];
            scores(&weights, &bias, query, &mut out);
            softmax(&mut out);
            probabilities.extend(out);
        }
        problem.assert_close(
            "probabilities",
            &probabilities,
            &problem.golden["probabilities"],
        );

        if problem.classes == 2 {
            let (first, second) = weights.split_at(problem.dim);
            weights = second.iter().zip(first).map(|(b, a)| b - a).collect();
            bias = vec![bias[1] - bias[0]];
        }
        problem.assert_close(
            "logistic weights",
            &weights,
            &problem.golden["logistic_weights"],
        );
        problem.assert_close("logistic biases", &bias, &problem.golden["logistic_bias"]);
    }
}
