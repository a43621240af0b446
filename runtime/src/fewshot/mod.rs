//! Learning from a few examples: normalisation, support set, linear heads, open-set decision.
//!
//! Embeddings are centred and brought to unit length ([`normalise`]), kept in a [`SupportSet`], and
//! a linear head is fitted to them ([`fit`]). A query gets a [`scores`] value per class and a
//! [`Decision`]: the class with the best score, or *unknown* if the query is too unlike that class.
//! The arithmetic is in functions on slices, for run-time sizes; [`Learner`] joins them with
//! capacities fixed at compile time.
//!
//! With `n` examples of `d` values the heads work with the `n x n` Gram matrix of the examples,
//! because `n` is far below `d`. All of it is `f32`, in a fixed order of operations and with the
//! same bits on every target; a few sums of `n` terms run in `f64` where that keeps a solution
//! to 1e-4.

mod decision;
mod head;
mod learner;
mod linalg;
mod logistic;
mod nearest_mean;
mod normalise;
mod ridge;
mod support;

pub use decision::{Decision, decide, similarity_to_class, softmax};
pub use head::{FitError, HeadKind, fit, fit_scratch_len, scores};
pub use learner::{ClassifyError, EnrolError, Learner};
pub use linalg::dot;
pub use normalise::{NormaliseError, normalise};
pub use support::{CLASS_NAME_BYTES, ClassName, SupportError, SupportSet};
