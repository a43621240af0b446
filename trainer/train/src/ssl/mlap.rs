//! The predictive objective: which operators made this view, and with what parameters.

use candle_core::{Result, Tensor};

/// Binary cross entropy of every operator's logit against its label, mean over rows and operators:
/// `max(x, 0) - x * y + ln(1 + exp(-|x|))`, the form that does not overflow.
///
/// Both arguments are `[views, operators]`.
///
/// # Errors
/// If the shapes differ.
pub fn augmentation_prediction(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let softplus = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((logits.relu()? - (logits * labels)?)? + softplus)?.mean_all()
}

/// Squared error of the operators' parameters (each scaled to -1 to 1 over its range), mean over the
/// operators that ran; 0 where none did. The published system declares this and leaves it out.
///
/// All three arguments are `[views, operators]`; `labels` says which operators ran.
///
/// # Errors
/// If the shapes differ.
pub fn parameter_regression(
    predicted: &Tensor,
    parameters: &Tensor,
    labels: &Tensor,
) -> Result<Tensor> {
    let errors = ((predicted - parameters)?.sqr()? * labels)?.sum_all()?;
    let count = labels.sum_all()?.to_scalar::<f32>()?.max(1.0);
    errors / f64::from(count)
}

/// Returns the share of labels that the logits' signs get right, 0 to 1.
///
/// # Errors
/// If the shapes differ.
pub fn label_accuracy(logits: &Tensor, labels: &Tensor) -> Result<f32> {
    let (logits, labels) = (
        logits.flatten_all()?.to_vec1::<f32>()?,
        labels.flatten_all()?.to_vec1::<f32>()?,
    );
    let right = logits
        .iter()
        .zip(&labels)
        .filter(|(x, y)| (**x > 0.0) == (**y > 0.5));
    Ok(right.count() as f32 / labels.len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use candle_core::Device;

    #[test]
    fn matches_the_definition_and_stays_finite() {
        let logits = Tensor::new(&[[0.3f32, -2.0, 80.0], [-90.0, 1.0, 0.1]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[[1f32, 0.0, 1.0], [0.0, 0.0, 1.0]], &Device::Cpu).unwrap();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let expected = -(sigmoid(0.3).ln()
            + (1.0 - sigmoid(-2.0)).ln()
            + (1.0 - sigmoid(1.0)).ln()
            + sigmoid(0.1).ln())
            / 6.0;
        let got: f32 = augmentation_prediction(&logits, &labels)
            .unwrap()
            .to_scalar()
            .unwrap();
        assert!(
            (f64::from(got) - expected).abs() < 1e-5,
            "{got} != {expected}"
        );
        assert!((label_accuracy(&logits, &labels).unwrap() - 5.0 / 6.0).abs() < 1e-6);
    }

    #[test]
    fn regression_counts_only_operators_that_ran() {
        let tensor = |rows: [[f32; 2]; 2]| Tensor::new(&rows, &Device::Cpu).unwrap();
        let labels = tensor([[1.0, 0.0], [1.0, 0.0]]);
        let truth = tensor([[0.5, 0.0], [-1.0, 0.0]]);
        let predicted = tensor([[0.0, 9.0], [-0.5, 9.0]]);
        let loss = |labels: &Tensor| -> f32 {
            let loss = parameter_regression(&predicted, &truth, labels).unwrap();
            loss.to_scalar().unwrap()
        };
        assert!((loss(&labels) - 0.25).abs() < 1e-6);
        assert_eq!(loss(&labels.zeros_like().unwrap()), 0.0);
        check_gradient(&[predicted], |t| {
            parameter_regression(&t[0], &truth, &labels)
        });
    }

    #[test]
    fn gradient_matches_finite_differences() {
        let labels = random(2, &[4, 7])
            .ge(0.0)
            .unwrap()
            .to_dtype(candle_core::DType::F32)
            .unwrap();
        check_gradient(&[random(1, &[4, 7])], |t| {
            augmentation_prediction(&t[0], &labels)
        });
    }
}
