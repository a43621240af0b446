//! Decides whether a watchdog may be fed: only while all that must go on goes on.

use core::sync::atomic::{AtomicBool, Ordering};

/// Parts of a device that must go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Samples come from the microphone.
    Microphone,
    /// The device listens to them.
    Listening,
    /// The button is watched.
    Button,
}

/// Signs of life since the watchdog was last fed.
#[derive(Debug, Default)]
pub struct Vitals {
    // Stored and loaded only: some cores can do no more at once.
    microphone: AtomicBool,
    listening: AtomicBool,
    button: AtomicBool,
}

impl Vitals {
    /// Begins without a sign of life.
    pub const fn new() -> Self {
        Self {
            microphone: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            button: AtomicBool::new(false),
        }
    }

    /// Notes that a part has gone on.
    pub fn goes_on(&self, part: Part) {
        let sign = match part {
            Part::Microphone => &self.microphone,
            Part::Listening => &self.listening,
            Part::Button => &self.button,
        };
        sign.store(true, Ordering::Relaxed);
    }

    /// Tells whether all parts have gone on since this was last true: then the watchdog is fed.
    pub fn may_feed(&self) -> bool {
        let signs = [&self.microphone, &self.listening, &self.button];
        let all = signs.iter().all(|sign| sign.load(Ordering::Relaxed));
        if all {
            for sign in signs {
                sign.store(false, Ordering::Relaxed);
            }
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
