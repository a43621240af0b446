//! A device that is taught sounds by one button. The crate holds everything but the peripherals, so
//! that it is tested on a host; a board connects microphone, button, light and flash.
//!
//! - A short press enrols the last sound: as one more example of the sound that was enrolled within
//!   the last [`LESSON_SECONDS`], or else of the one that it is recognised as, or else as a new one.
//! - A double press says that what the device did last was wrong: what it recognised becomes a negative, and what it
//!   enrolled is taken back.
//! - A long press has it listen to the room for [`ROOM_SECONDS`], and sets the thresholds by that.
//! - A very long press forgets the sound that was recognised or enrolled last.
//! - The longest press forgets everything.
//!
//! The microphone's interrupt pushes samples into a [`Recording`]; [`Device::listen`] takes them from
//! there whenever there is time. The [`Button`] tells at which sample it went down: a press is about
//! sounds before that, and not about its own click. The result is a [`Notice`], which has words for a
//! log and [`light::Flashes`] for a light.
#![no_std]

pub mod button;
mod device;
pub mod i2s;
mod last_words;
pub mod light;
mod memory;
mod notice;
mod pace;
mod recording;
mod shared_flash;
mod vitals;

pub use button::{Button, Press};
pub use device::{
    ClipMemory, ClipPlaces, Device, FALSE_ALARMS_AN_HOUR, FRAME_LEN, LESSON_SECONDS,
    MEMORY_SECONDS, Places, ROOM_SECONDS, StartError, TRIAL_SECONDS,
};
pub use last_words::{LastWords, PanicReason, REASON_BYTES, Reason};
pub use memory::{
    CLASSES, EXAMPLES, LinkMemory, Memory, NEGATIVES, SOUNDS, clips_len, listener_len, profile_len,
    scratch_len, store_len,
};
pub use notice::Notice;
pub use pace::{Laps, Pace};
pub use recording::{Overwritten, Recording};
pub use shared_flash::SharedFlash;
pub use vitals::{Part, Vitals};
