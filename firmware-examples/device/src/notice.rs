//! Notices of a device to its user.

use crate::light::Flashes;
use core::fmt;
use mtslvr_runtime::fewshot::persist::StoreError;
use mtslvr_runtime::fewshot::{ClassName, EnrolError, FitError, Refusal};

/// Something that the user should know. `E` is the flash's own error.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice<E> {
    /// The device listens and knows what it had been taught.
    Ready {
        /// Sounds that it knows.
        sounds: usize,
        /// Examples of all of them.
        examples: usize,
    },
    /// The device listens, but the contents of its flash cannot be used. It learns nothing until a very
    /// long press erases them.
    Locked(StoreError<E>),
    /// A sound was recognised.
    Heard {
        /// Its name.
        name: ClassName,
        /// Cosine similarity to its examples.
        confidence: f32,
    },
    /// The last sound is an example now.
    Enrolled {
        /// Name of the sound.
        name: ClassName,
        /// Examples that the sound has now.
        examples: usize,
    },
    /// The last sound is not fit to be learnt from.
    Refused(Refusal),
    /// There has been no sound lately, or it has been enrolled already.
    NothingHeard,
    /// The last sound cannot be enrolled.
    NotEnrolled(EnrolError),
    /// A sound was forgotten.
    Forgot {
        /// Its name.
        name: ClassName,
    },
    /// Everything was forgotten.
    ForgotAll,
    /// No sound was recognised or enrolled that could be forgotten.
    NothingToForget,
    /// The flash failed: the change is lost when the power goes.
    NotKept(StoreError<E>),
    /// No head can be fitted to what is enrolled.
    NotFitted(FitError),
    /// Samples were lost on their way from the microphone.
    AudioLost {
        /// Number of samples.
        samples: u32,
    },
}

/// Beginning of the name of a sound; its number follows.
const PREFIX: &str = "sound ";

/// Returns the name of the sound with this number.
pub(crate) fn sound_name(number: usize) -> ClassName {
    let mut name = ClassName::new();
    // A name has room for more digits than a number has.
    let _ = fmt::Write::write_fmt(&mut name, format_args!("{PREFIX}{number}"));
    name
}

/// Returns the number in a name; 1 for a name that is not the device's own.
fn number(name: &str) -> u8 {
    let number = name
        .strip_prefix(PREFIX)
        .and_then(|digits| digits.parse().ok());
    number.unwrap_or(1)
}

impl<E> Notice<E> {
    /// Returns the flashes of the light: a sound's number in short flashes, behind a long one if it was
    /// enrolled and two if it was forgotten; very short ones if something is wrong.
    pub fn flashes(&self) -> Flashes {
        let counted = |long, name: &str| Flashes {
            long,
            short: number(name),
            ..Flashes::default()
        };
        let long = |long| Flashes {
            long,
            ..Flashes::default()
        };
        let flicker = |flicker| Flashes {
            flicker,
            ..Flashes::default()
        };
        match self {
            Self::Ready { .. } => long(1),
            Self::Heard { name, .. } => counted(0, name),
            Self::Enrolled { name, .. } => counted(1, name),
            Self::Forgot { name } => counted(2, name),
            Self::ForgotAll => long(3),
            Self::NothingHeard | Self::NothingToForget => flicker(2),
            Self::Refused(_) | Self::NotEnrolled(_) => flicker(6),
            Self::AudioLost { .. } => flicker(3),
            Self::Locked(_) | Self::NotKept(_) | Self::NotFitted(_) => flicker(20),
        }
    }

    /// Tells whether something went wrong.
    pub fn is_trouble(&self) -> bool {
        self.flashes().flicker > 0
    }
}

impl<E: embedded_storage::nor_flash::NorFlashError> fmt::Display for Notice<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { sounds, examples } => {
                write!(f, "listening; {sounds} sounds from {examples} examples")
            }
            Self::Locked(error) => write!(
                f,
                "the taught sounds in flash cannot be used: {error}; hold the button for five \
                 seconds to give them up"
            ),
            Self::Heard { name, confidence } => write!(f, "heard {name}, similarity {confidence}"),
            Self::Enrolled { name, examples } => {
                write!(f, "enrolled {name}, {examples} examples now")
            }
            Self::Refused(refusal) => write!(f, "not enrolled: {refusal}"),
            Self::NothingHeard => {
                f.write_str("not enrolled: no sound lately that is not enrolled yet")
            }
            Self::NotEnrolled(error) => write!(f, "not enrolled: {error}"),
            Self::Forgot { name } => write!(f, "forgot {name}"),
            Self::ForgotAll => f.write_str("forgot everything"),
            Self::NothingToForget => f.write_str(
                "nothing forgotten: no sound was recognised or enrolled since the start",
            ),
            Self::NotKept(error) => write!(f, "not kept beyond the next power cut: {error}"),
            Self::NotFitted(error) => write!(f, "cannot learn from this: {error}"),
            Self::AudioLost { samples } => {
                write!(f, "{samples} samples lost: the device was busy")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_flashes_its_number() {
        let flashes = |name: &str| -> Flashes {
            let name = ClassName::try_from(name).unwrap();
            Notice::<()>::Forgot { name }.flashes()
        };
        assert_eq!(flashes(&sound_name(7)).short, 7);
        assert_eq!(flashes("doorbell").short, 1);
        assert_eq!(sound_name(usize::MAX), "sound 18446744073709551615");
    }
}
