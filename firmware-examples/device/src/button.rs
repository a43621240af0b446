//! Reads one button: its contact is polled every few milliseconds, and presses are told apart by their
//! length.

/// Milliseconds for which a contact must stay the same before it counts, longer than contacts bounce.
pub const SETTLE_MS: u32 = 30;
/// Milliseconds from which on a press is long.
pub const LONG_MS: u32 = 1_000;
/// Milliseconds after which a press takes effect before the button is let go.
pub const VERY_LONG_MS: u32 = 5_000;

/// How long the button was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Less than [`LONG_MS`].
    Short,
    /// From [`LONG_MS`] to [`VERY_LONG_MS`].
    Long,
    /// [`VERY_LONG_MS`]; the button may still be held.
    VeryLong,
}

/// Change of the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It went down. The press will be about the sounds heard until now.
    Down,
    /// It was pressed.
    Pressed(Press),
    /// It was let go after a very long press, which was reported when it took effect.
    Up,
}

/// A button with its bounces removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Button {
    /// Last state of the contact, and for how long it has been so.
    contact: bool,
    steady_ms: u32,
    /// How long the button has been down; `None` while it is up.
    held_ms: Option<u32>,
}

impl Button {
    /// Takes the state of the contact, `elapsed_ms` after the last call.
    pub fn poll(&mut self, down: bool, elapsed_ms: u32) -> Option<Change> {
        if down == self.contact {
            self.steady_ms = self.steady_ms.saturating_add(elapsed_ms);
        } else {
            self.contact = down;
            self.steady_ms = 0;
        }
        let settled = self.steady_ms >= SETTLE_MS;
        match self.held_ms {
            None if settled && down => {
                self.held_ms = Some(self.steady_ms);
                Some(Change::Down)
            }
            Some(held) if settled && !down => {
                self.held_ms = None;
                Some(match held {
                    ..LONG_MS => Change::Pressed(Press::Short),
                    LONG_MS..VERY_LONG_MS => Change::Pressed(Press::Long),
                    VERY_LONG_MS.. => Change::Up,
                })
            }
            Some(held) if down => {
                let longer = held.saturating_add(elapsed_ms);
                self.held_ms = Some(longer);
                let now = held < VERY_LONG_MS && longer >= VERY_LONG_MS;
                now.then_some(Change::Pressed(Press::VeryLong))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    const STEP: u32 = 10;

    /// Returns the changes of a contact that has each of these states for so many milliseconds.
    fn changes(contact: &[(bool, u32)]) -> Vec<(u32, Change)> {
        let mut button = Button::default();
        let mut now = 0;
        let mut changes = Vec::new();
        for &(down, ms) in contact {
            for _ in 0..ms / STEP {
                now += STEP;
                changes.extend(button.poll(down, STEP).map(|change| (now, change)));
            }
        }
        changes
    }

    fn presses(contact: &[(bool, u32)]) -> Vec<Press> {
        let changes = changes(contact).into_iter();
        let press = |(_, change)| match change {
            Change::Pressed(press) => Some(press),
            Change::Down | Change::Up => None,
        };
        changes.filter_map(press).collect()
    }

    #[test]
    fn a_press_is_as_long_as_it_is_held() {
        assert_eq!(presses(&[(true, 200), (false, 500)]), [Press::Short]);
        assert_eq!(presses(&[(true, 900), (false, 500)]), [Press::Short]);
        assert_eq!(presses(&[(true, 1_200), (false, 500)]), [Press::Long]);
        assert_eq!(presses(&[(true, 4_800), (false, 500)]), [Press::Long]);
        // Once, however long, and before it is let go.
        let very_long = [(true, 20_000), (false, 500)];
        assert_eq!(presses(&very_long), [Press::VeryLong]);
        assert_eq!(presses(&very_long[..1]), [Press::VeryLong]);
    }

    #[test]
    fn bounces_are_one_press() {
        let bounces = [
            (true, 10),
            (false, 20),
            (true, 20),
            (false, 10),
            (true, 200),
            (false, 20),
            (true, 10),
            (false, 10),
            (true, 20),
            (false, 300),
        ];
        let told = changes(&bounces);
        let kinds: Vec<Change> = told.iter().map(|(_, change)| *change).collect();
        assert_eq!(kinds, [Change::Down, Change::Pressed(Press::Short)]);
        // As soon as the contact has settled.
        assert!(told[0].0 <= 60 + SETTLE_MS + STEP, "{told:?}");
        assert!(presses(&[(true, 20), (false, 500)]).is_empty());
    }

    #[test]
    fn one_press_follows_another() {
        let contact = [(true, 100), (false, 100), (true, 2_000), (false, 100)];
        assert_eq!(presses(&contact), [Press::Short, Press::Long]);
    }

    /// The button is asked late when a page of flash is being erased.
    #[test]
    fn polls_may_come_late() {
        let mut button = Button::default();
        assert_eq!(button.poll(true, 10), None);
        assert_eq!(button.poll(true, 90), Some(Change::Down));
        assert_eq!(button.poll(true, 1_000), None);
        assert_eq!(button.poll(false, 10), None);
        assert_eq!(button.poll(false, 90), Some(Change::Pressed(Press::Long)));
    }
}
