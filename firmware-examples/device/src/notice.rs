//! Notices of a device to its user.

use crate::device::{FALSE_ALARMS_AN_HOUR, ROOM_SECONDS};
use crate::last_words::Reason;
use crate::light::Flashes;
use core::fmt;
use mtslvr_runtime::fewshot::persist::StoreError;
use mtslvr_runtime::fewshot::{ClassName, EnrolError, FitError, Refusal};
use mtslvr_runtime::link;
use mtslvr_runtime::model::slots::{Start, Update};

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
    /// The device listens, but the contents of its flash cannot be used. It learns nothing until the longest
    /// press erases them.
    Locked(StoreError<E>),
    /// A sound was recognised.
    Heard {
        /// Its name.
        name: ClassName,
        /// Share of strange sounds that would be less like it, 0 to 1.
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
    /// Takes the sound that was recognised last, which was something else, for a negative.
    Rejected {
        /// Name of the sound that it was taken for.
        name: ClassName,
        /// Negatives of all sounds that the device has now.
        negatives: usize,
    },
    /// Takes back the last negative.
    Readmitted {
        /// Name of the sound that it was taken for.
        name: ClassName,
    },
    /// The example that was enrolled last was removed.
    TookBack {
        /// Name of the sound.
        name: ClassName,
        /// Examples that the sound has still; the sound is forgotten with its last one.
        examples: usize,
    },
    /// The device has done nothing lately that could be wrong.
    NothingWrong,
    /// The device listens to the room, to set its thresholds.
    ListeningToRoom {
        /// Seconds that it has listened for.
        seconds: u32,
        /// Sounds that stood out.
        sounds: u32,
    },
    /// The device ceased to listen to the room, because the button was pressed. No threshold has changed.
    LeftRoom,
    /// Threshold of a sound, after listening to the room.
    Threshold {
        /// Name of the sound.
        name: ClassName,
        /// Threshold until now.
        before: f32,
        /// Threshold from now on.
        now: f32,
        /// Sounds of the room that were most like it.
        heard: u32,
    },
    /// All thresholds are set by what was heard in the room.
    Calibrated {
        /// Sounds that stood out.
        sounds: u32,
        /// Taught sounds that the room's are too like, or that were heard in it themselves.
        doubtful: usize,
    },
    /// There is no sound whose threshold could be set.
    NothingToCalibrate,
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
    /// The button changed more often than the device had time for: the last changes are lost.
    PressesLost {
        /// Number of changes.
        changes: u32,
    },
    /// The device was restarted, by a fault or because its model changed.
    Restarted(Reason),
    /// The model's bytes are not those that were opened: its memory has failed.
    ModelDamaged,
    /// A new model waits, because the taught sounds would be lost with it. The longest press gives them up.
    ModelWaits,
    /// The new model that waited is tried at the next start, which is now.
    ModelActivated,
    /// The new model that waits cannot be tried: it waits on, and nothing is forgotten.
    NotActivated(link::Refusal),
    /// The model was taught from the recordings of examples that it did not know. Thresholds that were set are derived
    /// anew.
    TaughtAgain {
        /// Number of the examples.
        examples: usize,
    },
    /// The new model is on trial.
    ModelOnTrial,
    /// The new model has shown that it works: there is no going back to the old one.
    ModelConfirmed,
    /// The new model was given up, or the one in use was damaged: it is the other one, with its own sounds.
    ModelWentBack,
}

/// Writes a number as hundredths, by integers: firmware need not bring the formatting of floats.
struct Hundredths(f32);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0.0 { "-" } else { "" };
        // Rounded, and no more than a `u32` holds.
        let hundredths = (self.0.abs() * 100.0 + 0.5) as u32;
        write!(f, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
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
    /// Returns what to tell of the model when a device with two slots starts; `None` if it is as always.
    pub fn of_model(how: Start, update: Update) -> Option<Self> {
        match (how, update) {
            (Start::NeverConfirmed | Start::Damaged, _) => Some(Self::ModelWentBack),
            (Start::Trial { .. }, _) => Some(Self::ModelOnTrial),
            (Start::Usual, Update::Waiting { .. }) => Some(Self::ModelWaits),
            (Start::Usual, _) => None,
        }
    }

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
        let with = |flashes: Flashes, flicker| Flashes { flicker, ..flashes };
        match self {
            Self::Ready { .. } => long(1),
            Self::Heard { name, .. } => counted(0, name),
            Self::Enrolled { name, .. } => counted(1, name),
            Self::Rejected { name, .. } => with(counted(0, name), 2),
            Self::Readmitted { name } => with(counted(0, name), 4),
            Self::TookBack { name, .. } => with(counted(1, name), 2),
            Self::Forgot { name } => counted(2, name),
            Self::ForgotAll => long(3),
            Self::ListeningToRoom { .. } => flicker(1),
            Self::Calibrated { doubtful: 0, .. } => long(2),
            Self::Calibrated { .. } => with(long(2), 6),
            // The notice of all sounds follows.
            Self::Threshold { .. } | Self::TaughtAgain { .. } => Flashes::default(),
            // That it is on trial was told.
            Self::ModelConfirmed => Flashes::default(),
            // The device starts again, and says that the model is on trial.
            Self::ModelActivated => Flashes::default(),
            Self::NothingHeard
            | Self::NothingWrong
            | Self::NothingToCalibrate
            | Self::NothingToForget
            | Self::LeftRoom => flicker(2),
            Self::Refused(_) | Self::NotEnrolled(_) => flicker(6),
            Self::AudioLost { .. } | Self::PressesLost { .. } => flicker(3),
            Self::Restarted(_) => flicker(10),
            Self::ModelWaits => long(4),
            Self::ModelOnTrial => long(5),
            Self::ModelWentBack => long(6),
            Self::Locked(_)
            | Self::NotKept(_)
            | Self::NotFitted(_)
            | Self::NotActivated(_)
            | Self::ModelDamaged => flicker(20),
        }
    }

    /// Tells whether something went wrong.
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::Rejected { .. }
            | Self::Readmitted { .. }
            | Self::TookBack { .. }
            | Self::ListeningToRoom { .. }
            | Self::LeftRoom => false,
            _ => self.flashes().flicker > 0,
        }
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
                "the taught sounds in flash cannot be used: {error}; hold the button for ten \
                 seconds to give them up"
            ),
            Self::Heard { name, confidence } => {
                write!(f, "heard {name}, confidence {}", Hundredths(*confidence))
            }
            Self::Enrolled { name, examples } => {
                write!(f, "enrolled {name}, {examples} examples now")
            }
            Self::Refused(refusal) => write!(f, "not enrolled: {refusal}"),
            Self::NothingHeard => {
                f.write_str("not enrolled: no sound lately that is not enrolled yet")
            }
            Self::NotEnrolled(error) => write!(f, "not enrolled: {error}"),
            Self::Rejected { name, negatives } => write!(
                f,
                "that was not {name}; {negatives} negatives now; press twice again if it was"
            ),
            Self::Readmitted { name } => write!(f, "that was {name}, and is no negative any more"),
            Self::TookBack { name, examples: 0 } => {
                write!(f, "took back the only example of {name}: it is forgotten")
            }
            Self::TookBack { name, examples } => {
                write!(f, "took back an example of {name}, {examples} left")
            }
            Self::NothingWrong => f.write_str(
                "nothing undone: no sound was recognised or enrolled since the last change",
            ),
            Self::ListeningToRoom { seconds, sounds } => write!(
                f,
                "listening to the room: {seconds} of {ROOM_SECONDS} s, {sounds} sounds stood out; keep the \
                 taught sounds away, or press the button to stop"
            ),
            Self::LeftRoom => {
                f.write_str("stopped listening to the room: no threshold has changed")
            }
            Self::Threshold {
                name,
                before,
                now,
                heard,
            } => write!(
                f,
                "{name}: threshold {} (before {}), {heard} sounds of the room were most like it",
                Hundredths(*now),
                Hundredths(*before)
            ),
            Self::Calibrated { sounds, doubtful } => {
                write!(
                    f,
                    "thresholds set for {} false alarms an hour, by {sounds} sounds of the room",
                    Hundredths(FALSE_ALARMS_AN_HOUR)
                )?;
                if *doubtful > 0 {
                    write!(
                        f,
                        "; {doubtful} taught sounds were heard themselves, or are too like the room's: \
                         listen again without them, or teach more examples"
                    )?;
                }
                Ok(())
            }
            Self::NothingToCalibrate => f.write_str("no thresholds to set: no sound is taught"),
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
            Self::PressesLost { changes } => write!(
                f,
                "{changes} changes of the button lost: the device was busy; press again"
            ),
            Self::Restarted(reason) => write!(f, "restarted: {reason}"),
            Self::ModelDamaged => {
                f.write_str("the model's bytes have changed since the start: restarting")
            }
            Self::ModelWaits => f.write_str(
                "a new model waits: its backbone cannot use the taught sounds; hold the button for \
                 ten seconds to give them up",
            ),
            Self::ModelActivated => f.write_str("the new model is tried from now on: restarting"),
            Self::NotActivated(refusal) => {
                write!(
                    f,
                    "nothing forgotten: the new model cannot be tried: {refusal}"
                )
            }
            Self::TaughtAgain { examples } => write!(
                f,
                "taught again from the recordings of {examples} examples; thresholds that were set are derived anew"
            ),
            Self::ModelOnTrial => f.write_str("a new model is on trial"),
            Self::ModelConfirmed => f.write_str("the new model works, and stays"),
            Self::ModelWentBack => {
                f.write_str("went back to the other model and the sounds that it was taught")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn a_start_tells_of_the_model_what_the_user_should_know() {
        let backbone = mtslvr_runtime::space::BackboneId::new([1; 32]);
        let waiting = Update::Waiting { backbone };
        let long = |how, update| {
            let notice = Notice::<()>::of_model(how, update);
            notice.map_or(0, |notice| notice.flashes().long)
        };
        assert_eq!(long(Start::Usual, Update::None), 0);
        assert_eq!(long(Start::Usual, waiting), 4);
        assert_eq!(long(Start::Trial { left: 1 }, Update::None), 5);
        assert_eq!(long(Start::Damaged, waiting), 6);
        assert_eq!(long(Start::NeverConfirmed, Update::None), 6);
    }

    #[test]
    fn a_sound_flashes_its_number() {
        let flashes = |name: &str| -> Flashes {
            let name = ClassName::try_from(name).unwrap();
            Notice::<()>::Forgot { name }.flashes()
        };
        assert_eq!(flashes(&sound_name(7)).short, 7);
        assert_eq!(flashes("doorbell").short, 1);
        let told: [(f32, &str); 4] = [
            (0.005, "0.01"),
            (-0.25, "-0.25"),
            (1.0, "1.00"),
            (12.346, "12.35"),
        ];
        for (number, text) in told {
            assert_eq!(std::format!("{}", Hundredths(number)), text);
        }
        assert_eq!(sound_name(usize::MAX), "sound 18446744073709551615");
    }
}
