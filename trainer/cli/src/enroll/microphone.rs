//! Examples from the microphone.

use super::super::interrupt;
use super::super::taught::Chosen;
use super::Clip;
use anyhow::{Context, Result, anyhow, bail, ensure};
use mtslvr_audio::write_wav;
use mtslvr_listen::capture::{Capture, Heard, SoundCutter};
use mtslvr_listen::profile::{SourceClip, Subject};
use mtslvr_runtime::backbone::Backbone;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Flattened into the arguments of `enroll`.
#[derive(Debug, clap::Args)]
pub(super) struct MicrophoneChoice {
    /// Learn from the microphone: each sound that stands out from the background is an example; with
    /// --background, the background is
    #[arg(long)]
    mic: bool,
    /// Examples to take
    #[arg(long, value_name = "N", default_value_t = 1, requires = "mic")]
    count: u16,
    /// Most seconds of an example
    #[arg(long, default_value_t = 3.0, requires = "mic")]
    seconds: f32,
    /// Keep what was recorded as WAV files in this folder, so that it can be learnt again under
    /// another backbone; otherwise only the examples' directions stay
    #[arg(long, value_name = "DIR", requires = "mic")]
    keep: Option<PathBuf>,
}

/// How often Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(50);

impl MicrophoneChoice {
    pub(super) fn is_asked_for(&self) -> bool {
        self.mic
    }

    /// Records the examples, telling the user on standard error what to do.
    pub(super) fn record(&self, chosen: &mut Chosen, subject: Subject) -> Result<Vec<Clip>> {
        ensure!(self.count > 0, "--count must be at least 1");
        ensure!(
            (0.1..=60.0).contains(&self.seconds),
            "--seconds must be from 0.1 to 60, not {}",
            self.seconds
        );
        if let Some(folder) = &self.keep {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("--keep {}: cannot be made", folder.display()))?;
        }
        let stop = interrupt::quietly_on_ctrl_c()?;
        let rate = chosen.backbone.space().frontend().sample_rate;
        let mut capture = Capture::microphone(rate)?;
        let wanted = usize::from(self.count);
        let sounds = if subject == Subject::Background {
            eprintln!(
                "Recording the background for {} s ...",
                self.seconds * f32::from(self.count)
            );
            let length = (self.seconds * rate as f32) as usize;
            let mut samples = Vec::new();
            while samples.len() < wanted * length {
                samples.extend(next(&mut capture, stop)?);
            }
            samples.chunks(length).map(<[f32]>::to_vec).collect()
        } else {
            let (mut memory, mut buffer) = (chosen.memory(), Vec::new());
            let backbone = &mut chosen.backbone;
            let mut cutter = SoundCutter::new(backbone, &mut memory, &mut buffer, self.seconds)?;
            eprintln!("Quiet, please: listening to the background for two seconds ...");
            let (mut sounds, mut asked) = (Vec::new(), None);
            while sounds.len() < wanted {
                if cutter.is_quiet() && asked != Some(sounds.len()) {
                    asked = Some(sounds.len());
                    eprintln!("{subject}, {} of {wanted}: now!", sounds.len() + 1);
                }
                let samples = next(&mut capture, stop)?;
                sounds.extend(cutter.push(&samples).map_err(|error| anyhow!("{error}"))?);
            }
            sounds
        };
        drop(capture);
        let sounds = sounds.iter().take(wanted).zip(1..);
        sounds
            .map(|(samples, number)| self.clip(chosen, subject, samples, number))
            .collect()
    }

    fn clip(
        &self,
        chosen: &mut Chosen,
        subject: Subject,
        samples: &[f32],
        number: usize,
    ) -> Result<Clip> {
        let rate = chosen.backbone.space().frontend().sample_rate;
        let Some(folder) = &self.keep else {
            return Clip::new(format!("recording {number}"), None, samples, chosen);
        };
        let name: String = subject
            .to_string()
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let path = (1..)
            .map(|number| folder.join(format!("{name}-{number}.wav")))
            .find(|path| !path.exists())
            .expect("numbers do not end");
        write_wav(&path, samples, rate)?;
        // What is learnt is what the file holds, so that learning it again gives the same.
        let samples = mtslvr_audio::load(&path, rate)?;
        let source = SourceClip::of(&path).ok();
        Clip::new(path.display().to_string(), source, &samples, chosen)
    }
}

/// The next samples, unless the user stops.
fn next(capture: &mut Capture, stop: &AtomicBool) -> Result<Vec<f32>> {
    loop {
        ensure!(!stop.load(Ordering::Relaxed), "stopped; nothing was learnt");
        match capture.next(PATIENCE)? {
            Heard::Samples(samples) => return Ok(samples),
            Heard::Nothing => {}
            Heard::End => bail!("the microphone fell silent; nothing was learnt"),
        }
    }
}
