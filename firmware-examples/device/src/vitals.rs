//! Decides whether a watchdog may be fed: only while all that must go on goes on.

use core::sync::atomic::{AtomicU32, Ordering};

/// Parts of a device that must go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Part {
    /// Samples come from the microphone.
    Microphone = 1,
    /// The device listens to them.
    Listening = 2,
    /// The button is watched.
    Button = 4,
}

/// All parts.
const ALL: u32 = Part::Microphone as u32 | Part::Listening as u32 | Part::Button as u32;

/// Signs of life since the watchdog was last fed.
#[derive(Debug, Default)]
pub struct Vitals(AtomicU32);

impl Vitals {
    /// Begins without a sign of life.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Notes that a part has gone on.
    pub fn goes_on(&self, part: Part) {
        self.0.fetch_or(part as u32, Ordering::Relaxed);
    }

    /// Tells whether all parts have gone on since this was last true: then the watchdog is fed.
    pub fn may_feed(&self) -> bool {
        let all = self.0.load(Ordering::Relaxed) == ALL;
        if all {
            self.0.store(0, Ordering::Relaxed);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_stands_still_starves_the_watchdog() {
        let vitals = Vitals::new();
        let parts = [Part::Microphone, Part::Listening, Part::Button];
        for missing in parts {
            let others = parts.into_iter().filter(|part| *part != missing);
            for part in others {
                (0..3).for_each(|_| vitals.goes_on(part));
                assert!(!vitals.may_feed(), "{missing:?}");
            }
            vitals.goes_on(missing);
            assert!(vitals.may_feed(), "{missing:?}");
            assert!(!vitals.may_feed(), "{missing:?}");
        }
    }
}
