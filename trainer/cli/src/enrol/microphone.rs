//! Records examples at the microphone.

use super::super::interrupt;
use super::super::microphone::MICROPHONE;
use super::super::profile::BackboneInUse;
use super::Clip;
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_audio::write_wav;
use mtslvr_listen::capture::{Capture, Heard, SoundCutter};
use mtslvr_listen::profile::{ClassLabel, SourceClip};
use mtslvr_runtime::backbone::Backbone;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Flattened into the arguments of `enrol`.
#[derive(Debug, clap::Args)]
pub(super) struct MicrophoneChoice {
    /// Record at the default microphone instead of reading clips
    ///
    /// Each sound that stands out from the background becomes an example. With --background, the
    /// background itself does.
    #[arg(long, hide = !MICROPHONE)]
    mic: bool,
    /// Number of examples to record
    #[arg(long, value_name = "N", default_value_t = 1, requires = "mic", hide = !MICROPHONE)]
    count: u16,
    /// Greatest length of an example, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, requires = "mic", hide = !MICROPHONE)]
    seconds: f32,
    /// Folder to keep the recordings in, as WAV files [default: they are not kept]
    ///
    /// Kept recordings can be embedded again under another backbone (`mtslvr classes reembed`).
    #[arg(long, value_name = "DIR", requires = "mic", hide = !MICROPHONE)]
    keep: Option<PathBuf>,
}

/// Longest wait for samples before Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(50);

impl MicrophoneChoice {
    pub(super) fn is_asked_for(&self) -> bool {
        self.mic
    }

    /// Records the examples. Standard error tells the user when to make the sound.
    pub(super) fn record(
        &self,
        backbone: &mut BackboneInUse,
        label: ClassLabel,
    ) -> Result<Vec<Clip>> {
        self.check()?;
        let mut microphone = Microphone {
            capture: Capture::microphone(backbone.sample_rate())?,
            stop: interrupt::quietly_on_ctrl_c(),
        };
        let sounds = if label == ClassLabel::Background {
            self.record_background(&mut microphone, backbone.sample_rate())?
        } else {
            self.record_sounds(&mut microphone, backbone, label)?
        };
        // Closed before the embedding, so that it does not fill up meanwhile.
        drop(microphone);
        let sounds = sounds.iter().take(usize::from(self.count)).zip(1..);
        sounds
            .map(|(samples, number)| self.clip(backbone, label, samples, number))
            .collect()
    }

    fn check(&self) -> Result<()> {
        ensure!(self.count > 0, "--count must be at least 1, not 0");
        ensure!(
            (0.1..=60.0).contains(&self.seconds),
            "--seconds must be from 0.1 to 60, not {}",
            self.seconds
        );
        if let Some(folder) = &self.keep {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("--keep {}: cannot be made", folder.shown()))?;
        }
        Ok(())
    }

    /// Records the place itself, cut into pieces of the length asked for.
    fn record_background(&self, microphone: &mut Microphone, rate: u32) -> Result<Vec<Vec<f32>>> {
        let count = usize::from(self.count);
        errln!(
            "Recording the background for {} s ...",
            self.seconds * f32::from(self.count)
        );
        let length = (self.seconds * rate as f32) as usize;
        let mut samples = Vec::new();
        while samples.len() < count * length {
            samples.extend(microphone.next()?);
        }
        Ok(samples.chunks(length).map(<[f32]>::to_vec).collect())
    }

    /// Waits for sounds that stand out from the background, and cuts them out as the listener does.
    fn record_sounds(
        &self,
        microphone: &mut Microphone,
        backbone: &BackboneInUse,
        label: ClassLabel,
    ) -> Result<Vec<Vec<f32>>> {
        let count = usize::from(self.count);
        let frontend = *backbone.engine.space().frontend();
        let mut buffer = Vec::new();
        let mut cutter = SoundCutter::new(&frontend, &mut buffer, self.seconds)?;
        errln!("Quiet, please: listening to the background for two seconds ...");
        let (mut sounds, mut asked) = (Vec::new(), None);
        while sounds.len() < count {
            if cutter.is_quiet() && asked != Some(sounds.len()) {
                asked = Some(sounds.len());
                errln!("{label}, {} of {count}: now!", sounds.len() + 1);
            }
            let samples = microphone.next()?;
            sounds.extend(cutter.push(&samples));
        }
        Ok(sounds)
    }

    /// Makes a clip of a recording, and a file of it if it is to be kept.
    fn clip(
        &self,
        backbone: &mut BackboneInUse,
        label: ClassLabel,
        samples: &[f32],
        number: usize,
    ) -> Result<Clip> {
        let Some(folder) = &self.keep else {
            return Clip::new(format!("recording {number}"), None, samples, backbone);
        };
        let rate = backbone.sample_rate();
        let path = unused_path(folder, label);
        write_wav(&path, samples, rate)?;
        // The example is made of the file, so that embedding the file again gives the same.
        let samples = mtslvr_audio::load(&path, rate)?;
        let source = SourceClip::of(&path).ok();
        Clip::new(path.display().to_string(), source, &samples, backbone)
    }
}

/// Returns the first of `folder/<class>-1.wav`, `folder/<class>-2.wav` and so on that does not exist.
fn unused_path(folder: &Path, label: ClassLabel) -> PathBuf {
    let name: String = label
        .to_string()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    (1..)
        .map(|number| folder.join(format!("{name}-{number}.wav")))
        .find(|path| !path.exists())
        .expect("numbers do not end")
}

/// The microphone, until Ctrl-C.
struct Microphone {
    capture: Capture,
    stop: &'static AtomicBool,
}

impl Microphone {
    /// Returns the next samples, unless the user stops.
    fn next(&mut self) -> Result<Vec<f32>> {
        loop {
            ensure!(
                !self.stop.load(Ordering::Relaxed),
                "stopped; nothing was enrolled"
            );
            match self.capture.next(PATIENCE)? {
                Heard::Samples(samples) => return Ok(samples),
                Heard::Nothing => {}
                Heard::End => bail!("the microphone gave no more sound; nothing was enrolled"),
            }
        }
    }
}
