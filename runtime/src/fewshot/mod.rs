//! Learning from a few examples: directions in int8, support set, linear heads, open-set decision.
//!
//! Only the direction of an embedding from the base mean counts, as int8 ([`direction`]); a
//! [`SupportSet`] keeps the directions of the examples. Everything else is computed from similarities
//! of directions ([`Metric`]): a linear head is fitted to the matrix of them ([`fit`]), and a query's
//! similarities to the examples give a score for each class ([`scores`]) and a [`Decision`]: the class
//! with the best score, or *unknown* if the query is too unlike that class. How unlike is too unlike, a
//! threshold says. The user sets it, or it is calibrated for each class ([`Calibration`]) by how alike
//! unrelated sounds are ([`Reference`], packed with the backbone), by the scores of the class's own examples,
//! each left out once, and by those of the negatives and the background. A backbone
//! that brings a [`Cohort`](crate::model::Cohort) of ordinary sounds along lowers every similarity by how
//! ordinary the query is. How much each part of an embedding counts can be chosen for each task
//! ([`Shares`]).
//! [`Learner`] joins all that, in memory that it is lent ([`Storage`]).
//!
//! With `n` examples of `d` values the heads work with the `n x n` Gram matrix of the examples,
//! because `n` is far below `d`, and never make weights of `d` values: a class costs `n` dual
//! coefficients. All of it depends on the bytes of the directions alone, in a fixed order of
//! operations and with the same bits on every target; a few sums of `n` terms run in `f64` where
//! that keeps a solution to 1e-4.

mod class;
mod class_scores;
mod decision;
mod direction;
mod fit_error;
mod gram;
mod head;
mod learner;
mod level;
mod linalg;
mod logistic;
mod metric;
mod nearest_mean;
pub mod persist;
mod quality;
mod reference;
mod ridge;
mod score_tail;
mod shares;
mod storage;
mod strangers;
mod support;

pub use class::{CLASS_NAME_BYTES, Class, ClassId, ClassName, Role, steers};
pub use class_scores::ClassScores;
pub use decision::{Decision, best_score, softmax};
pub(crate) use direction::is_direction;
pub use direction::{DIRECTION_PEAK, DirectionError, direction};
pub use fit_error::FitError;
pub use head::{HeadKind, ScoresError, fit, fit_scratch_len, scores};
pub use learner::{ClassifyError, EnrolError, Learner};
pub use linalg::dot;
pub use metric::Metric;
pub use quality::{Limits, Refusal};
pub use reference::{REFERENCE_TAILS, Reference};
pub use score_tail::{PlaceThreshold, ScoreTail};
pub use shares::{Shares, suited_to};
#[cfg(feature = "std")]
pub use storage::StorageVec;
pub use storage::{Rooms, Storage, StorageMut};
pub use strangers::{Calibration, Strangers};
pub use support::{SupportError, SupportSet};
