//! Takes profiles from a learner and gives them to it, for a device that is served.

use super::description::Description;
use super::refusal::Refusal;
use crate::fewshot::Learner;
use crate::fewshot::persist::export;
#[cfg(feature = "flash")]
use crate::fewshot::persist::{BlockingFlashStore, import};
#[cfg(feature = "flash")]
use embedded_storage::nor_flash::NorFlash;

/// Describes a device that has `learner` under the model `name`, but for what its session knows.
pub fn describe<'a>(learner: &Learner<'_>, name: &'a str) -> Description<'a> {
    let support = learner.support();
    let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    Description {
        classes: count(support.class_count()),
        examples: count(support.example_count()),
        class_room: count(support.class_capacity()),
        example_room: count(support.example_capacity()),
        ..Description::of(support.space().backbone(), name)
    }
}

/// Writes what `learner` was taught into `out` and returns its length.
///
/// # Errors
/// [`Refusal::TooLong`].
pub fn give_profile(learner: &Learner<'_>, out: &mut [u8]) -> Result<usize, Refusal> {
    Ok(export(learner, out)?)
}

/// Makes `learner` know what `snapshot` holds, and `store` keep it: what an implementation of
/// [`Served::import`](super::Served::import) does. The head is fitted in `fit`, and the store works in `scratch`.
///
/// # Errors
/// [`Refusal`]. Learner and store then are as they were; the learner is as in the store.
#[cfg(feature = "flash")]
pub fn replace_profile<F: NorFlash>(
    snapshot: &[u8],
    learner: &mut Learner<'_>,
    fit: &mut [f32],
    store: &mut BlockingFlashStore<F>,
    scratch: &mut [u8],
) -> Result<(), Refusal> {
    import(learner, snapshot)?;
    let mut replaced = fit_if_any(learner, fit);
    if replaced.is_ok() {
        replaced = store.save(learner, scratch).map_err(|_| Refusal::Flash);
    }
    if replaced.is_err() {
        // A store that cannot be read leaves a learner that knows nothing, as after a start.
        let _ = store.load(learner, scratch);
        let _ = fit_if_any(learner, fit);
    }
    replaced
}

#[cfg(feature = "flash")]
fn fit_if_any(learner: &mut Learner<'_>, fit: &mut [f32]) -> Result<(), Refusal> {
    if learner.support().class_count() == 0 {
        return Ok(());
    }
    learner.fit(fit).map_err(|_| Refusal::NotFitted)
}
