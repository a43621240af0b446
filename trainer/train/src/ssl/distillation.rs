//! Distillation: a path or a part is to tell what a teacher says.

use super::sim_siam::unit_rows;
use candle_core::{Result, Tensor};

/// `1 - cos(prediction, target)`, mean over the rows that count: how far predictions point away from
/// what the teacher says.
///
/// Predictions and targets are `[rows, d]`; the targets have unit length. `counted` is `[rows]`, 1 for a
/// row that counts and 0 for another; without it, all do. The loss is 0 where no row counts.
///
/// # Errors
/// If the shapes differ.
pub fn distillation(
    predictions: &Tensor,
    targets: &Tensor,
    counted: Option<&Tensor>,
) -> Result<Tensor> {
    let cosines = (unit_rows(predictions)? * targets)?.sum(1)?;
    match counted {
        None => 1.0 - cosines.mean_all()?,
        Some(counted) => {
            let rows = counted.sum_all()?.to_scalar::<f32>()?.max(1.0);
            ((1.0 - cosines)? * counted)?.sum_all()? / f64::from(rows)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use candle_core::{Device, Var};

    #[test]
    fn only_the_angle_to_the_target_counts() {
        let targets = unit_rows(&random(1, &[4, 6])).unwrap();
        let loss = |predictions: &Tensor| -> f32 {
            let loss = distillation(predictions, &targets, None).unwrap();
            loss.to_scalar().unwrap()
        };
        assert!(loss(&(&targets * 3.0).unwrap()).abs() < 1e-6);
        assert!((loss(&(&targets * -0.5).unwrap()) - 2.0).abs() < 1e-6);
        let predictions = random(2, &[4, 6]);
        check_gradient(&[predictions], |t| distillation(&t[0], &targets, None));
    }
    #[test]
    fn rows_without_a_target_count_for_nothing() {
        let targets = unit_rows(&random(1, &[4, 6])).unwrap();
        let predictions = random(2, &[4, 6]);
        let counted = |rows: [f32; 4]| Tensor::new(&rows, &Device::Cpu).unwrap();
        let loss = |predictions: &Tensor, rows: [f32; 4]| -> f32 {
            let loss = distillation(predictions, &targets, Some(&counted(rows))).unwrap();
            loss.to_scalar().unwrap()
        };
        let alone = |row: usize| {
            let [predictions, targets] =
                [&predictions, &targets].map(|x| x.narrow(0, row, 1).unwrap());
            let loss = distillation(&predictions, &targets, None).unwrap();
            loss.to_scalar::<f32>().unwrap()
        };
        let two = loss(&predictions, [0.0, 1.0, 0.0, 1.0]);
        assert!((two - (alone(1) + alone(3)) / 2.0).abs() < 1e-6);
        assert_eq!(loss(&predictions, [0.0; 4]), 0.0);
        let rows = counted([1.0, 0.0, 1.0, 1.0]);
        check_gradient(std::slice::from_ref(&predictions), |t| {
            distillation(&t[0], &targets, Some(&rows))
        });
        let variable = Var::from_tensor(&predictions).unwrap();
        let loss = distillation(&variable, &targets, Some(&rows)).unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(variable.as_tensor()).unwrap();
        let lengths = gradient
            .sqr()
            .unwrap()
            .sum(1)
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(lengths[1], 0.0);
        assert!(lengths[0] > 0.0);
    }
}
