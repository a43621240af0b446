//! The contrastive objective that needs no negatives.

use candle_core::{Result, Tensor, bail};

/// SimSiam's loss (Chen and He 2021, equations 1 and 2): `-(cos(p1, z2) + cos(p2, z1)) / 2`, mean
/// over pairs, where no gradient flows through the `z`. From -1 (views agree) to 1.
///
/// Both arguments are `[2N, d]`: the first views of all clips, then the second ones in the same
/// order.
///
/// # Errors
/// If the shapes differ, or the number of rows is odd.
pub fn sim_siam(projections: &Tensor, predictions: &Tensor) -> Result<Tensor> {
    let (rows, _) = projections.dims2()?;
    if projections.dims() != predictions.dims() || !rows.is_multiple_of(2) {
        bail!(
            "sim_siam: projections {:?} and predictions {:?} are not views in pairs",
            projections.dims(),
            predictions.dims()
        );
    }
    let half = rows / 2;
    let (z, p) = (unit_rows(&projections.detach())?, unit_rows(predictions)?);
    let agreement = |p_from: usize, z_from: usize| {
        let (p, z) = (p.narrow(0, p_from, half)?, z.narrow(0, z_from, half)?);
        (p * z)?.sum(1)?.mean_all()
    };
    (agreement(0, half)? + agreement(half, 0)?)? * -0.5
}

/// Rows scaled to unit length.
pub(super) fn unit_rows(x: &Tensor) -> Result<Tensor> {
    let norm = (x.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?;
    x.broadcast_div(&norm)
}

/// Returns the spread of rows: the deviation of each value of their directions, times the square root
/// of their length, mean over values. Near 1 where directions are spread evenly, 0 where all are the
/// same, which is how a Siamese network collapses (Chen and He 2021, section 4.1).
///
/// # Errors
/// If the rows are no matrix of `f32`.
pub fn spread(projections: &Tensor) -> Result<f32> {
    let unit = unit_rows(&projections.detach())?;
    let (_, dim) = unit.dims2()?;
    let centred = unit.broadcast_sub(&unit.mean_keepdim(0)?)?;
    let deviation = centred.sqr()?.mean(0)?.sqrt()?.mean_all()?;
    Ok(deviation.to_scalar::<f32>()? * (dim as f32).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use candle_core::{Device, Var};

    #[test]
    fn matches_the_equation_and_stops_the_gradient_at_the_projections() {
        let (n, d) = (3, 4);
        let (z, p) = (random(1, &[2 * n, d]), random(2, &[2 * n, d]));
        let (zs, ps) = (z.to_vec2::<f32>().unwrap(), p.to_vec2::<f32>().unwrap());
        let cosine = |a: &[f32], b: &[f32]| {
            let dot =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let expected: f64 = (0..2 * n)
            .map(|i| -cosine(&ps[i], &zs[(i + n) % (2 * n)]) / (2 * n) as f64)
            .sum();
        let got: f32 = sim_siam(&z, &p).unwrap().to_scalar().unwrap();
        assert!((f64::from(got) - expected).abs() < 1e-5, "{got} {expected}");
        check_gradient(std::slice::from_ref(&p), |t| sim_siam(&z, &t[0]));

        let (z, p) = (Var::from_tensor(&z).unwrap(), Var::from_tensor(&p).unwrap());
        let gradients = sim_siam(&z, &p).unwrap().backward().unwrap();
        assert!(gradients.get(p.as_tensor()).is_some());
        assert!(gradients.get(z.as_tensor()).is_none());
    }

    #[test]
    fn spread_tells_a_collapse() {
        let even = spread(&random(5, &[400, 16])).unwrap();
        assert!((even - 1.0).abs() < 0.05, "{even}");
        let same = Tensor::ones((8, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(spread(&same).unwrap() < 1e-3);
    }
}
