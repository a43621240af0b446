//! The contrastive objective of SimCLR.

use super::sim_siam::unit_rows;
use candle_core::{DType, Result, Tensor};

/// Normalised temperature-scaled cross entropy (Chen et al. 2020, equation 1), mean over all `2N`
/// rows: `-log( exp(s(i,j)/τ) / Σ_{k≠i} exp(s(i,k)/τ) )`, `s` the cosine similarity, `j` the other
/// view of `i`.
///
/// `projections` is `[2N, d]`: the first views of all clips, then the second ones in the same order.
///
/// # Errors
/// If the projections are no matrix of `2N` rows.
pub fn nt_xent(projections: &Tensor, temperature: f64) -> Result<Tensor> {
    let (rows, _) = projections.dims2()?;
    let half = rows / 2;
    let unit = unit_rows(projections)?;
    let similarity = (unit.matmul(&unit.t()?)? / temperature)?;
    // A row is no negative of its own: far below any similarity, its exponential is zero.
    let own = (Tensor::eye(rows, DType::F32, projections.device())? * -1e9)?;
    let partition = (similarity + own)?.log_sum_exp(1)?;
    let pairs = (unit.narrow(0, 0, half)? * unit.narrow(0, half, half)?)?.sum(1)?;
    partition.mean_all()? - (pairs.mean_all()? / temperature)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};

    #[test]
    fn matches_the_equation_term_by_term() {
        let (n, d, temperature) = (3, 5, 0.2);
        let z = random(4, &[2 * n, d]);
        let rows = z.to_vec2::<f32>().unwrap();
        let cosine = |a: &[f32], b: &[f32]| {
            let dot =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let mut expected = 0.0;
        for i in 0..2 * n {
            let j = (i + n) % (2 * n);
            let others: f64 = (0..2 * n)
                .filter(|&k| k != i)
                .map(|k| (cosine(&rows[i], &rows[k]) / temperature).exp())
                .sum();
            expected -=
                ((cosine(&rows[i], &rows[j]) / temperature).exp() / others).ln() / (2 * n) as f64;
        }
        let got: f32 = nt_xent(&z, temperature).unwrap().to_scalar().unwrap();
        assert!(
            (f64::from(got) - expected).abs() < 1e-4,
            "{got} != {expected}"
        );
        check_gradient(&[z], |t| nt_xent(&t[0], temperature));
    }
}
