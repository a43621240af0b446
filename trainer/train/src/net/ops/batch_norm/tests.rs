use super::*;
use crate::net::ops::finite_difference::{check_gradient, random};

const EPS: f32 = 1e-5;

/// On tensors, with batch norm's own statistics or `fixed` ones.
fn batch_norm(
    x: &Tensor,
    (gain, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
    fixed: Option<&BatchStatistics>,
) -> Result<Tensor> {
    let residual = residual.map(Activation::new).transpose()?;
    let residual = residual.as_ref().map_or(Residual::None, Residual::Add);
    let x = Activation::new(x)?;
    super::batch_norm(&x, gain, bias, residual, relu, EPS, fixed)?
        .0
        .tensor()
}

#[test]
fn the_output_of_a_batch_has_the_asked_mean_and_deviation() {
    let x = ((random(1, &[6, 5, 4, 3]) * 3.0).unwrap() + 7.0).unwrap();
    let gain = Tensor::new(&[1f32, 2.0, 0.5], x.device()).unwrap();
    let bias = Tensor::new(&[0f32, -1.0, 4.0], x.device()).unwrap();
    let y = batch_norm(&x, (&gain, &bias), None, false, None).unwrap();
    let of_output = statistics(&y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), 3);
    for (c, (mean, deviation)) in [(0f32, 1f32), (-1.0, 2.0), (4.0, 0.5)]
        .into_iter()
        .enumerate()
    {
        assert!((of_output.mean[c] - mean).abs() < 1e-4);
        assert!((of_output.variance[c].sqrt() - deviation).abs() < 1e-3);
    }
}

#[test]
fn gradients_match_finite_differences() {
    let shape = [3, 2, 4, 5];
    let (x, gain, bias) = (random(1, &shape), random(2, &[5]), random(3, &[5]));
    let residual = random(4, &shape);
    let fixed = BatchStatistics {
        mean: vec![0.1; 5],
        variance: vec![0.7; 5],
    };
    for relu in [false, true] {
        check_gradient(&[x.clone(), gain.clone(), bias.clone()], |t| {
            batch_norm(&t[0], (&t[1], &t[2]), None, relu, None)
        });
        check_gradient(&[x.clone(), gain.clone(), bias.clone()], |t| {
            batch_norm(&t[0], (&t[1], &t[2]), None, relu, Some(&fixed))
        });
        check_gradient(
            &[x.clone(), gain.clone(), bias.clone(), residual.clone()],
            |t| batch_norm(&t[0], (&t[1], &t[2]), Some(&t[3]), relu, None),
        );
    }
}

#[test]
fn statistics_survive_a_large_offset_and_many_blocks() {
    let x = (random(5, &[9000, 2]) + 1000.0).unwrap();
    let got = statistics(&x.flatten_all().unwrap().to_vec1::<f32>().unwrap(), 2);
    assert!((got.mean[0] - 1000.0).abs() < 0.05);
    assert!((got.variance[0] - 1.0).abs() < 0.05, "{}", got.variance[0]);
}
