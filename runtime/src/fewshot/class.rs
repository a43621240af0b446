//! What is known of a class beside its examples.

use heapless::String;

/// Room for a class's name, bytes of UTF-8.
pub const CLASS_NAME_BYTES: usize = 32;

/// Name of a class.
pub type ClassName = String<CLASS_NAME_BYTES>;

/// What a class is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A sound to recognise.
    #[default]
    Sound,
    /// What the user said was none of the sounds ("that was not it"); recognised as *unknown*.
    Negatives,
    /// What the place sounds like when nothing happens; recognised as *unknown*.
    Background,
}

/// A class of a [`SupportSet`](super::SupportSet).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    pub(super) name: ClassName,
    pub(super) role: Role,
    pub(super) disabled: bool,
    pub(super) threshold: Option<f32>,
    pub(super) examples: u16,
}

impl Class {
    pub(super) const EMPTY: Self = Self {
        name: ClassName::new(),
        role: Role::Sound,
        disabled: false,
        threshold: None,
        examples: 0,
    };

    /// What the user calls it; empty unless it is a sound.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it takes part: while it does not, everything is as if it had never been enrolled.
    pub fn is_enabled(&self) -> bool {
        !self.disabled
    }

    /// Least similarity at which a query belongs to it, if the user has set one.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// Number of its examples.
    pub fn examples(&self) -> usize {
        self.examples.into()
    }
}
