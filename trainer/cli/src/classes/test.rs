//! `mtslvr classes test`: how good a profile is on labelled clips.

use super::super::backbone::ProfileBackboneChoice;
use super::super::command_line::CommandLine;
use super::super::examples::examples;
use super::super::profile::{BackboneInUse, ProfileChoice};
use super::super::{output_place, progress};
use super::heard::hear;
use super::{enabled_sounds, existing, expect_sounds};
use anyhow::{Result, ensure};
use mtslvr_audio::{self as audio, LabelledSet};
use mtslvr_audio::{ShowPath, counted};
use mtslvr_evaluate::Confusion;
use mtslvr_evaluate::report::{
    Fact, Figure, ModelFindings, Recognition, Report, Spectrogram, spectrogram_data_uri,
};
use mtslvr_listen::capture::Take;
use mtslvr_listen::profile::{ClipLog, composed};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{Class, ClassId, Learner};
use mtslvr_runtime::frontend::{Frontend, FrontendConfig};
use mtslvr_runtime::listener::Scored;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Test the profile on labelled clips
///
/// The clips are in folders, `DIR/<class>/<clip>`: a folder with the name of an enrolled sound holds clips of
/// it, and every other folder holds other sounds, for which "unknown" is the right answer. Each clip is heard as `listen`
/// hears it. Clips that are examples of the profile are left out.
///
/// The answer is a table of what was taken for what, the hits and false accepts of each sound, those that
/// other thresholds would give, and a threshold that would do better, if one would.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Test the profile" => "mtslvr classes test recordings",
    "Write a page with pictures, too" => "mtslvr classes test recordings --out report",
))]
pub(super) struct Test {
    /// Folder of folders of clips
    dir: PathBuf,
    /// Folder for report.html and results.json [default: none, print only]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[arg(long, help = "Print JSON instead of tables", long_help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: ProfileBackboneChoice,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of tables. Fields:
  confusion: rows (true sounds), columns (answers) and counts of clips
  hits, known: clips of enrolled sounds that were recognised, of how many
  false_accepts, strangers: strangers that were taken for a sound, of how many
  left_out: clips that are examples of the profile
  unheard: clips in which nothing stood out
  classes: for each sound
    class, threshold: its name and its threshold
    hits, known: its clips that were recognised, of how many
    false_accepts, others: other clips that were taken for it, of how many
    steps: the same hits and false_accepts at other values of threshold
    suggestion: a threshold that would do better; null if none would";

/// Steps from the threshold that are tried.
const STEPS: [f32; 9] = [-0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2];

/// A clip that was heard.
struct Heard {
    /// Place of its class among the sounds; `None` for a stranger.
    class: Option<usize>,
    /// Scores of its sounds.
    scored: Vec<Scored>,
}

/// An enabled sound of the profile.
struct Sound {
    id: ClassId,
    name: String,
    threshold: f32,
}

/// The result.
#[derive(Debug, Serialize)]
struct Tested {
    confusion: Confusion,
    hits: usize,
    known: usize,
    false_accepts: usize,
    strangers: usize,
    left_out: usize,
    unheard: usize,
    classes: Vec<ClassResult>,
}

/// The result of a sound.
#[derive(Debug, Serialize)]
struct ClassResult {
    class: String,
    threshold: f32,
    hits: usize,
    known: usize,
    false_accepts: usize,
    others: usize,
    steps: Vec<Step>,
    suggestion: Option<f32>,
}

/// Results at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Step {
    threshold: f32,
    hits: usize,
    false_accepts: usize,
}

impl Test {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        existing(&profile)?;
        if let Some(folder) = &self.out {
            output_place::make(folder)?;
        }
        let mut backbone = BackboneInUse::open_for(&self.backbone, &profile)?;
        let mut memory = backbone.memory();
        let mut learner = memory.learner();
        backbone.restore(&profile, &mut learner)?;
        let mut scratch = vec![0.0; learner.scratch_len()];
        expect_sounds(&profile, &learner, "test")?;
        learner.fit(&mut scratch)?;
        let sounds = sounds(&learner);
        let set = LabelledSet::open(&self.dir)?;
        self.check_names(&sounds, &set);
        let log = ClipLog::read(&profile)?;
        let mut pictures = Pictures::default();
        let (mut clips, mut left_out, mut unheard) = (Vec::new(), 0, 0);
        let bar = progress::files(set.clips.len() as u64, "listening");
        for clip in &set.clips {
            bar.inc(1);
            if log.holds(&clip.path) {
                left_out += 1;
                continue;
            }
            let samples = audio::load(&clip.path, backbone.sample_rate())?;
            let frontend = *backbone.engine.space().frontend();
            let take = Take::new(&samples, &frontend)?;
            let mut stream = Some(take.stream().to_vec());
            let mut heard = hear(&mut backbone, &mut learner, || Ok(stream.take()))?;
            // Before the clip there is nothing but the place.
            let begins = take.begins();
            let rate = f64::from(backbone.sample_rate());
            let starts = |scored: &Scored| scored.start as f64 / rate;
            heard.scored.retain(|scored| starts(scored) >= begins - 0.1);
            unheard += usize::from(take.cuts().is_empty());
            let folder = &set.classes[clip.class];
            let heard = Heard {
                class: place_of(&sounds, folder),
                scored: heard.scored,
            };
            if self.out.is_some() {
                pictures.add(folder, &sounds, &heard, &samples, &frontend);
            }
            clips.push(heard);
        }
        bar.finish_and_clear();
        ensure!(
            !clips.is_empty(),
            "{}: every clip is an example of the profile ({left_out}); expected others to test it with",
            self.dir.shown()
        );
        let result = Tested::of(&sounds, &clips, left_out, unheard);
        if let Some(folder) = &self.out {
            let report = result.report(&backbone.name, pictures);
            let [_, page] = report.write(folder)?;
            errln!("{}", page.shown());
        }
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&result)?);
        } else {
            out!("{result}");
        }
        Ok(())
    }
}

impl Test {
    /// Warns if no folder holds clips of a sound; says which sounds have none, and which folders are strangers.
    fn check_names(&self, sounds: &[Sound], set: &LabelledSet) {
        let of_sounds: Vec<_> = set.classes.iter().map(|f| place_of(sounds, f)).collect();
        if of_sounds.iter().any(Option::is_some) {
            let heard = |place: usize| of_sounds.contains(&Some(place));
            let unheard = sounds
                .iter()
                .enumerate()
                .filter(|(place, _)| !heard(*place));
            let unheard: Vec<&str> = unheard.map(|(_, sound)| sound.name.as_str()).collect();
            let folders = set.classes.iter().zip(&of_sounds);
            let strangers = folders.filter(|(_, of_sound)| of_sound.is_none());
            let strangers: Vec<&str> = strangers.map(|(folder, _)| folder.as_str()).collect();
            if !unheard.is_empty() && !strangers.is_empty() {
                errln!(
                    "no folder has the name of these sounds: {}; strangers are in {}",
                    unheard.join(", "),
                    strangers.join(", ")
                );
            }
            return;
        }
        let names: Vec<&str> = sounds.iter().map(|sound| sound.name.as_str()).collect();
        errln!(
            "warning: {}: no folder has the name of an enabled sound, so every clip counts as a stranger; the \
             sounds are {}, the folders {}",
            self.dir.shown(),
            names.join(", "),
            set.classes.join(", ")
        );
    }
}

/// Returns the place of the sound that a folder has the name of, however either is spelt.
fn place_of(sounds: &[Sound], folder: &str) -> Option<usize> {
    let folder = composed(folder);
    let mut sounds = sounds.iter();
    sounds.position(|sound| composed(&sound.name) == folder)
}

/// Returns the enabled sounds with their thresholds.
fn sounds(learner: &Learner) -> Vec<Sound> {
    let sound = |class: &Class| Sound {
        id: class.id(),
        name: class.name().to_owned(),
        threshold: learner.threshold(class.id()),
    };
    enabled_sounds(learner).map(sound).collect()
}

impl Heard {
    /// Returns the sound that the clip is taken for: of those that reach their threshold, the one that is
    /// farthest above it.
    fn answer(&self, sounds: &[Sound]) -> Option<usize> {
        let scored = self.scored.iter().filter(|scored| scored.lead() >= 0.0);
        let best = scored.max_by(|a, b| a.lead().total_cmp(&b.lead()))?;
        sounds.iter().position(|sound| sound.id == best.class)
    }

    /// Returns its best score for a sound.
    fn score(&self, sound: &Sound) -> Option<f32> {
        let own = self.scored.iter().filter(|scored| scored.class == sound.id);
        own.map(|scored| scored.score).reduce(f32::max)
    }
}

impl Tested {
    fn of(sounds: &[Sound], clips: &[Heard], left_out: usize, unheard: usize) -> Self {
        let mut counts = vec![vec![0; sounds.len() + 1]; sounds.len() + 1];
        for clip in clips {
            let row = clip.class.unwrap_or(sounds.len());
            counts[row][clip.answer(sounds).unwrap_or(sounds.len())] += 1;
        }
        let total = |row: usize| counts[row].iter().sum::<usize>();
        let strangers = total(sounds.len());
        let names = |last: &str| {
            let names = sounds.iter().map(|sound| sound.name.clone());
            names.chain([last.to_owned()]).collect::<Vec<String>>()
        };
        let classes = sounds.iter().enumerate();
        Self {
            hits: (0..sounds.len()).map(|at| counts[at][at]).sum(),
            known: clips.len() - strangers,
            false_accepts: strangers - counts[sounds.len()][sounds.len()],
            strangers,
            left_out,
            unheard,
            classes: classes
                .map(|(at, sound)| ClassResult::of(at, sound, clips))
                .collect(),
            confusion: Confusion {
                rows: names("strangers"),
                columns: names("unknown"),
                counts,
            },
        }
    }

    /// Makes the page.
    fn report(&self, backbone: &str, pictures: Pictures) -> Report {
        let thresholds = self.classes.iter().map(|class| class.threshold);
        let threshold = thresholds.sum::<f32>() / self.classes.len() as f32;
        let percent = |part: usize, whole: usize| {
            format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64)
        };
        let figure = |part: usize, whole: usize, name: &str| Figure {
            value: percent(part, whole),
            name: name.to_owned(),
            context: format!("{part} of {}", counted(whole, "clip")),
        };
        let mut facts = vec![Fact::new("Backbone", backbone)];
        for class in &self.classes {
            let text = format!(
                "threshold {:.2}: {} of {} found, {} of {} others taken for it{}",
                class.threshold,
                class.hits,
                class.known,
                class.false_accepts,
                class.others,
                class
                    .suggestion
                    .map_or_else(String::new, |s| format!("; {s:.2} would do better"))
            );
            facts.push(Fact::new(&class.class, text));
        }
        Report {
            title: "A profile on labelled clips".to_owned(),
            summary: format!(
                "{} of enrolled sounds and {} of strangers were heard as `mtslvr listen` hears them.",
                counted(self.known, "clip"),
                self.strangers
            ),
            headline: vec![
                figure(self.hits, self.known, "recognised"),
                figure(self.false_accepts, self.strangers, "strangers accepted"),
            ],
            facts,
            models: vec![ModelFindings {
                label: backbone.to_owned(),
                recognition: Some(Recognition {
                    head: "ridge".to_owned(),
                    threshold,
                    recognised: self.hits,
                    known: self.known,
                    rejected: self.strangers - self.false_accepts,
                    strangers: self.strangers,
                    // A clip is heard like a stream, window by window.
                    false_alarms: None,
                    confusion: self.confusion.clone(),
                }),
                ..ModelFindings::default()
            }],
            spectrograms: pictures.0,
            notes: self.notes(),
            ..Report::default()
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.left_out > 0 {
            notes.push(format!(
                "Left out: {} of the profile's own examples.",
                counted(self.left_out, "clip")
            ));
        }
        if self.unheard > 0 {
            notes.push(format!(
                "In {} nothing stood out.",
                counted(self.unheard, "clip")
            ));
        }
        notes
    }
}

impl ClassResult {
    fn of(at: usize, sound: &Sound, clips: &[Heard]) -> Self {
        let scores = |own: bool| -> Vec<f32> {
            let clips = clips.iter().filter(|clip| (clip.class == Some(at)) == own);
            clips
                .map(|clip| clip.score(sound).unwrap_or(f32::NEG_INFINITY))
                .collect()
        };
        let (own, others) = (scores(true), scores(false));
        let reach = |scores: &[f32], threshold: f32| {
            scores.iter().filter(|score| **score >= threshold).count()
        };
        let step = |threshold: f32| Step {
            threshold,
            hits: reach(&own, threshold),
            false_accepts: reach(&others, threshold),
        };
        let now = step(sound.threshold);
        Self {
            class: sound.name.clone(),
            threshold: sound.threshold,
            hits: now.hits,
            known: own.len(),
            false_accepts: now.false_accepts,
            others: others.len(),
            steps: STEPS
                .map(|by| step((sound.threshold + by).clamp(-1.0, 1.0)))
                .to_vec(),
            suggestion: suggestion(sound.threshold, &own, &others),
        }
    }
}

/// Returns the threshold with the largest difference of the shares of hits and false accepts, in the
/// middle between the scores around it, if it is better than `now`.
fn suggestion(now: f32, own: &[f32], others: &[f32]) -> Option<f32> {
    if own.is_empty() || others.is_empty() {
        return None;
    }
    let share = |scores: &[f32], threshold: f32| {
        let reached = scores.iter().filter(|score| **score >= threshold);
        reached.count() as f64 / scores.len() as f64
    };
    let value = |threshold: f32| share(own, threshold) - share(others, threshold);
    let mut scores: Vec<f32> = own.iter().chain(others).copied().collect();
    scores.retain(|score| score.is_finite());
    scores.sort_by(f32::total_cmp);
    let middles = scores.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    let best = middles.max_by(|a, b| value(*a).total_cmp(&value(*b)))?;
    // As it is shown: it must do better when it is typed.
    let best = (100.0 * best).round() / 100.0;
    let is_another = (best - now).abs() >= 0.005;
    (is_another && value(best) > value(now) + 1e-9).then_some(best)
}

/// Pictures of clips that were answered wrongly, and of one that was recognised for each sound.
#[derive(Default)]
struct Pictures(Vec<Spectrogram>);

/// Most pictures on a page.
const PICTURES: usize = 24;

impl Pictures {
    fn add(
        &mut self,
        folder: &str,
        sounds: &[Sound],
        heard: &Heard,
        samples: &[f32],
        frontend: &FrontendConfig,
    ) {
        let answer = heard.answer(sounds);
        let taken = answer.map_or("unknown", |answer| &sounds[answer].name);
        let title = if answer == heard.class {
            format!("{folder}, right")
        } else {
            format!("{folder}, taken for {taken}")
        };
        let known = self.0.iter().any(|picture| picture.title == title);
        if self.0.len() >= PICTURES || (known && answer == heard.class) {
            return;
        }
        let mut buffer = vec![0.0; frontend.buffer_len()];
        let mut frames = Vec::new();
        let Ok(mut features) = Frontend::new(*frontend, &mut buffer) else {
            return;
        };
        features.push(samples, |frame| frames.extend_from_slice(frame));
        self.0.push(Spectrogram {
            title,
            image: spectrogram_data_uri(&frames, frontend.mels.into()),
        });
    }
}

/// Writes the tables.
impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Confusion {
            rows,
            columns,
            counts,
        } = &self.confusion;
        let width = |name: &String| name.chars().count();
        let first = rows.iter().map(width).max().unwrap_or(0);
        write!(f, "{:first$}", "")?;
        columns
            .iter()
            .try_for_each(|name| write!(f, "  {name:>5}"))?;
        writeln!(f)?;
        for (name, counts) in rows.iter().zip(counts) {
            write!(f, "{name:first$}")?;
            for (column, count) in columns.iter().zip(counts) {
                write!(f, "  {count:>width$}", width = width(column).max(5))?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "\n{} of {} of enrolled sounds recognised; {} of {} accepted.",
            self.hits,
            counted(self.known, "clip"),
            self.false_accepts,
            counted(self.strangers, "stranger")
        )?;
        for note in self.notes() {
            writeln!(f, "{note}")?;
        }
        for class in &self.classes {
            writeln!(f, "\n{}: threshold {:.2}", class.class, class.threshold)?;
            writeln!(
                f,
                "  threshold  found of {:<4} false accepts of {}",
                class.known, class.others
            )?;
            for step in &class.steps {
                let mark = if step.threshold == class.threshold {
                    "  now"
                } else {
                    ""
                };
                writeln!(
                    f,
                    "  {:>9.2}  {:>13}  {:>16}{mark}",
                    step.threshold, step.hits, step.false_accepts
                )?;
            }
            if let Some(better) = class.suggestion {
                let name = &class.class;
                let line = CommandLine::new(&["classes", "threshold"])
                    .words([name])
                    .words([format!("{better:.2}")]);
                writeln!(f, "  better: `{line}`")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_lies_between_hits_and_strangers() {
        let better = suggestion(0.2, &[0.7, 0.8, 0.9], &[0.1, 0.3, 0.4, f32::NEG_INFINITY]);
        assert_eq!(better, Some(0.55));
        assert_eq!(suggestion(0.5, &[0.7, 0.8], &[0.1, 0.3]), None);
        assert_eq!(suggestion(0.5, &[], &[0.1]), None);
    }
}
