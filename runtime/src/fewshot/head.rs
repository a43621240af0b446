//! The linear heads behind one call.

use super::linalg::dot;
use super::{logistic, nearest_mean, ridge};

/// Which linear head is fitted to the support set.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// Why a head could not be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FitError {
    /// There is no example.
    NoExamples,
    /// A class, counted from 0, has no example.
    ClassWithoutExamples {
        /// The first such class.
        class: u8,
    },
    /// A label is not below the number of classes.
    LabelOutOfRange {
        /// The label found.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
    /// Examples, weights or biases are not as long as labels, classes and dimension say.
    Length {
        /// Values that are needed.
        needed: usize,
        /// Values that are there.
        found: usize,
    },
    /// The scratch buffer is shorter than [`fit_scratch_len`].
    ScratchTooShort {
        /// Values that are needed.
        needed: usize,
        /// Values that are there.
        found: usize,
    },
    /// `lambda` or `c` is not positive and finite.
    Parameter,
    /// A value of the examples is infinite or not a number.
    NotFinite,
    /// `lambda` is too small for examples of this size in single precision.
    NotPositiveDefinite,
    /// The logistic head did not reach its optimum in the steps it is allowed: `c` is too large for
    /// examples of this size in single precision.
    NotConverged,
}

/// Length in `f32` of the scratch buffer that [`fit`] needs for `n` examples of `dim` values in
/// `classes` classes. It does not grow with `dim`, and grows with `n` and `classes`, so the length
/// for the largest support set serves for every smaller one.
pub const fn fit_scratch_len(kind: HeadKind, n: usize, dim: usize, classes: usize) -> usize {
    let _ = dim;
    match kind {
        HeadKind::NearestMean => 0,
        HeadKind::Ridge { .. } => ridge::scratch_len(n),
        HeadKind::Logistic { .. } => logistic::scratch_len(n, classes),
    }
}

/// Fits a linear head.
///
/// `x` holds `n` normalised examples of `dim` values in a row, `y` their `n` labels below `classes`;
/// every class needs an example. Writes `weights`, `classes x dim` in a row, and `bias`, `classes`
/// values. After an error their content is meaningless.
///
/// ```
/// use mtslvr_runtime::fewshot::{HeadKind, fit, fit_scratch_len, scores};
/// let kind = HeadKind::Ridge { lambda: 0.5 };
/// let x = [1.0, 0.0, 0.8, 0.6, 0.0, 1.0];
/// let y = [0, 0, 1];
/// let (mut weights, mut bias) = ([0.0; 4], [0.0; 2]);
/// let mut scratch = vec![0.0; fit_scratch_len(kind, 3, 2, 2)];
/// fit(kind, &x, &y, 2, 2, &mut weights, &mut bias, &mut scratch).unwrap();
/// let mut out = [0.0; 2];
/// scores(&weights, &bias, &[-0.28, 0.96], &mut out);
/// assert!(out[1] > out[0]);
/// ```
#[expect(
    clippy::too_many_arguments,
    reason = "two matrices, two vectors and their sizes"
)]
pub fn fit(
    kind: HeadKind,
    x: &[f32],
    y: &[u8],
    classes: usize,
    dim: usize,
    weights: &mut [f32],
    bias: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), FitError> {
    check(x, y, classes, dim)?;
    for (needed, found) in [(classes * dim, weights.len()), (classes, bias.len())] {
        if found != needed {
            return Err(FitError::Length { needed, found });
        }
    }
    let needed = fit_scratch_len(kind, y.len(), dim, classes);
    let found = scratch.len();
    let scratch = scratch
        .get_mut(..needed)
        .ok_or(FitError::ScratchTooShort { needed, found })?;
    match kind {
        HeadKind::NearestMean => nearest_mean::fit(x, y, dim, weights, bias),
        HeadKind::Ridge { lambda } => {
            positive(lambda)?;
            ridge::fit(lambda, x, y, dim, weights, bias, scratch)?;
        }
        HeadKind::Logistic { c } => {
            positive(c)?;
            logistic::fit(c, x, y, dim, weights, bias, scratch)?;
        }
    }
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    if finite(weights) && finite(bias) {
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

fn check(x: &[f32], y: &[u8], classes: usize, dim: usize) -> Result<(), FitError> {
    if y.is_empty() || dim == 0 {
        return Err(FitError::NoExamples);
    }
    if x.len() != y.len() * dim {
        return Err(FitError::Length {
            needed: y.len() * dim,
            found: x.len(),
        });
    }
    // 256 flags: one for each value that a label can have.
    let mut seen = [0_u64; 4];
    for &label in y {
        if usize::from(label) >= classes {
            return Err(FitError::LabelOutOfRange { label, classes });
        }
        seen[usize::from(label) / 64] |= 1 << (label % 64);
    }
    for class in 0..classes {
        if class > 255 || seen[class / 64] >> (class % 64) & 1 == 0 {
            return Err(FitError::ClassWithoutExamples {
                class: class.min(255) as u8,
            });
        }
    }
    if x.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(FitError::NotFinite)
    }
}

/// Writes a score per class of `query`: `weights x query + bias`.
///
/// The best class is the one with the largest score. What a score means depends on the head: half
/// the squared distance to the class mean, negated, plus half the query's squared length
/// ([`HeadKind::NearestMean`]); an estimate of 1 for the class and 0 for another
/// ([`HeadKind::Ridge`]); a logarithm of the class's probability up to a constant
/// ([`HeadKind::Logistic`]; [`super::softmax`] gives the probabilities).
///
/// # Panics
/// If `weights` is shorter than `out.len()` rows of `query.len()` values, or `bias` than `out`.
pub fn scores(weights: &[f32], bias: &[f32], query: &[f32], out: &mut [f32]) {
    let dim = query.len();
    for (class, score) in out.iter_mut().enumerate() {
        *score = dot(&weights[class * dim..(class + 1) * dim], query) + bias[class];
    }
}

impl core::fmt::Display for FitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoExamples => f.write_str("there is no example to learn from"),
            Self::ClassWithoutExamples { class } => write!(f, "class {class} has no example"),
            Self::LabelOutOfRange { label, classes } => {
                write!(
                    f,
                    "label {label} is not below the number of classes, {classes}"
                )
            }
            Self::Length { needed, found } => write!(
                f,
                "{found} values where labels, classes and dimension ask for {needed}"
            ),
            Self::ScratchTooShort { needed, found } => write!(
                f,
                "the scratch buffer holds {found} values and {needed} are needed: see \
                 fit_scratch_len"
            ),
            Self::Parameter => f.write_str("lambda or c must be positive and finite"),
            Self::NotFinite => f.write_str("an example holds a value that is not finite"),
            Self::NotPositiveDefinite => {
                f.write_str("lambda is too small for these examples: raise it")
            }
            Self::NotConverged => f.write_str("c is too large for these examples: lower it"),
        }
    }
}

impl core::error::Error for FitError {}

#[cfg(test)]
mod tests;
