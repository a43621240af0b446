//! `mtslvr classes calibrate`: thresholds from a recording of the place.

use super::super::backbone::ProfileBackboneChoice;
use super::super::examples::examples;
use super::super::profile::{BackboneInUse, ProfileChoice};
use super::heard::{Sounds, hear};
use super::{enabled_sounds, existing, expect_sounds};
use anyhow::{Result, ensure};
use mtslvr_audio::{ShowPath, counted};
use mtslvr_listen::capture::{Capture, Heard};
use mtslvr_listen::profile::{Profile, Resemblance};
use mtslvr_runtime::fewshot::{Class, ClassId, Learner, PlaceThreshold, ScoreTail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Set thresholds from a recording of the place
///
/// The recording holds what is usually heard in the place, and none of the taught sounds. Each sound gets
/// the threshold at which the recording's sounds would give no more false alarms than asked for.
/// --false-alarms is the total of all enabled sounds, shared equally. Where the recording is too short to
/// tell, the rate is extrapolated from its highest scores; it needs ten seconds, and an hour is best. No
/// threshold is set below the one that counts without calibration, which aims at one false alarm an hour where
/// 180 other sounds are heard an hour, because the recording may not hold every sound of the place.
///
/// The answer says how many misses to expect, from the scores that the examples of a sound have when they
/// are left out one at a time.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Calibrate on an afternoon in the kitchen" => "mtslvr classes calibrate kitchen.wav",
    "Listen to the place for ten minutes" =>
        "arecord -d 600 -f S16_LE -r 16000 -t raw | mtslvr classes calibrate -",
    "See what one false alarm a day would cost" =>
        "mtslvr classes calibrate kitchen.wav --false-alarms 1/d --dry-run",
))]
pub(super) struct Calibrate {
    /// Recording without the taught sounds, or - for 16-bit PCM on standard input, one channel at the model's rate
    recording: PathBuf,
    /// False alarms to allow: a number for each hour (1/h) or day (2/d)
    #[arg(long, value_name = "RATE", default_value = "1/h")]
    false_alarms: Rate,
    /// Print the thresholds without setting them
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: ProfileBackboneChoice,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. Fields:
  hours: length of the recording
  sounds: sounds that stood out in it
  classes: for each enabled sound
    class: its name
    heard: sounds of the recording that were most like it
    highest: the best score of those; null without one
    before, threshold: its threshold before and now
    false_alarms: false alarms an hour to expect of it now; null where nothing was like it
    missed, examples: examples that would be missed when left out, of how many; null for a single one
    warning: words on a threshold that accepts nearly everything, or nothing; null for others";

/// A number of false alarms an hour.
#[derive(Clone, Copy, Debug)]
struct Rate {
    hourly: f64,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let rate = parts.and_then(|(count, unit)| {
            let hours = match unit.trim() {
                "h" | "hour" => 1.0,
                "d" | "day" => 24.0,
                _ => return None,
            };
            let count: f64 = count.trim().parse().ok()?;
            (count.is_finite() && count > 0.0).then_some(count / hours)
        });
        let hourly =
            rate.ok_or("expected a number above 0 for each hour or day, such as 1/h or 2/d")?;
        Ok(Self { hourly })
    }
}

/// The recording of a place.
struct Place {
    /// The sounds in it.
    heard: Sounds,
    /// Its length.
    hours: f64,
}

/// Result for the whole profile.
#[derive(Debug, Serialize)]
struct Calibrated {
    hours: f64,
    sounds: usize,
    classes: Vec<ClassResult>,
}

/// Result for a class.
#[derive(Debug, Serialize)]
struct ClassResult {
    #[serde(skip)]
    id: ClassId,
    class: String,
    heard: usize,
    highest: Option<f32>,
    before: f32,
    threshold: f32,
    false_alarms: Option<f64>,
    missed: Option<usize>,
    examples: usize,
    warning: Option<String>,
}

/// Longest wait for samples.
const PATIENCE: Duration = Duration::from_millis(50);

impl Calibrate {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        existing(&profile)?;
        let mut backbone = BackboneInUse::open_for(&self.backbone, &profile)?;
        let mut memory = backbone.memory();
        let mut learner = memory.learner();
        backbone.restore(&profile, &mut learner)?;
        let sounds: Vec<ClassId> = enabled_sounds(&learner).map(Class::id).collect();
        expect_sounds(&profile, &learner, "calibrate")?;
        let mut scratch = vec![0.0; learner.scratch_len()];
        learner.fit(&mut scratch)?;
        let before: Vec<f32> = sounds.iter().map(|id| learner.threshold(*id)).collect();
        // Those that count without calibration.
        for id in &sounds {
            learner.set_class_threshold(*id, None)?;
        }
        let place = self.listen(&mut backbone, &mut learner)?;
        let allowed = self.false_alarms.hourly * place.hours / sounds.len() as f64;
        let classes = sounds
            .iter()
            .zip(before)
            .map(|(id, before)| ClassResult::of(&learner, &place, allowed, *id, before));
        let classes = classes.collect::<Result<Vec<ClassResult>>>()?;
        if !self.dry_run {
            set(&profile, &backbone, &classes)?;
        }
        let result = Calibrated {
            hours: place.hours,
            sounds: place.heard.sounds,
            classes,
        };
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&result)?);
        } else {
            self.print(&result);
        }
        for warning in result.classes.iter().filter_map(|c| c.warning.as_ref()) {
            errln!("warning: {warning}");
        }
        Ok(())
    }

    /// Listens to the recording.
    fn listen(&self, backbone: &mut BackboneInUse, learner: &mut Learner) -> Result<Place> {
        let rate = backbone.sample_rate();
        let mut capture = if self.recording == Path::new("-") {
            Capture::pcm(std::io::stdin())
        } else {
            Capture::file(&self.recording, rate, false)?
        };
        let mut count = 0_u64;
        let heard = hear(backbone, learner, || {
            loop {
                match capture.next(PATIENCE)? {
                    Heard::Samples(samples) => {
                        count += samples.len() as u64;
                        return Ok(Some(samples));
                    }
                    Heard::Nothing => {}
                    Heard::End => return Ok(None),
                }
            }
        })?;
        let hours = count as f64 / f64::from(rate) / 3600.0;
        ensure!(
            hours * 3600.0 >= 10.0,
            "{}: lasts {:.1} s, and at least 10 s are needed; minutes are better, an hour is best",
            self.recording.shown(),
            3600.0 * hours
        );
        Ok(Place { heard, hours })
    }

    fn print(&self, result: &Calibrated) {
        outln!(
            "{} stood out in {:.1} minutes.",
            counted(result.sounds, "sound"),
            60.0 * result.hours
        );
        for class in &result.classes {
            let heard = match (class.heard, class.highest) {
                (0, _) | (_, None) => "nothing was most like it".to_owned(),
                (count, Some(highest)) => {
                    format!("{count} sounds were most like it, with scores up to {highest:.2}")
                }
            };
            let alarms = class.false_alarms.map_or_else(String::new, |alarms| {
                format!(", {alarms:.2} false alarms an hour to expect")
            });
            let misses = match class.missed {
                None => "; misses are not known from a single example".to_owned(),
                Some(missed) => {
                    format!(
                        "; {missed} of its {} examples would be missed if left out",
                        class.examples
                    )
                }
            };
            outln!(
                "{}: threshold {:.2} (before {:.2}): {heard}{alarms}{misses}",
                class.class,
                class.threshold,
                class.before
            );
        }
        if self.dry_run {
            outln!("Nothing was set.");
        }
    }
}

/// Gives the classes of a profile as it is now their thresholds.
fn set(profile: &Profile, backbone: &BackboneInUse, classes: &[ClassResult]) -> Result<()> {
    let locked = profile.lock()?;
    let mut memory = backbone.memory();
    let mut now = memory.learner();
    backbone.restore(profile, &mut now)?;
    for class in classes {
        // One that was deleted meanwhile needs none.
        let _ = now.set_class_threshold(class.id, Some(class.threshold));
    }
    locked.write(&now)?;
    Ok(())
}

impl ClassResult {
    /// Finds the threshold of a class that `allowed` sounds of the place exceed, where `before` it had another.
    fn of(
        learner: &Learner,
        place: &Place,
        allowed: f64,
        id: ClassId,
        before: f32,
    ) -> Result<Self> {
        let of_class = place
            .heard
            .scored
            .iter()
            .filter(|scored| scored.class == id);
        let scores: Vec<f32> = of_class.map(|scored| scored.score).collect();
        let mut tail = ScoreTail::EMPTY;
        for score in &scores {
            tail.push(*score);
        }
        let class = learner.support().class(id)?;
        let PlaceThreshold { wanted, threshold } =
            learner.place_threshold(id, &tail, allowed as f32);
        let alike = Resemblance::of(learner, id);
        let missed = alike.map(|alike| {
            let left_out = alike.left_out.iter();
            left_out.filter(|score| **score < threshold).count()
        });
        let mut result = Self {
            id,
            class: class.name().to_owned(),
            heard: scores.len(),
            highest: tail.highest(),
            before,
            threshold,
            false_alarms: tail
                .count_above(threshold)
                .map(|count| f64::from(count) / place.hours),
            missed,
            examples: class.examples(),
            warning: None,
        };
        let reached = scores.iter().filter(|score| **score >= threshold).count();
        let capped = (threshold < wanted).then(|| {
            format!(
                "{name}: the place asks for a threshold of {wanted:.2}, at which {name} would not be found; it is \
                 {threshold:.2}, which half of its own sounds reach; calibrate on a recording without {name}, \
                 or enrol more examples",
                name = class.name()
            )
        });
        result.warning = capped.or_else(|| result.doubt(reached));
        Ok(result)
    }

    /// Says if the threshold accepts nothing or nearly everything: `reached` sounds of the recording reach it.
    fn doubt(&self, reached: usize) -> Option<String> {
        let Self {
            class, threshold, ..
        } = self;
        if self.heard > 1 && 2 * reached > self.heard {
            return Some(format!(
                "{class}: the threshold {threshold:.2} accepts nearly everything: of the {} sounds of the \
                 recording that are most like {class}, {reached} reach it; calibrate on a recording without \
                 {class}, or allow fewer false alarms",
                self.heard
            ));
        }
        let nothing = match self.missed {
            Some(missed) if missed == self.examples => {
                format!("none of its {missed} examples reaches it when left out")
            }
            _ if *threshold >= 1.0 => "no score exceeds 1.00".to_owned(),
            _ => return None,
        };
        let heard = self.highest.map_or_else(String::new, |highest| {
            format!(", and sounds of the recording score up to {highest:.2}")
        });
        Some(format!(
            "{class}: the threshold {threshold:.2} accepts nothing: {nothing}{heard}; calibrate on a recording \
             without {class}, allow more false alarms, or enrol more examples"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let hourly = |text: &str| text.parse::<Rate>().map(|rate| rate.hourly);
        assert_eq!(hourly("1/h"), Ok(1.0));
        assert_eq!(hourly("12/d"), Ok(0.5));
        for wrong in ["", "1", "0/h", "-1/h", "x/h", "1/week"] {
            assert!(hourly(wrong).is_err(), "{wrong}");
        }
    }
}
