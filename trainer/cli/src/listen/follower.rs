//! A learner that follows the profile while another process changes it.

use super::super::profile::BackboneInUse;
use super::verdict::Known;
use anyhow::{Result, bail};
use mtslvr_audio::ShowPath;
use mtslvr_listen::profile::{Memory, Profile, ProfileError};
use mtslvr_runtime::fewshot::{Learner, Role};
use std::time::{Duration, Instant, SystemTime};

/// Time between two looks at the profile's file.
const PERIOD: Duration = Duration::from_secs(1);

/// A fitted learner that holds what the profile held when it was last looked at.
#[derive(Debug)]
pub(super) struct ProfileFollower<'m> {
    learner: Learner<'m>,
    /// Time of change and length of the file that was read last.
    stamp: Option<(SystemTime, u64)>,
    looked: Instant,
}

impl<'m> ProfileFollower<'m> {
    /// Reads the profile and fits a learner in `memory`.
    ///
    /// # Errors
    /// If the profile cannot be used, or holds no sound that is enabled.
    pub(super) fn new(
        profile: &Profile,
        backbone: &BackboneInUse,
        memory: &'m mut Memory,
    ) -> Result<Self> {
        let mut follower = Self {
            stamp: stamp(profile),
            learner: memory.learner(),
            looked: Instant::now(),
        };
        backbone.restore(profile, &mut follower.learner)?;
        follower.fit();
        let classes = follower.learner.support().classes();
        let sounds = classes.iter().filter(|class| class.role() == Role::Sound);
        match (
            sounds.clone().count(),
            sounds.filter(|sound| sound.is_enabled()).count(),
        ) {
            (0, _) => bail!(
                "{}: no sound to listen for; enrol one first: `mtslvr enrol NAME CLIP...`",
                profile.path().shown()
            ),
            (disabled, 0) => bail!(
                "{}: all {disabled} sounds are disabled, expected one that is not; switch one on with \
                 `mtslvr classes enable NAME`",
                profile.path().shown()
            ),
            _ => Ok(follower),
        }
    }

    /// Reads the profile again if it has changed, at most once a [`PERIOD`], and returns whether it
    /// has. If the new profile cannot be used, `warn` is called and the earlier one stays.
    pub(super) fn refresh(
        &mut self,
        profile: &Profile,
        backbone: &BackboneInUse,
        warn: impl FnOnce(&ProfileError),
    ) -> bool {
        if self.looked.elapsed() < PERIOD {
            return false;
        }
        self.looked = Instant::now();
        let stamp = stamp(profile);
        if stamp.is_none() || stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        if let Err(error) = backbone.restore(profile, &mut self.learner) {
            warn(&error);
        }
        self.fit();
        true
    }

    /// Fits the head. A learner without an enabled class has nothing to fit, and the listener does not
    /// ask it.
    fn fit(&mut self) {
        let classes = self.learner.support().classes();
        if classes
            .iter()
            .any(mtslvr_runtime::fewshot::Class::is_enabled)
        {
            let mut scratch = vec![0.0; self.learner.scratch_len()];
            self.learner
                .fit(&mut scratch)
                .expect("directions are finite, and the default head solves for them");
        }
    }

    pub(super) fn learner(&mut self) -> &mut Learner<'m> {
        &mut self.learner
    }

    pub(super) fn class_capacity(&self) -> usize {
        self.learner.support().class_capacity()
    }

    /// Returns the classes as they are named to people, in their order.
    pub(super) fn classes(&self) -> Vec<Known> {
        let classes = self.learner.support().classes().iter();
        classes.map(Known::of).collect()
    }
}

fn stamp(profile: &Profile) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(profile.path()).ok()?;
    Some((file.modified().ok()?, file.len()))
}
