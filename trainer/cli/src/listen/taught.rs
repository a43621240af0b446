//! What is listened for, as the profile says now.

use super::super::taught::Chosen;
use anyhow::{Result, bail};
use mtslvr_listen::profile::{Memory, Profile, ProfileError, Subject};
use mtslvr_runtime::fewshot::{Class, ClassId, Learner, Role};
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at the profile's file.
const PERIOD: Duration = Duration::from_secs(1);

/// A fitted learner that follows the profile.
#[derive(Debug)]
pub(super) struct Taught<'m> {
    learner: Learner<'m>,
    /// What the file looked like when it was read.
    stamp: Option<(SystemTime, u64)>,
    looked: Instant,
}

impl<'m> Taught<'m> {
    /// Learns what the profile holds: one sound at least.
    pub fn new(profile: &Profile, chosen: &Chosen, memory: &'m mut Memory) -> Result<Self> {
        let mut taught = Self {
            stamp: stamp(profile),
            learner: memory.learner(),
            looked: Instant::now(),
        };
        chosen.restore(profile, &mut taught.learner)?;
        taught.fit();
        let classes = taught.learner.support().classes();
        let sounds = classes.iter().filter(|class| class.role() == Role::Sound);
        match (
            sounds.clone().count(),
            sounds.filter(|sound| sound.is_enabled()).count(),
        ) {
            (0, _) => bail!(
                "{}: no sound to listen for; enrol one first: `mtslvr enroll NAME CLIP...`",
                profile.path().display()
            ),
            (disabled, 0) => bail!(
                "{}: all of its {disabled} sounds are disabled; switch one on with `mtslvr classes \
                 enable NAME`",
                profile.path().display()
            ),
            _ => Ok(taught),
        }
    }

    /// Learns the profile anew if it has changed, and says whether it has. What was learnt stays
    /// where the new profile cannot be used, of which the user is warned.
    pub fn refresh(
        &mut self,
        profile: &Profile,
        chosen: &Chosen,
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
        if let Err(error) = chosen.restore(profile, &mut self.learner) {
            warn(&error);
        }
        self.fit();
        true
    }

    /// A learner without an enabled class has nothing to fit, and a listener does not ask it.
    fn fit(&mut self) {
        let enabled = self
            .learner
            .support()
            .classes()
            .iter()
            .any(|c| c.is_enabled());
        if enabled {
            let mut scratch = vec![0.0; self.learner.scratch_len()];
            self.learner
                .fit(&mut scratch)
                .expect("directions are finite, and the default head solves for them");
        }
    }

    pub fn learner(&mut self) -> &mut Learner<'m> {
        &mut self.learner
    }

    pub fn class_capacity(&self) -> usize {
        self.learner.support().class_capacity()
    }

    /// Returns ids and names of the classes, in their order.
    pub fn names(&self) -> Vec<(ClassId, String)> {
        let classes = self.learner.support().classes().iter();
        let name = |class: &Class| Subject::of(class.role(), class.name()).to_string();
        classes.map(|class| (class.id(), name(class))).collect()
    }
}

fn stamp(profile: &Profile) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(profile.path()).ok()?;
    Some((file.modified().ok()?, file.len()))
}
