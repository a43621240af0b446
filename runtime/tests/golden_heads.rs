//! Compares the ridge and logistic heads with scikit-learn's solutions (`tests/reference/golden_heads.py`).

use mtslvr_runtime::fewshot::{HeadKind, dot, fit, fit_scratch_len, scores, softmax};
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

/// A fitted head, and the weights that its dual coefficients stand for.
struct Head {
    dual: Vec<f32>,
    bias: Vec<f32>,
    weights: Vec<f32>,
}

impl Problem {
    fn fit(&self, kind: HeadKind) -> Head {
        let (n, rows) = (self.labels.len(), || self.x.chunks(self.dim));
        let mut gram: Vec<f32> = rows().flat_map(|a| rows().map(|b| dot(a, b))).collect();
        let mut dual = vec![f32::NAN; self.classes * n];
        let mut bias = vec![f32::NAN; self.classes];
        let mut scratch = vec![f32::NAN; fit_scratch_len(kind, n, self.classes)];
        let labels = &self.labels;
        fit(kind, &mut gram, labels, &mut dual, &mut bias, &mut scratch)
            .unwrap_or_else(|error| panic!("{}, {kind:?}: {error}", self.name));
        let mut weights = vec![0.0; self.classes * self.dim];
        for (weights, dual) in weights.chunks_mut(self.dim).zip(dual.chunks(n)) {
            for (x, dual) in rows().zip(dual) {
                weights.iter_mut().zip(x).for_each(|(w, x)| *w += dual * x);
            }
        }
        Head {
            dual,
            bias,
            weights,
        }
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
        let head = problem.fit(HeadKind::Ridge { lambda });
        let expected = &problem.golden["ridge_weights"];
        problem.assert_close("ridge weights", &head.weights, expected);
        problem.assert_close("ridge biases", &head.bias, &problem.golden["ridge_bias"]);
    }
}

#[test]
fn logistic_matches_scikit_learn() {
    for problem in problems() {
        let c = problem.parameter("c");
        let Head {
            dual,
            mut bias,
            mut weights,
        } = problem.fit(HeadKind::Logistic { c });

        let mut probabilities = Vec::new();
        for query in problem.queries.chunks(problem.dim) {
            let mut out = vec![0.0; problem.classes];
            let examples = problem.x.chunks(problem.dim);
            scores(&dual, &bias, examples.map(|x| dot(x, query)), &mut out).unwrap();
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
