//! The streams as files that other programs can be measured on.

use crate::listen::labels::audacity;
use crate::output_place;
use anyhow::{Context, Result};
use mtslvr_audio::atomic_file::{write_atomically, write_bytes};
use mtslvr_audio::{AudioError, ShowPath, write_wav};
use mtslvr_evaluate::stream::{Occurrence, Stream, Trial, TrialShape};
use std::path::{Path, PathBuf};

/// Name of the folder of the examples of a stream.
const EXAMPLES: &str = "examples";

/// Returns the folder of stream `number`, the first of which is 1, among those of `shape`.
pub(super) fn folder(root: &Path, shape: &TrialShape, number: u64) -> PathBuf {
    let kind = format!(
        "{} dB, {}, taught {}",
        shape.scenery.snr,
        shape.cast.source.name(),
        shape.taught.name()
    );
    root.join(kind.replace(", ", "-").replace(' ', "_"))
        .join(number.to_string())
}

/// Writes a stream, what was taught before it and what was heard in it into `folder`.
pub(super) fn write(folder: &Path, stream: &Stream, trial: &Trial, rate: u32) -> Result<()> {
    let sound = |name: &Path, samples: &[f32]| -> Result<()> {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        output_place::make(parent)?;
        write_atomically(&path, |temporary| {
            write_wav(temporary, samples, rate).map_err(|error| match error {
                AudioError::Io { error, .. } => error,
                other => std::io::Error::other(other),
            })
        })
        .with_context(|| format!("cannot write {}", path.shown()))
    };
    let lessons = &stream.lessons;
    let examples = Path::new(EXAMPLES);
    for (class, clips) in &lessons.classes {
        for (number, samples) in (1..).zip(clips) {
            sound(&examples.join(class).join(format!("{number}.wav")), samples)?;
        }
    }
    for (number, samples) in (1..).zip(&lessons.ambient) {
        sound(
            &Path::new("background").join(format!("{number}.wav")),
            samples,
        )?;
    }
    let labels = |name: &str, lines: Vec<String>| {
        let path = folder.join(name);
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        write_bytes(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.shown()))
    };
    let seconds = |at: u64| at as f64 / f64::from(rate);
    let line = |start: u64, end: u64, class: usize| {
        audacity(seconds(start), seconds(end), &lessons.classes[class].0)
    };
    let sounds = |line: &dyn Fn(&Occurrence) -> Option<String>| {
        let sounds = stream.composed.sounds.iter();
        sounds.filter_map(line).collect::<Vec<_>>()
    };
    labels(
        "stream.txt",
        sounds(&|sound| Some(line(sound.extent.start, sound.extent.end, sound.class?))),
    )?;
    labels(
        "others.txt",
        sounds(&|sound| {
            let (start, end) = (seconds(sound.extent.start), seconds(sound.extent.end));
            sound
                .class
                .is_none()
                .then(|| audacity(start, end, "another sound"))
        }),
    )?;
    let events = trial.heard.first().map_or(&[][..], |heard| &heard.events);
    let events = events
        .iter()
        .map(|event| line(event.start, event.end, event.class.get().into()));
    labels("events.txt", events.collect())?;
    // The stream comes last: where it is, the rest is whole.
    sound(Path::new("stream.wav"), &stream.composed.samples)
}
