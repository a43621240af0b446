//! Reads one button: its contact is polled every few milliseconds, and presses are told apart by their length, and by
//! whether a second one follows.

use crate::light::Flashes;

/// Milliseconds for which a contact must stay the same before it counts, longer than contacts bounce.
pub const SETTLE_MS: u32 = 30;
/// Milliseconds within which a second press makes the first one double. A single press that is shorter takes effect so
/// long after it; one that is longer is never a part of a double press, and takes effect at once.
pub const DOUBLE_MS: u32 = 400;
/// Milliseconds from which on a press is long.
pub const LONG_MS: u32 = 1_000;
/// Milliseconds from which on a press is very long.
pub const VERY_LONG_MS: u32 = 5_000;
/// Milliseconds after which the longest press takes effect, before the button is let go.
pub const LONGEST_MS: u32 = 10_000;

/// How the button was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Less than [`LONG_MS`].
    Short,
    /// Twice, up to [`DOUBLE_MS`] from the end of the first to the beginning of the second; the button may still be
    /// held.
    Double,
    /// From [`LONG_MS`] to [`VERY_LONG_MS`].
    Long,
    /// From [`VERY_LONG_MS`] to [`LONGEST_MS`].
    VeryLong,
    /// [`LONGEST_MS`]; the button may still be held.
    Longest,
}

impl Press {
    /// Returns the press that a button makes which was held for so many milliseconds.
    fn of(held_ms: u32) -> Self {
        match held_ms {
            ..LONG_MS => Self::Short,
            LONG_MS..VERY_LONG_MS => Self::Long,
            VERY_LONG_MS..LONGEST_MS => Self::VeryLong,
            LONGEST_MS.. => Self::Longest,
        }
    }
}

/// Change of the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It went down. The press will be about the sounds heard until now.
    Down,
    /// It has been held for long enough to make this press if it is let go now.
    Held(Press),
    /// It was let go.
    Up,
    /// It was pressed.
    Pressed(Press),
}

impl Change {
    /// Returns what the light says at once: a very short flash as the button goes down, and whenever it would mean
    /// something else to let it go from now on.
    pub fn flashes(self) -> Flashes {
        Flashes {
            flicker: matches!(self, Self::Down | Self::Held(_)).into(),
            ..Flashes::default()
        }
    }
}

/// A button with its bounces removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Button {
    /// Last state of the contact, and for how long it has been so.
    contact: bool,
    steady_ms: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// It is up.
    #[default]
    Up,
    /// It has been down for so long.
    Down { held_ms: u32 },
    /// It is down, and what it means has been told.
    Told,
    /// It was let go so long ago. `wait_ms` from then on it will be known what it means: `press`, unless it goes down
    /// again.
    Pending {
        press: Press,
        since_ms: u32,
        wait_ms: u32,
    },
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
        let (state, change) = match self.state {
            State::Up if settled && down => {
                let held_ms = self.steady_ms;
                (State::Down { held_ms }, Some(Change::Down))
            }
            State::Down { held_ms } if settled && !down => {
                let press = Press::of(held_ms);
                let clicked = held_ms < DOUBLE_MS;
                let pending = State::Pending {
                    press,
                    since_ms: self.steady_ms,
                    wait_ms: if clicked { DOUBLE_MS } else { 0 },
                };
                (pending, Some(Change::Up))
            }
            State::Down { held_ms } if down => {
                let longer = held_ms.saturating_add(elapsed_ms);
                let (before, now) = (Press::of(held_ms), Press::of(longer));
                let held = State::Down { held_ms: longer };
                match now {
                    Press::Longest => (State::Told, Some(Change::Pressed(now))),
                    _ if now != before => (held, Some(Change::Held(now))),
                    _ => (held, None),
                }
            }
            State::Told if settled && !down => (State::Up, Some(Change::Up)),
            State::Pending { wait_ms, .. } if settled && down && wait_ms > 0 => {
                (State::Told, Some(Change::Pressed(Press::Double)))
            }
            State::Pending {
                press,
                since_ms,
                wait_ms,
            } if !down => {
                let since_ms = since_ms.saturating_add(elapsed_ms);
                let pending = State::Pending {
                    press,
                    since_ms,
                    wait_ms,
                };
                // A contact that has just opened may be bouncing.
                if since_ms >= wait_ms && settled {
                    (State::Up, Some(Change::Pressed(press)))
                } else {
                    (pending, None)
                }
            }
            // Nothing waits for a second press that would not count.
            State::Pending {
                press, wait_ms: 0, ..
            } => (State::Up, Some(Change::Pressed(press))),
            same => (same, None),
        };
        self.state = state;
        change
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
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
            _ => None,
        };
        changes.filter_map(press).collect()
    }

    #[test]
    fn a_press_is_as_long_as_it_is_held() {
        for (held, press) in [
            (200, Press::Short),
            (900, Press::Short),
            (1_200, Press::Long),
            (4_800, Press::Long),
            (5_200, Press::VeryLong),
            (9_800, Press::VeryLong),
        ] {
            assert_eq!(presses(&[(true, held), (false, 500)]), [press], "{held}");
            assert_eq!(presses(&[(true, held)]), []);
        }
        // Once, however long, and before it is let go.
        let longest = [(true, 20_000), (false, 500)];
        assert_eq!(presses(&longest), [Press::Longest]);
        assert_eq!(presses(&longest[..1]), [Press::Longest]);
    }

    #[test]
    fn the_light_says_when_to_let_go() {
        let told = changes(&[(true, 12_000), (false, 500)]);
        let lit = told
            .iter()
            .filter(|(_, change)| change.flashes().flicker == 1);
        let lit: Vec<Change> = lit.map(|(_, change)| *change).collect();
        let [long, very_long] = [Press::Long, Press::VeryLong].map(Change::Held);
        assert_eq!(lit, [Change::Down, long, very_long]);
    }

    #[test]
    fn two_presses_soon_after_each_other_are_a_double_one() {
        let clicks = |pause| [(true, 120), (false, pause), (true, 120), (false, 900)];
        assert_eq!(presses(&clicks(60)), [Press::Double]);
        assert_eq!(presses(&clicks(DOUBLE_MS - 50)), [Press::Double]);
        assert_eq!(presses(&clicks(DOUBLE_MS + 50)), [Press::Short; 2]);
        // As soon as it goes down again, and however long it is held then.
        let held = [(true, 120), (false, 100), (true, 12_000), (false, 900)];
        assert_eq!(presses(&held), [Press::Double]);
        let kinds: Vec<Change> = changes(&held).iter().map(|(_, change)| *change).collect();
        let double = Change::Pressed(Press::Double);
        assert_eq!(kinds, [Change::Down, Change::Up, double, Change::Up]);
        // A third one stands alone.
        let three = [clicks(100).as_slice(), &clicks(100)[..2]].concat();
        assert_eq!(presses(&three[..5]), [Press::Double]);
        // A press that is held for longer is not the first of two.
        let slow = [(true, 600), (false, 100), (true, 120), (false, 900)];
        assert_eq!(presses(&slow), [Press::Short; 2]);
    }

    #[test]
    fn a_single_press_is_not_felt_late() {
        let at = |contact: &[(bool, u32)]| {
            let mut changes = changes(contact).into_iter();
            let pressed = changes.find(|(_, change)| matches!(change, Change::Pressed(_)));
            pressed.unwrap().0
        };
        let clicked = at(&[(true, 120), (false, 900)]);
        assert!(
            (120 + DOUBLE_MS..=120 + DOUBLE_MS + 20).contains(&clicked),
            "{clicked}"
        );
        // Nothing can follow that changes what these mean.
        for held in [500, 2_000, 6_000] {
            let let_go = at(&[(true, held), (false, 900)]) - held;
            assert!(let_go <= SETTLE_MS + 3 * STEP, "{let_go}");
        }
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
            (false, 600),
        ];
        let told = changes(&bounces);
        let kinds: Vec<Change> = told.iter().map(|(_, change)| *change).collect();
        let short = Change::Pressed(Press::Short);
        assert_eq!(kinds, [Change::Down, Change::Up, short]);
        // As soon as the contact has settled.
        assert!(told[0].0 <= 60 + SETTLE_MS + STEP, "{told:?}");
        assert!(presses(&[(true, 20), (false, 500)]).is_empty());
        // A touch while the second press is awaited is none.
        let touched = [(true, 120), (false, 380), (true, 20), (false, 500)];
        assert_eq!(presses(&touched), [Press::Short]);
    }

    #[test]
    fn one_press_follows_another() {
        let contact = [(true, 100), (false, 500), (true, 2_000), (false, 100)];
        assert_eq!(presses(&contact), [Press::Short, Press::Long]);
        let contact = [(true, 2_000), (false, 100), (true, 100), (false, 500)];
        assert_eq!(presses(&contact), [Press::Long, Press::Short]);
    }

    /// The button is asked late when a page of flash is being erased.
    #[test]
    fn polls_may_come_late() {
        let mut button = Button::default();
        assert_eq!(button.poll(true, 10), None);
        assert_eq!(button.poll(true, 90), Some(Change::Down));
        assert_eq!(button.poll(true, 1_000), Some(Change::Held(Press::Long)));
        assert_eq!(button.poll(false, 10), None);
        assert_eq!(button.poll(false, 90), Some(Change::Up));
        let long = Change::Pressed(Press::Long);
        assert_eq!(button.poll(false, 10), Some(long));
    }

    /// The presses of steady contacts, by the rules in the documentation alone.
    fn expected(contact: &[(bool, u32)]) -> Vec<Press> {
        let mut presses = Vec::new();
        let mut at = 0;
        while let Some(&(down, ms)) = contact.get(at) {
            at += 1;
            if !down {
                continue;
            }
            let pause = contact.get(at).map(|(_, ms)| *ms);
            let another = contact.get(at + 1).is_some();
            if ms < DOUBLE_MS && another && pause.is_some_and(|pause| pause < DOUBLE_MS) {
                presses.push(Press::Double);
                at += 2;
            } else {
                presses.push(Press::of(ms));
            }
        }
        presses
    }

    /// Lengths of presses and pauses that are not so near to a limit that a few polls decide.
    fn clear_of_limits(ms: u32) -> bool {
        let limits = [0, DOUBLE_MS, LONG_MS, VERY_LONG_MS, LONGEST_MS];
        limits
            .iter()
            .all(|limit| ms.abs_diff(*limit) >= SETTLE_MS + 2 * STEP)
    }

    fn lengths() -> impl Strategy<Value = u32> {
        let long = (1..60_u32, any::<bool>());
        let ms = long.prop_map(|(tens, often)| if often { tens * STEP } else { tens * 20 * STEP });
        ms.prop_filter("near a limit", |ms| clear_of_limits(*ms))
    }

    proptest! {
        /// Whatever is pressed: each press is told once, and as the rules say.
        #[test]
        fn any_presses_are_told_by_the_rules(mut pauses in prop::collection::vec((lengths(), lengths()), 1..8)) {
            if let Some((_, pause)) = pauses.last_mut() {
                *pause = 1_000;
            }
            let contact: Vec<(bool, u32)> = pauses
                .iter()
                .flat_map(|(held, pause)| [(true, *held), (false, *pause)])
                .collect();
            prop_assert_eq!(presses(&contact), expected(&contact));
        }

        /// However a contact chatters, it goes down before it goes up, and each press belongs to one time that it went
        /// down, or two.
        #[test]
        fn no_chatter_makes_presses_of_its_own(
            contact in prop::collection::vec((any::<bool>(), 1_u32..120), 0..200),
        ) {
            let contact: Vec<(bool, u32)> = contact.iter().map(|(down, ms)| (*down, ms * STEP)).collect();
            let (mut is_down, mut downs) = (false, 0_i32);
            for (_, change) in changes(&contact) {
                match change {
                    Change::Down => {
                        prop_assert!(!is_down);
                        (is_down, downs) = (true, downs + 1);
                    }
                    Change::Up => {
                        prop_assert!(is_down);
                        is_down = false;
                    }
                    Change::Pressed(press) => {
                        is_down |= press == Press::Double;
                        downs -= 1;
                        prop_assert!(downs >= 0, "a press without a button that went down");
                    }
                    Change::Held(_) => prop_assert!(is_down),
                }
            }
            prop_assert!(downs <= 1, "a press was not told");
        }
    }
}
