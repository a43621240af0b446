//! `mtslvr listen`: a stream in, recognised sounds out.

mod output;
mod taught;

use super::backbone::BackboneChoice;
use super::interrupt;
use super::taught::{Chosen, ProfileChoice};
use anyhow::{Result, anyhow, bail};
use mtslvr_listen::capture::{Capture, Heard};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use output::Output;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;
use taught::Taught;

/// Recognise enrolled sounds in a recording, on standard input or at the microphone
///
/// Standard input takes raw 16-bit little-endian PCM, one channel, at the model's rate, 16 kHz for
/// the shipped ones: `arecord -f S16_LE -c 1 -r 16000 -t raw | mtslvr listen -`.
///
/// A line is printed for each sound that is recognised, at once. On a terminal, a panel below shows
/// level, spectrogram and scores. What is enrolled or changed meanwhile counts from the next second
/// on. Ctrl-C ends listening.
#[derive(Debug, clap::Args)]
#[command(override_usage = "mtslvr listen [OPTIONS] <FILE|-|--mic>")]
pub(super) struct Args {
    /// A recording (WAV, FLAC, Ogg Vorbis, MP3), or `-` for PCM on standard input
    #[arg(required_unless_present = "mic", conflicts_with = "mic")]
    file: Option<PathBuf>,
    /// Listen to the default microphone
    #[arg(long)]
    mic: bool,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: BackboneChoice,
    /// Added to every threshold: above 0 for fewer false alarms, below for fewer misses
    #[arg(
        long,
        value_name = "SIMILARITY",
        default_value_t = ListenerConfig::DEFAULT.margin,
        allow_negative_numbers = true
    )]
    margin: f32,
    /// How far a sound must stand out from the background to be looked at, dB; `-inf` looks at all
    #[arg(
        long,
        value_name = "DB",
        default_value_t = ListenerConfig::DEFAULT.gate,
        allow_negative_numbers = true
    )]
    gate: f32,
    /// Play a recording no faster than it was
    #[arg(long, requires = "file")]
    real_time: bool,
    /// Print a line of JSON for each recognised sound, and no panel
    #[arg(long)]
    json: bool,
    /// Print lines only, and no panel
    #[arg(long)]
    plain: bool,
}

/// How often Ctrl-C is looked for and the panel drawn.
const PATIENCE: Duration = Duration::from_millis(50);

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let mut chosen = Chosen::open(&self.backbone)?;
        let space = chosen.backbone.space();
        let (space, frontend) = (space.into_owned(), *space.frontend());
        let mut memory = chosen.memory();
        let mut taught = Taught::new(&profile, &chosen, &mut memory)?;
        let config = ListenerConfig {
            margin: self.margin,
            gate: self.gate,
            ..ListenerConfig::DEFAULT
        };
        let classes = taught.class_capacity();
        let mut buffer = vec![0.0; Listener::buffer_len(&frontend, space.dim(), classes)];
        let mut listener = Listener::new(config, &space.as_space(), classes, &mut buffer)?;
        let stop = interrupt::quietly_on_ctrl_c()?;
        let (mut capture, live) = self.capture(frontend.sample_rate)?;
        let mut output = Output::new(&frontend, live, self.json, self.plain, taught.names());
        loop {
            let heard = match capture.next(PATIENCE)? {
                _ if stop.load(Ordering::Relaxed) => Heard::End,
                heard => heard,
            };
            if taught.refresh(&profile, &chosen, |warning| output.warn(warning)) {
                output.rename(taught.names());
            }
            let backbone = &mut chosen.backbone;
            let result = match &heard {
                Heard::Samples(samples) => {
                    output.hear(samples);
                    listener.push(taught.learner(), backbone, samples, |w| output.window(w))
                }
                Heard::Nothing => Ok(()),
                Heard::End => listener.finish(taught.learner(), backbone, |w| output.window(w)),
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

    /// What is listened to, and whether it happens now.
    fn capture(&self, sample_rate: u32) -> Result<(Capture, bool)> {
        Ok(match &self.file {
            None if self.mic => (Capture::microphone(sample_rate)?, true),
            None => bail!("expected a recording, `-` or --mic"),
            Some(file) if file == Path::new("-") => (Capture::pcm(std::io::stdin()), true),
            Some(file) => (Capture::file(file, sample_rate, self.real_time)?, false),
        })
    }
}
