//! The linear heads behind one call.

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
    /// The Gram matrix or the dual coefficients are not as long as labels and classes say.
    Length {
        /// Values that are needed.
        needed: usize,
        /// Values that are there.
        found: usize,
    },
    /// The scratch buffer is too short: see [`fit_scratch_len`] and [`super::Learner::scratch_len`].
    ScratchTooShort {
        /// Values that are needed.
        needed: usize,
        /// Values that are there.
        found: usize,
    },
    /// `lambda` or `c` is not positive and finite.
    Parameter,
    /// A similarity, or what was computed from them, is infinite or not a number.
    NotFinite,
    /// `lambda` is too small for examples of this size in single precision.
    NotPositiveDefinite,
    /// The logistic head did not reach its optimum in the steps it is allowed: `c` is too large for
    /// examples of this size in single precision.
    NotConverged,
}

/// Length in `f32` of the scratch buffer that [`fit`] needs for `n` examples in `classes` classes,
/// beside the Gram matrix of `n * n` values. It grows with `n` and `classes`, so the length for the
/// largest support set serves for every smaller one.
pub const fn fit_scratch_len(kind: HeadKind, n: usize, classes: usize) -> usize {
    match kind {
        HeadKind::NearestMean => 0,
        HeadKind::Ridge { .. } => ridge::scratch_len(n),
        HeadKind::Logistic { .. } => logistic::scratch_len(n, classes),
    }
}

/// Fits a linear head to `n` examples, of which it needs the similarities (dot products) only.
///
/// `gram` holds those of each example with each other one, `n x n`, and is overwritten; `labels` are
/// the examples' classes, below `bias.len()`; every class needs an example. Writes `dual`, a row of
/// `n` coefficients for each class, and `bias`. The weights of a class are the sum of the examples,
/// each times its coefficient; [`scores`] does without them. After an error `dual` and `bias` are
/// meaningless.
///
/// ```
/// use mtslvr_runtime::fewshot::{HeadKind, Metric, fit, fit_scratch_len, scores};
/// use mtslvr_runtime::space::{Part, Parts};
/// let kind = HeadKind::Ridge { lambda: 0.5 };
/// let parts = Parts::new([Part { name: "features", len: 2, share: 1.0 }]).unwrap();
/// let metric = Metric::new(&parts);
/// let examples: [&[i8]; 3] = [&[127, 0], &[127, 95], &[0, 127]];
/// let mut gram = [0.0; 9];
/// metric.gram(examples.into_iter(), &mut gram);
/// let (mut dual, mut bias) = ([0.0; 6], [0.0; 2]);
/// let mut scratch = vec![0.0; fit_scratch_len(kind, 3, 2)];
/// fit(kind, &mut gram, &[0, 0, 1], &mut dual, &mut bias, &mut scratch).unwrap();
/// let mut out = [0.0; 2];
/// let query = [-37, 127];
/// scores(&dual, &bias, examples.iter().map(|x| metric.similarity(x, &query)), &mut out);
/// assert!(out[1] > out[0]);
/// ```
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
    if dual.len() != classes * n {
        let (needed, found) = (classes * n, dual.len());
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
    if gram.len() != n * n {
        let (needed, found) = (n * n, gram.len());
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
    for class in 0..classes {
        if class > 255 || seen[class / 64] >> (class % 64) & 1 == 0 {
            return Err(FitError::ClassWithoutExamples {
                class: class.min(255) as u8,
            });
        }
    }
    if gram.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(FitError::NotFinite)
    }
}

/// Writes a score per class of a query, from a fitted head and the query's `similarities` to the
/// examples in their order.
///
/// The best class is the one with the largest score. What a score means depends on the head: half
/// the squared distance to the class mean, negated, plus half the query's squared length
/// ([`HeadKind::NearestMean`]); an estimate of 1 for the class and 0 for another
/// ([`HeadKind::Ridge`]); a logarithm of the class's probability up to a constant
/// ([`HeadKind::Logistic`]; [`super::softmax`] gives the probabilities).
///
/// # Panics
/// If `dual` is not `out.len()` rows of a value per example, or `bias` is shorter than `out`.
pub fn scores(
    dual: &[f32],
    bias: &[f32],
    similarities: impl IntoIterator<Item = f32>,
    out: &mut [f32],
) {
    let n = dual.len() / out.len().max(1);
    out.copy_from_slice(&bias[..out.len()]);
    for (example, similarity) in similarities.into_iter().enumerate() {
        assert!(example < n, "more similarities than dual coefficients");
        for (score, dual) in out.iter_mut().zip(dual[example..].iter().step_by(n)) {
            *score += dual * similarity;
        }
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
                "{found} values where labels and classes ask for {needed}"
            ),
            Self::ScratchTooShort { needed, found } => write!(
                f,
                "the scratch buffer holds {found} values and {needed} are needed"
            ),
            Self::Parameter => f.write_str("lambda or c must be positive and finite"),
            Self::NotFinite => f.write_str("a similarity of two examples is not finite"),
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
