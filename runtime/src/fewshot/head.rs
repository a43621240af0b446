//! The linear heads behind one call.

use super::{FitError, logistic, nearest_mean, ridge};
use crate::parts::copy;

/// Chooses the linear head that is fitted to the support set.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeadKind {
    /// Nearest class mean.
    NearestMean,
    /// Ridge regression to one-hot targets.
    Ridge {
        /// Weight of the squared norm of the weights; positive.
        lambda: f32,
    },
    /// Multinomial logistic regression with L2 penalty.
    Logistic {
        /// Weight of the data against the penalty, scikit-learn's `C`; positive.
        c: f32,
    },
}

impl Default for HeadKind {
    /// Ridge with `lambda` 0.3: in closed form, and with several examples a class ahead of the nearest
    /// mean on real recordings (the table is in the project's `models/RESULTS.md`).
    fn default() -> Self {
        Self::Ridge { lambda: 0.3 }
    }
}

impl HeadKind {
    /// Returns the penalty of the ridge head by which shares of the parts are judged
    /// ([`suited_to`](super::suited_to)): its own if it is one, otherwise the default's.
    pub fn penalty(self) -> f32 {
        match (self, Self::default()) {
            (Self::Ridge { lambda }, _) | (_, Self::Ridge { lambda }) => lambda,
            _ => 1.0,
        }
    }
}

/// Returns the length in `f32` of the scratch buffer that [`fit`] needs for `n` examples in `classes`
/// classes, beside the Gram matrix of `n * n` values. It grows with `n` and `classes`, so the length
/// for the largest support set serves for every smaller one.
pub const fn fit_scratch_len(kind: HeadKind, n: usize, classes: usize) -> usize {
    match kind {
        HeadKind::NearestMean => 0,
        HeadKind::Ridge { .. } => ridge::scratch_len(n),
        HeadKind::Logistic { .. } => logistic::scratch_len(n, classes),
    }
}

/// Fits a linear head to `n` examples, of which it needs the similarities (dot products) only.
///
/// `gram` holds the similarity of each example with each other one, `n x n`, and is overwritten;
/// `labels` are the examples' classes, below `bias.len()`; every class needs an example. Writes `dual`,
/// a row of `n` coefficients for each class, and `bias`. The weights of a class are the sum of the
/// examples, each times its coefficient; [`scores`] does without them.
///
/// ```
/// use mtslvr_runtime::fewshot::{HeadKind, Metric, fit, fit_scratch_len, scores};
/// use mtslvr_runtime::space::{Part, Parts};
/// let kind = HeadKind::Ridge { lambda: 0.5 };
/// let parts = Parts::new([Part { name: "features", len: 2, share: 1.0 }]).unwrap();
/// let metric = Metric::new(&parts);
/// let examples: [&[i8]; 3] = [&[127, 0], &[127, 95], &[0, 127]];
/// let mut gram = [0.0; 9];
/// metric.gram(examples.into_iter(), &mut gram)?;
/// let (mut dual, mut bias) = ([0.0; 6], [0.0; 2]);
/// let mut scratch = vec![0.0; fit_scratch_len(kind, 3, 2)];
/// fit(kind, &mut gram, &[0, 0, 1], &mut dual, &mut bias, &mut scratch)?;
/// let mut out = [0.0; 2];
/// let query = [-37, 127];
/// scores(&dual, &bias, examples.iter().map(|x| metric.similarity(x, &query)), &mut out)?;
/// assert!(out[1] > out[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FitError`]; `dual` and `bias` are then meaningless.
pub fn fit(
    kind: HeadKind,
    gram: &mut [f32],
    labels: &[u8],
    dual: &mut [f32],
    bias: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let (n, classes) = (labels.len(), bias.len());
    check(gram, labels, classes)?;
    let (needed, found) = (classes.saturating_mul(n), dual.len());
    if found != needed {
        return Err(FitError::Length { needed, found });
    }
    let needed = fit_scratch_len(kind, n, classes);
    let found = scratch.len();
    let scratch = scratch
        .get_mut(..needed)
        .ok_or(FitError::ScratchTooShort { needed, found })?;
    match kind {
        HeadKind::NearestMean => nearest_mean::fit(gram, labels, dual, bias),
        HeadKind::Ridge { lambda } => {
            positive(lambda)?;
            ridge::fit(lambda, gram, labels, dual, bias, scratch)?;
        }
        HeadKind::Logistic { c } => {
            positive(c)?;
            logistic::fit(c, gram, labels, dual, bias, scratch)?;
        }
    }
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    if finite(dual) && finite(bias) {
        Ok(())
    } else {
        Err(FitError::NotFinite)
    }
}

fn positive(parameter: f32) -> Result<(), FitError> {
    if parameter > 0.0 && parameter.is_finite() {
        Ok(())
    } else {
        Err(FitError::Parameter)
    }
}

fn check(gram: &[f32], labels: &[u8], classes: usize) -> Result<(), FitError> {
    let n = labels.len();
    if n == 0 {
        return Err(FitError::NoExamples);
    }
    let (needed, found) = (n.saturating_mul(n), gram.len());
    if found != needed {
        return Err(FitError::Length { needed, found });
    }
    // 256 flags: one for each value that a label can have.
    let mut seen = [0_u64; 4];
    for &label in labels {
        if usize::from(label) >= classes {
            return Err(FitError::LabelOutOfRange { label, classes });
        }
        seen[usize::from(label) / 64] |= 1 << (label % 64);
    }
    for label in 0..classes {
        if label > 255 || seen[label / 64] >> (label % 64) & 1 == 0 {
            return Err(FitError::LabelWithoutExamples { label });
        }
    }
    if gram.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(FitError::NotFinite)
    }
}

/// Writes a score of a query for each class, from a fitted head and the query's `similarities` to the
/// examples in their order.
///
/// The best class is the one with the largest score. The meaning of a score depends on the head: half
/// the squared distance to the class mean, negated, plus half the query's squared length
/// ([`HeadKind::NearestMean`]); an estimate of 1 for the class and 0 for another
/// ([`HeadKind::Ridge`]); a logarithm of the class's probability up to a constant
/// ([`HeadKind::Logistic`]; [`super::softmax`] gives the probabilities).
///
/// # Errors
/// [`ScoresError`] if the lengths do not fit together; `out` is then meaningless.
pub fn scores(
    dual: &[f32],
    bias: &[f32],
    similarities: impl IntoIterator<Item = f32>,
    out: &mut [f32],
) -> Result<(), ScoresError> {
    let classes = out.len();
    if bias.len() != classes {
        return Err(ScoresError::Classes);
    }
    let n = dual.len() / classes.max(1);
    if dual.len() != n * classes {
        return Err(ScoresError::Classes);
    }
    copy(bias, out).ok_or(ScoresError::Classes)?;
    for (example, similarity) in similarities.into_iter().enumerate() {
        if example >= n {
            return Err(ScoresError::Examples);
        }
        let column = dual.iter().skip(example).step_by(n);
        for (score, dual) in out.iter_mut().zip(column) {
            *score += dual * similarity;
        }
    }
    Ok(())
}

/// Explains why [`scores`] could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ScoresError {
    /// There is not one bias, one row of dual coefficients and room for one score for each class.
    #[error("biases, rows of dual coefficients and room for scores differ in number")]
    Classes,
    /// There are more similarities than dual coefficients in a row.
    #[error("there are more similarities than dual coefficients of a class")]
    Examples,
}

#[cfg(test)]
mod tests;
