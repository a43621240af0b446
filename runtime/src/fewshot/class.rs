//! A class: its id, its name and what is set for it, beside its examples.

use core::fmt;
use heapless::String;

/// Room for a class's name, bytes of UTF-8.
pub const CLASS_NAME_BYTES: usize = 32;

/// Name of a class.
pub type ClassName = String<CLASS_NAME_BYTES>;

/// Tells why a name cannot be taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameFault {
    Empty,
    /// Blank, `.` or `..`, whatever blanks are in it.
    Unreadable,
    /// Holds this character, which [`steers`].
    Control(u32),
}

impl NameFault {
    /// Finds the first fault of `name`.
    pub(super) fn of(name: &str) -> Option<Self> {
        if name.is_empty() {
            return Some(Self::Empty);
        }
        if let Some(found) = name.chars().find(|found| steers(*found)) {
            return Some(Self::Control(found.into()));
        }
        // What leaves nothing to see does not make another name of it.
        let seen = || name.chars().filter(|found| !is_blank(*found));
        let unreadable = ["", ".", ".."].iter().any(|none| seen().eq(none.chars()));
        unreadable.then_some(Self::Unreadable)
    }
}

/// Tells whether a character steers what shows it instead of being shown: the controls of a terminal
/// (Unicode's category Cc), the separators of lines and paragraphs, and the marks, embeddings,
/// overrides and isolates of the bidirectional algorithm (Unicode Standard Annex 9).
///
/// No name that is taught holds one. Whoever prints a name from elsewhere, such as that of a file,
/// escapes them.
pub const fn steers(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// Tells whether a character leaves nothing to see: spaces, fillers and characters without width.
const fn is_blank(character: char) -> bool {
    matches!(
        character,
        ' ' | '\u{a0}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{1680}'
            | '\u{180b}'..='\u{180e}'
            | '\u{2000}'..='\u{200f}'
            | '\u{202f}'
            | '\u{205f}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3000}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Identifies a class for as long as it exists.
///
/// A class keeps its id when it is renamed or disabled, when another class is removed, and through
/// snapshots and flash. The id of a removed class is given again only after 65,535 more classes have
/// been made. Ids say nothing about the order of [`SupportSet::classes`](super::SupportSet::classes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClassId(u16);

impl ClassId {
    /// Takes the number that [`Self::get`] returned.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the id as a number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells what a class is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Role {
    /// A sound to recognise.
    #[default]
    Sound,
    /// Sounds that the user said were none of the classes ("that was not it"); recognised as
    /// *unknown*.
    Negatives,
    /// Sounds of the place when nothing happens; recognised as *unknown*.
    Background,
}

/// A class of a [`SupportSet`](super::SupportSet).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Class {
    pub(super) id: ClassId,
    pub(super) name: ClassName,
    pub(super) role: Role,
    /// Not `enabled`: an empty class is all zeros, so that a static room for sounds takes no flash.
    pub(super) disabled: bool,
    pub(super) threshold: Option<f32>,
    pub(super) examples: u16,
}

impl Class {
    /// Room for a class that is not in use: see [`Rooms`](super::Rooms).
    pub const EMPTY: Self = Self {
        id: ClassId(0),
        name: ClassName::new(),
        role: Role::Sound,
        disabled: false,
        threshold: None,
        examples: 0,
    };

    /// Returns the id.
    pub fn id(&self) -> ClassId {
        self.id
    }

    /// Returns the name that the user gave; empty unless the class is a sound.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the class is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns whether the class takes part. While it does not, everything is as if it had never been
    /// enrolled.
    pub fn is_enabled(&self) -> bool {
        !self.disabled
    }

    /// Returns the smallest similarity at which a query belongs to the class, if the user has set one.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// Returns the number of examples.
    pub fn examples(&self) -> usize {
        self.examples.into()
    }
}
