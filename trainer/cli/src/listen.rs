//! `mtslvr listen`: recognises enrolled sounds in a stream.

mod exec;
mod follower;
pub(super) mod keeper;
pub(super) mod labels;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(not(feature = "mqtt"))]
#[path = "listen/no_mqtt.rs"]
mod mqtt;
mod output;
mod verdict;

use super::backbone::ProfileBackboneChoice;
use super::examples::examples;
use super::interrupt;
use super::microphone::{MICROPHONE, with_microphone};
use super::profile::{BackboneInUse, ProfileChoice};
use anyhow::{Result, anyhow, ensure};
use exec::Hook;
use follower::ProfileFollower;
use keeper::Keeper;
use labels::Labels;
use mtslvr_audio::{ShowPath, recordings_below};
use mtslvr_listen::capture::{Capture, Heard, PcmShape};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use output::{JSON_HELP, Output, Reactions, Settings};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg_attr(
    feature = "mic",
    doc = "Recognise enrolled sounds in a recording, a pipe or the microphone"
)]
#[cfg_attr(
    not(feature = "mic"),
    doc = "Recognise enrolled sounds in a recording or a pipe"
)]
///
/// Prints a line for each sound: its beginning and duration, the score with the threshold that it is
/// compared with, and the confidence. Where nothing is recognised, it says what came closest. On a
/// terminal, a panel below shows the level, the spectrogram and the scores. Changes of the profile count after a second, without a
/// restart. Ctrl-C ends listening.
///
/// The thresholds are those of `mtslvr classes threshold`. The ones that you have not set aim at one false alarm
/// an hour in a room where 180 other sounds are heard an hour; `mtslvr classes calibrate` fits them to a place.
///
/// `-` reads raw 16-bit little-endian PCM on standard input, one channel at the model's rate, 16 kHz for the
/// shipped backbones, unless --rate and --channels say otherwise. Several recordings, and all those in a
/// folder and the folders below it, are heard one after the other, each as a stream of its own.
#[cfg_attr(not(feature = "mic"), doc = "")]
#[cfg_attr(
    not(feature = "mic"),
    doc = "This program was built without a microphone; `cargo build --release --features mic` brings `--mic`."
)]
#[derive(Debug, clap::Args)]
#[command(
    override_usage = with_microphone!(
        "mtslvr listen [OPTIONS] <FILE...|DIR...|-|--mic>",
        "mtslvr listen [OPTIONS] <FILE...|DIR...|->"
    ),
    after_help = with_microphone!(
        examples!(
            "Listen to the recordings of a day, and label the sounds" =>
                "mtslvr listen day/ --labels day.csv",
            "Listen to the microphone through ALSA" =>
                "arecord -f S16_LE -c 1 -r 16000 -t raw | mtslvr listen -",
            "Run a command for each sound" =>
                "mtslvr listen --mic --exec 'notify-send \"$MTSLVR_CLASS\"'",
        ),
        examples!(
            "Listen to the recordings of a day, and label the sounds" =>
                "mtslvr listen day/ --labels day.csv",
            "Listen to the microphone through ALSA" =>
                "arecord -f S16_LE -c 1 -r 16000 -t raw | mtslvr listen -",
            "Run a command for each sound" =>
                "mtslvr listen day.wav --exec 'notify-send \"$MTSLVR_CLASS\"'",
        )
    )
)]
pub(super) struct Args {
    /// Recordings (WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or WebM) or folders of them, or - for PCM on
    /// standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "mic",
        conflicts_with = "mic"
    )]
    files: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "Input")]
    input: Input,
    #[command(flatten, next_help_heading = "Decision")]
    decision: DecisionChoice,
    #[command(flatten, next_help_heading = "Capture")]
    capture: CaptureChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    profile: ProfileChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    backbone: ProfileBackboneChoice,
    #[command(flatten, next_help_heading = "Output")]
    output: OutputChoice,
}

/// Options on where the sound comes from.
#[derive(Debug, clap::Args)]
struct Input {
    /// Listen to the default microphone instead of a file
    #[arg(long, hide = !MICROPHONE)]
    mic: bool,
    /// Play a recording at its own speed instead of as fast as possible
    #[arg(long, requires = "files")]
    real_time: bool,
    /// Sample rate of PCM on standard input, Hz [default: the model's]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1000..=768_000))]
    rate: Option<u32>,
    /// Channels of PCM on standard input; they are averaged [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: Option<u16>,
}

/// Options on what counts as recognised.
#[derive(Debug, clap::Args)]
struct DecisionChoice {
    /// Score to add to every threshold
    ///
    /// Above 0 there are fewer false alarms, below 0 fewer misses. Scores are between -1 and 1.
    #[arg(
        long,
        value_name = "SCORE",
        default_value_t = ListenerConfig::DEFAULT.margin,
        value_parser = margin,
        allow_hyphen_values = true
    )]
    margin: f32,
    /// How far a sound must rise above the background to be judged, dB
    ///
    /// `-inf` judges every window, which takes more work.
    #[arg(
        long,
        value_name = "DB",
        default_value_t = ListenerConfig::DEFAULT.gate,
        allow_hyphen_values = true
    )]
    gate: f32,
    /// Time after a sound in which the same sound is not reported again, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ListenerConfig::DEFAULT.refractory, value_parser = seconds::<f32>, allow_hyphen_values = true)]
    cooldown: f32,
    /// Shortest sound that is reported, seconds
    ///
    /// A sound is then reported once it has lasted that long.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds::<f64>, allow_hyphen_values = true)]
    min_duration: f64,
}

/// Options on the sounds that are kept.
#[derive(Debug, clap::Args)]
struct CaptureChoice {
    /// Folder for clips of recognised sounds and near misses, for `mtslvr review` [default: none]
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
    /// Largest size of that folder, MB; the oldest clips are deleted first
    #[arg(long, value_name = "MB", default_value_t = 50, requires = "capture")]
    capture_limit: u64,
    /// How far below its threshold a score may be for the sound to be kept as a near miss
    #[arg(
        long,
        value_name = "SCORE",
        default_value_t = 0.1,
        requires = "capture"
    )]
    near: f32,
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
    /// File to write the sounds to: an Audacity label track, or CSV if it is called .csv [default: none]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Shell command to run for each sound, as soon as it is recognised [default: none]
    ///
    /// It has MTSLVR_CLASS, MTSLVR_FILE, MTSLVR_START, MTSLVR_SCORE, MTSLVR_THRESHOLD and MTSLVR_CONFIDENCE
    /// in its environment. `listen` goes on meanwhile, and waits for running commands only before it ends.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    #[command(flatten)]
    mqtt: mqtt::MqttChoice,
}

/// Longest wait for samples before Ctrl-C is looked for and the panel is drawn.
const PATIENCE: Duration = Duration::from_millis(50);

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let inputs = self.inputs()?;
        let mut backbone = BackboneInUse::open_for(&self.backbone, &profile)?;
        let mut memory = backbone.memory();
        let mut follower = ProfileFollower::new(&profile, &backbone, &mut memory)?;
        let space = backbone.engine.space();
        let (space, frontend) = (space.into_owned(), *space.frontend());
        let classes = follower.class_capacity();
        let mut buffer = vec![0.0; Listener::buffer_len(&frontend, space.dim(), classes)];
        let mut listener = Listener::new(self.config(), &space.as_space(), classes, &mut buffer)?;
        let stop = interrupt::quietly_on_ctrl_c();
        let count = inputs.len();
        let several = count > 1;
        let mut reactions = None;
        let mut unreadable = 0;
        for input in inputs {
            let mut capture = match self.open(&input, frontend.sample_rate) {
                // One recording that cannot be read is no reason to leave the others.
                Err(error) if several => {
                    errln!("{error:#}");
                    unreadable += 1;
                    continue;
                }
                capture => capture?,
            };
            // Where nothing can be heard, no file of labels is replaced and no folder made.
            let reactions = match &mut reactions {
                Some(reactions) => reactions,
                none => none.insert(self.reactions(count, &backbone.name)?),
            };
            let settings = self.settings(&input, several);
            let mut output = Output::new(&frontend, settings, follower.classes(), reactions);
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
                output.lose(capture.lost());
                output.check()?;
                if heard == Heard::End {
                    break;
                }
                output.draw();
            }
            output.finish(listener.invalid_samples());
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        if let Some(reactions) = reactions {
            reactions.finish();
        }
        ensure!(unreadable == 0, "{unreadable} recordings could not be read");
        Ok(())
    }

    /// Lists what is listened to: the recordings in a folder by their names.
    fn inputs(&self) -> Result<Vec<Source>> {
        if self.input.mic {
            return Ok(vec![Source::Microphone]);
        }
        let mut inputs = Vec::new();
        for path in &self.files {
            if path == Path::new("-") {
                inputs.push(Source::Pcm);
            } else if path.is_dir() {
                let below = recordings_below(path)?;
                ensure!(
                    !below.is_empty(),
                    "{}: holds no recordings; expected files of WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or \
                     WebM",
                    path.shown()
                );
                inputs.extend(below.into_iter().map(Source::File));
            } else {
                inputs.push(Source::File(path.clone()));
            }
        }
        let live = inputs
            .iter()
            .filter(|input| !matches!(input, Source::File(_)));
        ensure!(
            inputs.len() == 1 || live.count() == 0,
            "`-` is given beside recordings; expected the one or the others"
        );
        let shaped = self.input.rate.is_some() || self.input.channels.is_some();
        ensure!(
            !shaped || matches!(inputs[..], [Source::Pcm]),
            "--rate and --channels describe PCM on standard input (`-`); a recording states its own"
        );
        Ok(inputs)
    }

    /// Opens the file of labels, prepares the command, and begins to connect to the broker.
    fn reactions(&self, inputs: usize, backbone: &str) -> Result<Reactions> {
        let labels = self.output.labels.as_deref();
        if let Some(path) = labels {
            ensure!(
                inputs == 1 || Labels::is_csv(path),
                "--labels {}: {inputs} recordings are given, and a label track is of one; expected the \
                 name of a .csv file",
                path.shown()
            );
        }
        Ok(Reactions {
            labels: labels.map(Labels::create).transpose()?,
            hook: self.output.exec.clone().map(Hook::new),
            keeper: self.keeper()?,
            mqtt: self.output.mqtt.start(backbone)?,
        })
    }

    fn keeper(&self) -> Result<Option<Keeper>> {
        let limit = self.capture.capture_limit.saturating_mul(1_000_000);
        let folder = self.capture.capture.as_ref();
        folder.map(|folder| Keeper::new(folder, limit)).transpose()
    }

    fn config(&self) -> ListenerConfig {
        ListenerConfig {
            margin: self.decision.margin,
            gate: self.decision.gate,
            refractory: self.decision.cooldown,
            ..ListenerConfig::DEFAULT
        }
    }

    fn settings(&self, input: &Source, several: bool) -> Settings {
        let live = !matches!(input, Source::File(_));
        Settings {
            file: match input {
                Source::File(path) => Some(path.display().to_string()),
                _ => None,
            },
            several,
            live,
            at_once: live || self.input.real_time,
            json: self.output.json,
            plain: self.output.plain,
            explain: self.output.explain,
            least_duration: self.decision.min_duration,
            near: self.capture.near,
            listener: self.config(),
        }
    }

    /// Opens an input.
    fn open(&self, input: &Source, sample_rate: u32) -> Result<Capture> {
        let shape = PcmShape {
            rate: self.input.rate.unwrap_or(sample_rate),
            channels: self.input.channels.unwrap_or(1).into(),
        };
        Ok(match input {
            Source::Microphone => Capture::microphone(sample_rate)?,
            Source::Pcm => Capture::pcm_of(std::io::stdin(), shape, sample_rate),
            Source::File(file) => Capture::file(file, sample_rate, self.input.real_time)?,
        })
    }
}

/// One thing to listen to.
#[derive(Clone, Debug)]
enum Source {
    Microphone,
    /// PCM on standard input.
    Pcm,
    File(PathBuf),
}

/// Reads the value of --margin.
fn margin(text: &str) -> Result<f32, String> {
    let margin = text.parse().ok();
    margin
        .filter(|margin| (-2.0..=2.0).contains(margin))
        .ok_or_else(|| "expected a number from -2 to 2".to_owned())
}

/// Reads a length of time.
fn seconds<T: FromStr + PartialOrd + Default>(text: &str) -> Result<T, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| *seconds >= T::default())
        .ok_or_else(|| "expected a number of seconds, 0 or more".to_owned())
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
