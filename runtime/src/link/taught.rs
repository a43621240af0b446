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

#[cfg(all(test, feature = "flash"))]
mod tests {
    use super::*;
    use crate::fewshot::persist::{flash_len, snapshot_len, store_scratch_len};
    use crate::fewshot::{HeadKind, Reference, StorageVec};
    use crate::space::test_space::space;
    use mtslvr_simulated_flash::SimulatedFlash;

    const DIM: usize = 6;
    const PAGE: usize = 512;
    const LEN: usize = flash_len(2, 4, DIM, PAGE).unwrap();
    const SCRATCH: usize = store_scratch_len(2, 4, DIM);

    fn learner(room: &mut StorageVec) -> Learner<'_> {
        let space = space(&[4, 2], &[0.0; DIM], Reference::assumed(0.5));
        Learner::new(room.lend(), HeadKind::default(), space).unwrap()
    }

    fn snapshot(learner: &Learner<'_>) -> Vec<u8> {
        let mut bytes = vec![0; snapshot_len(learner.support())];
        let len = give_profile(learner, &mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }

    /// A profile that came over the link is fitted, and outlives a restart; one that cannot be read changes nothing.
    #[test]
    fn a_profile_that_came_is_recognised_and_kept() {
        let flash = SimulatedFlash::<PAGE, 4>::new(LEN / PAGE);
        let mut store = BlockingFlashStore::new(flash, 0..LEN as u32).unwrap();
        let mut rooms = [(); 3].map(|()| StorageVec::new(2, 4, DIM));
        let [theirs, ours, later] = &mut rooms;
        let mut theirs = learner(theirs);
        let (a, b) = (
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [6.0, -5.0, 4.0, -3.0, 2.0, -1.0],
        );
        theirs.enrol("a", &a).unwrap();
        theirs.enrol("b", &b).unwrap();
        let mut ours = learner(ours);
        let mut fit = vec![0.0; ours.scratch_len().max(theirs.scratch_len())];
        let mut replace = |snapshot: &[u8], ours: &mut Learner<'_>, store: &mut _| {
            replace_profile(snapshot, ours, &mut fit, store, &mut [0; SCRATCH])
        };
        let came = snapshot(&theirs);
        replace(&came, &mut ours, &mut store).unwrap();
        let heard = ours.classify(&b, &mut [0.0; 2]).unwrap().best;
        assert_eq!(ours.support().name(heard), Ok("b"));

        assert_eq!(
            replace(&came[..20], &mut ours, &mut store),
            Err(Refusal::Unreadable)
        );
        let heard = ours.classify(&a, &mut [0.0; 2]).unwrap().best;
        assert_eq!(ours.support().name(heard), Ok("a"));
        let mut after_a_restart = learner(later);
        store.load(&mut after_a_restart, &mut [0; SCRATCH]).unwrap();
        assert_eq!(snapshot(&after_a_restart), came);

        // Nothing taught is nothing to fit.
        let mut room = StorageVec::new(2, 4, DIM);
        replace(&snapshot(&learner(&mut room)), &mut ours, &mut store).unwrap();
        assert_eq!(ours.support().class_count(), 0);
    }
}
