//! Checks a backward pass against differences of the forward pass.

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Reproducible values of about unit variance.
pub fn random(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let uniform =
        |rng: &mut ChaCha8Rng| (f64::from(rng.next_u32()) / f64::from(u32::MAX) - 0.5) as f32;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| uniform(&mut rng) * 12f32.sqrt())
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Asserts that the gradient of `Σ f(inputs) * weight`, `weight` random, with respect to each input
/// agrees with central differences along random directions.
///
/// A rectifier makes the function only piecewise smooth: a direction that crosses a kink is
/// recognised by its two one-sided differences disagreeing, and is replaced by another one.
pub fn check_gradient(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let weight = random(99, f(inputs).unwrap().dims());
    let objective = |t: &[Tensor]| -> f64 {
        let y = f(t).unwrap().mul(&weight).unwrap();
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        y.iter().map(|&v| f64::from(v)).sum()
    };
    let variables: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(t).unwrap())
        .collect();
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let loss = f(&tensors)
        .unwrap()
        .mul(&weight)
        .unwrap()
        .sum_all()
        .unwrap();
    let gradients = loss.backward().unwrap();
    let centre = objective(inputs);
    for (index, input) in inputs.iter().enumerate() {
        let gradient = gradients
            .get(&tensors[index])
            .expect("every input has a gradient");
        let mut checked = 0;
        for seed in 0..40 {
            let direction = random(1000 + seed, input.dims());
            let expected: f32 = gradient
                .mul(&direction)
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar()
                .unwrap();
            let step = 2e-3;
            let moved = |sign: f64| {
                let mut t = inputs.to_vec();
                t[index] = (input + (&direction * (sign * step)).unwrap()).unwrap();
                objective(&t)
            };
            let (up, down) = (moved(1.0), moved(-1.0));
            let difference = (up - down) / (2.0 * step);
            let bend = ((up - centre) - (centre - down)).abs() / step;
            let scale = difference.abs().max(
                f64::from(
                    gradient
                        .sqr()
                        .unwrap()
                        .sum_all()
                        .unwrap()
                        .to_scalar::<f32>()
                        .unwrap(),
                )
                .sqrt(),
            );
            if bend > 0.05 * scale {
                continue;
            }
            assert!(
                (f64::from(expected) - difference).abs() < 0.02 * scale + 1e-3,
                "input {index}: gradient {expected}, difference {difference}"
            );
            checked += 1;
        }
        assert!(
            checked >= 5,
            "input {index}: only {checked} smooth directions"
        );
    }
}
