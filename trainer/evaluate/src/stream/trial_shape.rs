//! The settings of one stream.

use super::cast::CastShape;
use super::compose::Scenery;

/// Sounds of a stream, the background under them, and where the sounds are enrolled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrialShape {
    /// Sounds.
    pub cast: CastShape,
    /// Rate, length and level.
    pub scenery: Scenery,
    /// Where sounds are taught.
    pub taught: Taught,
    /// Seconds of the place, without sounds, by which the thresholds are set first; 0 for none.
    pub calibration: f32,
    /// Whether a verifier takes a second look at what is about to be recognised.
    pub verified: bool,
}

/// Where sounds are taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Taught {
    /// Over the background of the stream; the listener's gate cuts out the examples, as it does at a
    /// microphone.
    #[default]
    InPlace,
    /// From recordings as they are, without background.
    Clean,
    /// Over the background of the stream, by a device with another microphone: another frequency response and
    /// another level.
    OtherMicrophone,
    /// By that device, and the first example once more by the one that listens.
    OnceMore,
}

impl Taught {
    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::Clean => "clean",
            Self::OtherMicrophone => "by another microphone",
            Self::OnceMore => "by another microphone and once in place",
        }
    }

    /// Tells whether another microphone records the examples.
    pub(super) fn by_another(self) -> bool {
        matches!(self, Self::OtherMicrophone | Self::OnceMore)
    }
}
