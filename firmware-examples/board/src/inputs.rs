//! A microphone and a button for programs in QEMU, which has neither: a recording of the host and the
//! times at which the button is down, both from the command line.

use crate::semihosting::{self, File, HostError};
use core::mem::MaybeUninit;
use mtslvr_wav::{WavError, WavReader};

/// Most presses that a command line gives.
const PRESSES: usize = 8;

/// The recording and the presses that the command line `stream=FILE press=SECONDS ... flash=FILE` gives.
#[derive(Debug)]
pub struct Inputs {
    /// The sound, sample by sample.
    pub microphone: Microphone,
    /// The button.
    pub button: Button,
    /// The file that stands for flash.
    pub flash: &'static str,
}

/// Explains what is wrong with the command line or the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputError {
    /// The command line cannot be had.
    Host(HostError),
    /// The recording is not a WAV file that can be read.
    Recording(WavError<HostError>),
    /// `stream=` or `flash=` is missing, or a press is no number.
    Arguments,
}

impl Inputs {
    /// Reads the command line into `line` and opens the recording.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn open(line: &'static mut [MaybeUninit<u8>]) -> Result<Self, InputError> {
        let line: &'static str = semihosting::command_line(line).map_err(InputError::Host)?;
        let (mut stream, mut flash, mut button) = (None, None, Button::default());
        for argument in line.split_whitespace() {
            match argument.split_once('=') {
                Some(("stream", path)) => stream = Some(path),
                Some(("flash", path)) => flash = Some(path),
                Some(("press", at)) => button.add(at).ok_or(InputError::Arguments)?,
                // The program's own name comes first.
                _ => {}
            }
        }
        let file = File::open(stream.ok_or(InputError::Arguments)?).map_err(InputError::Host)?;
        let wav = WavReader::open(file).map_err(InputError::Recording)?;
        button.rate = wav.sample_rate() as f32;
        Ok(Self {
            microphone: Microphone(wav),
            button,
            flash: flash.ok_or(InputError::Arguments)?,
        })
    }
}

/// A microphone that hears a recording once.
#[derive(Debug)]
pub struct Microphone(WavReader<File>);

impl Microphone {
    /// Fills the front of `samples` and returns them; none at the end of the recording.
    ///
    /// # Errors
    /// [`InputError::Recording`].
    pub fn read<'s>(&mut self, samples: &'s mut [i16]) -> Result<&'s [i16], InputError> {
        let count = self.0.read(samples).map_err(InputError::Recording)?;
        Ok(&samples[..count])
    }
}

/// A button that goes down at the times of the command line.
#[derive(Debug, Default)]
pub struct Button {
    presses: [f32; PRESSES],
    count: usize,
    rate: f32,
    sample: u32,
}

impl Button {
    fn add(&mut self, seconds: &str) -> Option<()> {
        *self.presses.get_mut(self.count)? = seconds.parse().ok()?;
        self.count += 1;
        Some(())
    }

    /// Says whether the button went down during the `samples` that follow those of the last call.
    pub fn pressed_during(&mut self, samples: usize) -> bool {
        let begin = self.sample as f32 / self.rate;
        self.sample += samples as u32;
        let end = self.sample as f32 / self.rate;
        let mut presses = self.presses[..self.count].iter();
        presses.any(|at| (begin..end).contains(at))
    }
}
