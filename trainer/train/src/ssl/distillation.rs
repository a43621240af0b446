//! Distillation: a path is to tell what a teacher says of the same views.

use super::sim_siam::unit_rows;
use candle_core::{Result, Tensor};

/// `1 - cos(prediction, target)`, mean over the rows: how far predictions point away from what the
/// teacher says of the same views.
///
/// Both are `[rows, d]`; the targets have unit length.
pub fn distillation(predictions: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let cosines = (unit_rows(predictions)? * targets)?.sum(1)?;
    1.0 - cosines.mean_all()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};

    #[test]
    fn only_the_angle_to_the_target_counts() {
        let targets = unit_rows(&random(1, &[4, 6])).unwrap();
        let loss = |predictions: &Tensor| -> f32 {
            let loss = distillation(predictions, &targets).unwrap();
            loss.to_scalar().unwrap()
        };
        assert!(loss(&(&targets * 3.0).unwrap()).abs() < 1e-6);
        assert!((loss(&(&targets * -0.5).unwrap()) - 2.0).abs() < 1e-6);
        let predictions = random(2, &[4, 6]);
        check_gradient(&[predictions], |t| distillation(&t[0], &targets));
    }
}
