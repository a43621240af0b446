//! `mtslvr listen`: recognises enrolled sounds in a stream.

mod follower;
mod output;
mod verdict;

use super::backbone::BackboneChoice;
use super::examples::examples;
use super::interrupt;
use super::profile::{BackboneInUse, ProfileChoice};
use anyhow::{Result, anyhow, bail};
use follower::ProfileFollower;
use mtslvr_listen::capture::{Capture, Heard};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use output::{JSON_HELP, Output, Settings};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Recognise enrolled sounds in a recording, a pipe or the microphone
///
/// Prints a line for each sound: its beginning and duration, the score with the threshold that it is
/// compared with, and the confidence. Where nothing is recognised, it says what came closest. On a
/// terminal, a panel below shows the level, the spectrogram and the scores. Changes of the profile count after a second, without a
/// restart. Ctrl-C ends listening.
///
/// `-` reads raw 16-bit little-endian PCM on standard input, one channel, at the model's rate: 16 kHz
/// for the shipped backbones.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "mtslvr listen [OPTIONS] <FILE|-|--mic>",
    after_help = examples!(
        "Listen to a recording" => "mtslvr listen kitchen.wav",
        "Listen to the microphone through ALSA" =>
            "arecord -f S16_LE -c 1 -r 16000 -t raw | mtslvr listen -",
        "Listen for a program, with fewer false alarms" => "mtslvr listen --mic --json --margin 0.1",
    )
)]
pub(super) struct Args {
    /// Recording (WAV, FLAC, Ogg Vorbis or MP3), or - for PCM on standard input
    #[arg(required_unless_present = "mic", conflicts_with = "mic")]
    file: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Input")]
    input: Input,
    #[command(flatten, next_help_heading = "Decision")]
    decision: DecisionChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    profile: ProfileChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    backbone: BackboneChoice,
    #[command(flatten, next_help_heading = "Output")]
    output: OutputChoice,
}

/// Options on where the sound comes from.
#[derive(Debug, clap::Args)]
struct Input {
    /// Listen to the default microphone instead of a file
    #[arg(long)]
    mic: bool,
    /// Play a recording at its own speed instead of as fast as possible
    #[arg(long, requires = "file")]
    real_time: bool,
}

/// Options on what counts as recognised.
#[derive(Debug, clap::Args)]
struct DecisionChoice {
    /// Score to add to every threshold
    ///
    /// Above 0 there are fewer false alarms, below 0 fewer misses.
    #[arg(
        long,
        value_name = "SCORE",
        default_value_t = ListenerConfig::DEFAULT.margin,
        allow_negative_numbers = true
    )]
    margin: f32,
    /// Level above the background from which a sound is looked at, dB
    ///
    /// `-inf` looks at everything, which takes more work.
    #[arg(
        long,
        value_name = "DB",
        default_value_t = ListenerConfig::DEFAULT.gate,
        allow_negative_numbers = true
    )]
    gate: f32,
    /// Time after a sound in which the same sound is not reported again, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ListenerConfig::DEFAULT.refractory)]
    cooldown: f32,
    /// Shortest sound that is reported, seconds
    ///
    /// A sound is then reported once it has lasted that long.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    min_duration: f64,
}

/// Options on what is printed.
#[derive(Debug, clap::Args)]
struct OutputChoice {
    #[arg(
        long,
        help = "Print lines of JSON instead of text, without the panel",
        long_help = JSON_HELP
    )]
    json: bool,
    /// Print lines of text, without the panel
    #[arg(long)]
    plain: bool,
    /// Print how each window was judged, too
    #[arg(long)]
    explain: bool,
}

/// Longest wait for samples before Ctrl-C is looked for and the panel is drawn.
const PATIENCE: Duration = Duration::from_millis(50);

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let mut backbone = BackboneInUse::open(&self.backbone)?;
        let mut memory = backbone.memory();
        let mut follower = ProfileFollower::new(&profile, &backbone, &mut memory)?;
        let space = backbone.engine.space();
        let (space, frontend) = (space.into_owned(), *space.frontend());
        let classes = follower.class_capacity();
        let mut buffer = vec![0.0; Listener::buffer_len(&frontend, space.dim(), classes)];
        let mut listener = Listener::new(self.config(), &space.as_space(), classes, &mut buffer)?;
        let stop = interrupt::quietly_on_ctrl_c()?;
        let (mut capture, live) = self.capture(frontend.sample_rate)?;
        let settings = self.settings(live);
        let mut output = Output::new(&frontend, settings, follower.classes());
        loop {
            let heard = next(&mut capture, stop)?;
            if follower.refresh(&profile, &backbone, |warning| output.warn(warning)) {
                output.rename(follower.classes());
            }
            let engine = &mut backbone.engine;
            let result = match &heard {
                Heard::Samples(samples) => {
                    output.hear(samples);
                    listener.push(follower.learner(), engine, samples, |w| output.window(w))
                }
                Heard::Nothing => Ok(()),
                // A sound that is not over yet is decided on at the end.
                Heard::End => listener.finish(follower.learner(), engine, |w| output.window(w)),
            };
            result.map_err(|error| anyhow!("{error}"))?;
            if heard == Heard::End {
                break;
            }
            output.draw();
        }
        output.finish(listener.invalid_samples());
        Ok(())
    }

    fn config(&self) -> ListenerConfig {
        ListenerConfig {
            margin: self.decision.margin,
            gate: self.decision.gate,
            refractory: self.decision.cooldown,
            ..ListenerConfig::DEFAULT
        }
    }

    fn settings(&self, live: bool) -> Settings {
        Settings {
            live,
            at_once: live || self.input.real_time,
            json: self.output.json,
            plain: self.output.plain,
            explain: self.output.explain,
            least_duration: self.decision.min_duration,
            listener: self.config(),
        }
    }

    /// Opens the input, and tells whether it happens now.
    fn capture(&self, sample_rate: u32) -> Result<(Capture, bool)> {
        Ok(match &self.file {
            None if self.input.mic => (Capture::microphone(sample_rate)?, true),
            None => bail!("no input; expected a recording, `-` or --mic"),
            Some(file) if file == Path::new("-") => (Capture::pcm(std::io::stdin()), true),
            Some(file) => {
                let capture = Capture::file(file, sample_rate, self.input.real_time)?;
                (capture, false)
            }
        })
    }
}

/// Returns the next samples, or the end after Ctrl-C.
fn next(capture: &mut Capture, stop: &AtomicBool) -> Result<Heard> {
    let heard = capture.next(PATIENCE)?;
    Ok(if stop.load(Ordering::Relaxed) {
        Heard::End
    } else {
        heard
    })
}
