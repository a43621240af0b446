//! Groups of clips of one thing, and which of them are kept out of training.

use std::fmt;

/// Kinds of groups. Each is also a set of labelled clips to choose settings on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Set {
    /// An English word in many voices.
    Words,
    /// A word of another language in many voices.
    ForeignWords,
    /// A General MIDI program on other notes.
    Instruments,
    /// A drum by name, in several kits.
    Drums,
    /// Takes of one effect of a game.
    Effects,
    /// A patch of the synthesiser, perturbed.
    Patches,
    /// A prompt that several speakers of a language read.
    Prompts,
}

impl Set {
    /// Every set.
    pub const ALL: [Self; 7] = [
        Self::Words,
        Self::ForeignWords,
        Self::Instruments,
        Self::Drums,
        Self::Effects,
        Self::Patches,
        Self::Prompts,
    ];

    /// Name in manifests and of the folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::ForeignWords => "foreign_words",
            Self::Instruments => "gm_instruments",
            Self::Drums => "drums",
            Self::Effects => "effects",
            Self::Patches => "patches",
            Self::Prompts => "prompts",
        }
    }

    const fn held_out(self) -> HeldOut {
        match self {
            Self::Words | Self::ForeignWords => HeldOut::OneIn(16),
            Self::Instruments => HeldOut::OneIn(8),
            Self::Patches => HeldOut::OneIn(10),
            // Few drums are in many kits, and of few effects there are many takes: enough of them
            // for episodes of five classes with five examples, and enough left.
            Self::Effects => HeldOut::These(&[
                "megaglest_arrow_hit",
                "megaglest_catapult_walk",
                "megaglest_horseman_die",
                "megaglest_sheep",
                "megaglest_technician_die",
                "megaglest_water",
                "megaglest_worker_mine",
            ]),
            Self::Drums => HeldOut::These(&[
                "tom_low",
                "hihat_pedal",
                "side_stick",
                "clap",
                "ride_bell",
                "china",
                "cowbell",
            ]),
            // Two speakers are too few for an episode.
            Self::Prompts => HeldOut::These(&[]),
        }
    }
}

/// Which groups of a set are kept out of training.
enum HeldOut {
    /// One group in so many, by a hash of its name.
    OneIn(u64),
    /// Groups by name.
    These(&'static [&'static str]),
}

/// Name of a group of clips of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Same {
    /// Kind of the thing.
    pub set: Set,
    /// Which thing, fit for the name of a folder.
    pub class: String,
}

impl Same {
    /// Names the group `class` of `set`.
    pub fn new(set: Set, class: &str) -> Self {
        Self {
            set,
            class: file_name(class),
        }
    }

    /// Whether the group is kept out of training. Its name alone decides, so that the same groups
    /// are kept out whatever else is in the folder.
    pub fn is_held_out(&self) -> bool {
        match self.set.held_out() {
            HeldOut::OneIn(share) => hash(&self.to_string()).is_multiple_of(share),
            HeldOut::These(classes) => classes.contains(&self.class.as_str()),
        }
    }
}

impl fmt::Display for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.set.name(), self.class)
    }
}

/// A number that depends on `text` alone, on every machine and in every version: FNV-1a with the
/// last step of splitmix64, which spreads it over all bits.
pub fn hash(text: &str) -> u64 {
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// `text` with everything but letters, digits and `+-_.` turned into `_`.
pub fn file_name(text: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || "+-_.".contains(c);
    text.chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_by_name_and_of_the_stated_share() {
        for set in Set::ALL {
            let HeldOut::OneIn(share) = set.held_out() else {
                continue;
            };
            let held = (0..4000)
                .filter(|i| Same::new(set, &format!("thing {i}")).is_held_out())
                .count() as f64;
            let expected = 4000.0 / share as f64;
            assert!(
                (held - expected).abs() <= 4.0 * expected.sqrt(),
                "{}: {held} of 4000",
                set.name()
            );
        }
        assert!(Same::new(Set::Drums, "cowbell").is_held_out());
        assert!(!Same::new(Set::Drums, "kick").is_held_out());
        // These must never change: a clip that was heard must not become one to choose on.
        assert_eq!(hash(""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash("words/en_apple"), 0x23e3_19af_8bdd_37de);
    }

    #[test]
    fn names_are_fit_for_folders() {
        let same = Same::new(Set::Drums, "Hi-Hat/open 2");
        assert_eq!(same.to_string(), "drums/Hi-Hat_open_2");
        assert_eq!(file_name("größe"), "größe");
    }
}
