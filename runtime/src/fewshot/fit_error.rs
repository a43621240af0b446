//! Why a head could not be fitted.

/// Explains why a head could not be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FitError {
    /// There is no example.
    #[error("there is no example to learn from")]
    NoExamples,
    /// No example has a label that a class needs.
    #[error("no example has the label {label}")]
    LabelWithoutExamples {
        /// The first such label.
        label: usize,
    },
    /// A label is not below the number of classes.
    #[error("label {label} is not below the number of classes, {classes}")]
    LabelOutOfRange {
        /// The label found.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// The Gram matrix or the dual coefficients are not as long as labels and classes say.
    #[error("{found} values where examples and classes ask for {needed}")]
    Length {
        /// Values that are needed.
        needed: usize,
        /// Values that were given.
        found: usize,
    },
    /// The scratch buffer is too short: see [`fit_scratch_len`](super::fit_scratch_len) and
    /// [`Learner::scratch_len`](super::Learner::scratch_len).
    #[error("the scratch buffer holds {found} values and {needed} are needed")]
    ScratchTooShort {
        /// Values that are needed.
        needed: usize,
        /// Values that the buffer holds.
        found: usize,
    },
    /// `lambda` or `c` is not positive and finite.
    #[error("lambda or c must be positive and finite")]
    Parameter,
    /// A similarity, or a value computed from similarities, is infinite or not a number.
    #[error("a similarity of two examples is not finite")]
    NotFinite,
    /// `lambda` is too small for examples of this size in single precision.
    #[error("lambda is too small for these examples: raise it")]
    NotPositiveDefinite,
    /// The logistic head did not reach its optimum in the steps it is allowed: `c` is too large for
    /// examples of this size in single precision.
    #[error("c is too large for these examples: lower it")]
    NotConverged,
}
