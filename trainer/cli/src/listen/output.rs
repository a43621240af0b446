//! Prints while listening: lines, lines of JSON, or lines above a panel.

use super::exec::Hook;
use super::keeper::{Keeper, Kept, Kind};
use super::labels::{Label, Labels};
use super::mqtt::Mqtt;
use super::verdict::{Closest, Known, Outcome, Verdict, verdict};
use anyhow::{Error, Result};
use mtslvr_audio::counted;
use mtslvr_listen::profile::{ProfileError, decibels};
use mtslvr_listen::view::View;
use mtslvr_runtime::fewshot::ClassId;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::{Change, Ended, Event, ListenerConfig, Window};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// Level of the loudest sample below which a recording holds nothing, decibels of full scale: less than 4 steps of 16
/// bits.
const SILENT: f32 = -80.0;

/// Help on the fields of `--json`: every field of every line.
pub(super) const JSON_HELP: &str = "\
Print lines of JSON instead of text, without the panel

A line with \"event\": \"begin\" comes as soon as a sound is recognised, one with \"end\" when it is over, \
and a \"summary\" at the end of each recording; --explain adds one with \"window\" for each window. Times are seconds from the \
beginning of the stream. Fields:
  file: path of the recording; not there for a microphone or a pipe
  class: name of the sound, or (negatives) or (background)
  start, end: beginning and end of the sound or window
  duration: length of the sound
  recognised: moment at which the sound was recognised
  score: how like the class it is, the best of the sound in \"end\"
  threshold: the score that is needed, --margin included
  confidence: share of strange sounds that would be less like the class, 0 to 1
  unix_time: time of the report, seconds since 1970; not there for a recording
  level, gate: how far the window rises above the background, and how far it must to be judged, dB
  verdict: recognised, below-threshold, negative, background, near-a-negative or quiet
  missed_by: threshold minus score, where that is above 0
  seconds, sounds: length of the recording, and how many sounds were recognised in it
  lost: seconds of sound that a microphone gave while this computer was too busy
  windows, judged: windows that were heard, and those that the backbone ran for
  closest: class, start, score, threshold and missed_by of the nearest miss; null without one";

/// Prints events, and counts what was heard for the summary.
#[derive(Debug)]
pub(super) struct Output<'r> {
    form: Form,
    reactions: &'r mut Reactions,
    /// The first failure of a reaction.
    failure: Option<Error>,
    settings: Settings,
    /// The classes, by their ids.
    classes: Vec<Known>,
    sample_rate: u32,
    /// Recognised and not printed yet: shorter than the least duration so far.
    pending: Option<Begun>,
    /// The event that goes on, as it was printed.
    going: Option<Begun>,
    samples: u64,
    /// Largest magnitude of them.
    peak: f32,
    /// Samples that the microphone gave while nobody took them.
    lost: u64,
    events: u64,
    /// Recognised, but shorter than the least duration.
    too_short: u64,
    windows: u64,
    judged: u64,
    /// Largest level of a window, dB.
    loudest: f32,
    closest: Option<Closest>,
    /// The sound that is heard, while sounds are kept.
    near: Option<Near>,
    /// Windows that were taken for negatives or background, or were nearer to a negative.
    rejected: u64,
}

/// Reactions to a recognised sound beside printing it.
#[derive(Debug)]
pub(super) struct Reactions {
    pub(super) labels: Option<Labels>,
    pub(super) hook: Option<Hook>,
    pub(super) keeper: Option<Keeper>,
    pub(super) mqtt: Option<Mqtt>,
}

impl Reactions {
    /// Waits for commands that run, and for the broker to know that this is the end.
    pub(super) fn finish(mut self) {
        if let Some(hook) = &mut self.hook {
            hook.finish();
        }
        if let Some(mqtt) = self.mqtt.take() {
            mqtt.finish().iter().for_each(|note| errln!("{note}"));
        }
    }
}

/// Settings of what is printed, and of what it is compared with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Path of the recording, if it is one.
    pub(super) file: Option<String>,
    /// Whether it is one of several.
    pub(super) several: bool,
    /// Whether the input happens now, and is not a recording.
    pub(super) live: bool,
    /// Whether a text line is printed as soon as a sound is recognised, not when it is over.
    pub(super) at_once: bool,
    pub(super) json: bool,
    pub(super) plain: bool,
    /// Whether every window is explained.
    pub(super) explain: bool,
    /// Shortest sound that is printed, seconds.
    pub(super) least_duration: f64,
    /// How far below its threshold a score may be for the sound to be kept.
    pub(super) near: f32,
    pub(super) listener: ListenerConfig,
}

#[derive(Debug)]
enum Form {
    Plain,
    Json,
    View(Box<View>),
}

/// A sound that may be nearly recognised.
#[derive(Debug)]
struct Near {
    onset: u64,
    /// Whether an event began in it.
    recognised: bool,
    /// Its best window below the threshold.
    kept: Option<Kept>,
}

/// An event with what decided it.
#[derive(Clone, Copy, Debug)]
struct Begun {
    event: Event,
    score: f32,
    threshold: f32,
}

/// A line of JSON; see [`JSON_HELP`].
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'n> {
    Begin {
        class: &'n str,
        start: f64,
        recognised: f64,
        score: f32,
        threshold: f32,
        confidence: f32,
        #[serde(skip_serializing_if = "Option::is_none")]
        unix_time: Option<f64>,
    },
    End {
        class: &'n str,
        start: f64,
        end: f64,
        duration: f64,
        score: f32,
        threshold: f32,
        confidence: f32,
        #[serde(skip_serializing_if = "Option::is_none")]
        unix_time: Option<f64>,
    },
    Window {
        start: f64,
        end: f64,
        level: f32,
        gate: f32,
        #[serde(flatten)]
        verdict: Verdict<'n>,
    },
    Summary {
        seconds: f64,
        sounds: u64,
        lost: f64,
        windows: u64,
        judged: u64,
        closest: Option<&'n Closest>,
    },
}

/// Returns the names as the panel shows them, in the classes' order.
fn shown(classes: &[Known]) -> Vec<String> {
    classes.iter().map(|class| class.label.clone()).collect()
}

impl<'r> Output<'r> {
    pub(super) fn new(
        frontend: &FrontendConfig,
        settings: Settings,
        classes: Vec<Known>,
        reactions: &'r mut Reactions,
    ) -> Self {
        let form = if settings.json {
            Form::Json
        } else {
            let view = (!settings.plain)
                .then(|| View::new(frontend, shown(&classes)))
                .flatten();
            view.map_or(Form::Plain, |view| Form::View(Box::new(view)))
        };
        let mut output = Self {
            form,
            reactions,
            failure: None,
            settings,
            classes,
            sample_rate: frontend.sample_rate,
            pending: None,
            going: None,
            samples: 0,
            peak: 0.0,
            lost: 0,
            events: 0,
            too_short: 0,
            windows: 0,
            judged: 0,
            loudest: f32::NEG_INFINITY,
            closest: None,
            near: None,
            rejected: 0,
        };
        if let Some(keeper) = &mut output.reactions.keeper {
            keeper.begin(frontend.sample_rate);
        }
        output.announce();
        if let Some(file) = output.settings.file.clone()
            && output.settings.several
            && !output.settings.json
        {
            output.say(&format!("{file}:"));
        }
        output
    }

    /// Returns the first failure to write labels or to start a command.
    ///
    /// # Errors
    /// That failure.
    pub(super) fn check(&mut self) -> Result<()> {
        self.say_of_broker();
        self.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn rename(&mut self, classes: Vec<Known>) {
        if let Form::View(view) = &mut self.form {
            view.rename(shown(&classes));
        }
        self.classes = classes;
        self.announce();
    }

    /// Tells a broker which sounds there are.
    fn announce(&mut self) {
        if let Some(mqtt) = &mut self.reactions.mqtt {
            mqtt.set_classes(&self.classes);
        }
    }

    /// Tells a broker that a sound begins or is over.
    fn tell(&mut self, class: ClassId, on: bool, line: &str) {
        if let Some(mqtt) = &mut self.reactions.mqtt {
            mqtt.tell(class, on, line);
        }
    }

    /// Says what happened to the connection to a broker.
    fn say_of_broker(&mut self) {
        let notes = self.reactions.mqtt.as_ref().map(Mqtt::notes);
        for note in notes.into_iter().flatten() {
            self.note(&note);
        }
    }

    pub(super) fn hear(&mut self, samples: &[f32]) {
        self.samples += samples.len() as u64;
        let peak = samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        self.peak = self.peak.max(peak);
        if let Some(keeper) = &mut self.reactions.keeper {
            keeper.hear(samples);
        }
        if let Form::View(view) = &mut self.form {
            view.hear(samples);
        }
    }

    pub(super) fn window(&mut self, window: &Window) {
        self.windows += 1;
        self.judged += u64::from(window.embedding.is_some());
        self.loudest = self.loudest.max(window.level);
        if let Form::View(view) = &mut self.form {
            view.window(window);
        }
        self.explain(window);
        if self.reactions.keeper.is_some() {
            self.follow_near(window);
        }
        for change in window.changes() {
            match change {
                Change::Began { event, judgement } => {
                    self.pending = Some(Begun {
                        event,
                        score: judgement.similarity,
                        threshold: judgement.threshold + self.settings.listener.margin,
                    });
                }
                Change::Ended(ended) => self.end(&ended),
            }
        }
        self.begin_if_due(window.end);
    }

    /// Follows a sound that is nearly recognised, and keeps it when it is over.
    fn follow_near(&mut self, window: &Window) {
        if self.near.as_ref().map(|near| near.onset) != window.onset {
            if let Some(kept) = self.near.take().and_then(|near| near.kept) {
                self.keep(&kept);
            }
            self.near = window.onset.map(|onset| Near {
                onset,
                recognised: false,
                kept: None,
            });
        }
        let Some(near) = &mut self.near else {
            return;
        };
        if window.event.is_some() {
            // The event is kept at its end.
            near.recognised = true;
            near.kept = None;
        }
        let config = self.settings.listener;
        let verdict = verdict(window, &self.classes, &config);
        let missed_by = verdict
            .missed_by
            .filter(|missed| *missed <= self.settings.near);
        let Some((missed_by, score)) = missed_by.zip(verdict.score) else {
            return;
        };
        let best = near.kept.as_ref().is_none_or(|kept| score > kept.score);
        if best && !near.recognised && verdict.verdict == Outcome::BelowThreshold {
            let kept = Kept {
                kind: Kind::NearMiss,
                class: verdict.class.unwrap_or_default().to_owned(),
                start: self.seconds(window.start),
                end: self.seconds(window.end),
                score,
                threshold: score + missed_by,
                file: self.settings.file.clone(),
                unix_time: Kept::now(),
                answer: None,
                learnt: false,
            };
            if let Some(near) = &mut self.near {
                near.kept = Some(kept);
            }
        }
    }

    /// Keeps the sound of an event or a near miss.
    fn keep(&mut self, kept: &Kept) {
        if let Some(keeper) = &mut self.reactions.keeper
            && let Err(error) = keeper.keep(kept)
        {
            self.failure.get_or_insert(error);
        }
    }

    /// Explains the window where that is asked for, and remembers the nearest miss.
    fn explain(&mut self, window: &Window) {
        let config = self.settings.listener;
        let verdict = verdict(window, &self.classes, &config);
        let start = self.seconds(window.start);
        if let Some(missed_by) = verdict.missed_by
            && verdict.verdict == Outcome::BelowThreshold
            && self
                .closest
                .as_ref()
                .is_none_or(|c| missed_by < c.missed_by)
        {
            self.closest = Some(Closest {
                class: verdict.class.unwrap_or_default().to_owned(),
                start,
                score: verdict.score.unwrap_or_default(),
                threshold: verdict.threshold.unwrap_or_default(),
                missed_by,
            });
        }
        self.rejected += u64::from(verdict.verdict.is_rejection());
        if !self.settings.explain {
            return;
        }
        let end = self.seconds(window.end);
        let line = if self.settings.json {
            self.json(&Line::Window {
                start,
                end,
                level: window.level,
                gate: config.gate,
                verdict,
            })
        } else {
            let text = verdict.sentence(window.level, config.gate);
            format!("  {start:7.2} to {end:7.2} s  {text}")
        };
        self.say(&line);
    }

    /// Prints the event that was recognised, once it is as long as it must be.
    fn begin_if_due(&mut self, now: u64) {
        let due = |begun: &mut Begun| {
            let lasted = now.saturating_sub(begun.event.start) as f64;
            lasted >= self.settings.least_duration * f64::from(self.sample_rate)
        };
        if let Some(begun) = self.pending.take_if(due) {
            self.begin(begun);
        }
    }

    fn begin(&mut self, begun: Begun) {
        self.events += 1;
        self.going = Some(begun);
        self.react(&begun);
        let Begun {
            event,
            score,
            threshold,
        } = begun;
        let class = self.name(event.class);
        let start = self.seconds(event.start);
        let confidence = event.confidence;
        let json = self.json(&Line::Begin {
            class,
            start,
            recognised: self.seconds(event.end),
            score,
            threshold,
            confidence,
            unix_time: self.unix_time(),
        });
        let class = class.to_owned();
        self.tell(event.class, true, &json);
        let line = match &self.settings {
            Settings { json: true, .. } => json,
            Settings { at_once: true, .. } => {
                format!(
                    "{start:9.2} s  {class}  {}",
                    measured(score, threshold, confidence)
                )
            }
            _ => return,
        };
        self.say(&line);
    }

    /// Prints the end of an event.
    fn end(&mut self, ended: &Ended) {
        // One that is over and was too short is no event.
        self.begin_if_due(ended.end);
        self.too_short += u64::from(self.pending.take().is_some());
        let Some(begun) = self.going.take() else {
            return;
        };
        let class = self.name(ended.class).to_owned();
        let class = class.as_str();
        let (start, end) = (self.seconds(ended.start), self.seconds(ended.end));
        let duration = self.seconds(ended.end - ended.start);
        let (score, confidence) = (ended.similarity, ended.confidence);
        let threshold = begun.threshold;
        if self.reactions.keeper.is_some() {
            let kept = Kept {
                kind: Kind::Event,
                class: class.to_owned(),
                start,
                end,
                score,
                threshold,
                file: self.settings.file.clone(),
                unix_time: Kept::now(),
                answer: None,
                learnt: false,
            };
            self.keep(&kept);
        }
        let label = Label {
            file: self.settings.file.as_deref().unwrap_or_default(),
            class,
            start,
            end,
            score,
            threshold,
            confidence,
        };
        if let Some(labels) = &mut self.reactions.labels
            && let Err(error) = labels.add(&label)
        {
            self.failure.get_or_insert(error);
        }
        let json = self.json(&Line::End {
            class,
            start,
            end,
            duration,
            score,
            threshold,
            confidence,
            unix_time: self.unix_time(),
        });
        self.tell(ended.class, false, &json);
        let line = match &self.settings {
            Settings { json: true, .. } => json,
            Settings { at_once: true, .. } => {
                format!("{end:9.2} s  {class} ends after {duration:.2} s")
            }
            _ => format!(
                "{start:9.2} s  {class}  for {duration:.2} s  {}",
                measured(score, threshold, confidence)
            ),
        };
        self.say(&line);
    }

    /// Returns a line of JSON, with the recording that it is about.
    fn json(&self, line: &Line) -> String {
        #[derive(Serialize)]
        struct OfFile<'a> {
            #[serde(flatten)]
            line: &'a Line<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            file: Option<&'a str>,
        }
        let line = OfFile {
            line,
            file: self.settings.file.as_deref(),
        };
        serde_json::to_string(&line).expect("strings and numbers are JSON")
    }

    /// Starts the command for an event.
    fn react(&mut self, begun: &Begun) {
        let variables = [
            ("MTSLVR_CLASS", self.name(begun.event.class).to_owned()),
            (
                "MTSLVR_FILE",
                self.settings.file.clone().unwrap_or_default(),
            ),
            ("MTSLVR_START", self.seconds(begun.event.start).to_string()),
            ("MTSLVR_SCORE", begun.score.to_string()),
            ("MTSLVR_THRESHOLD", begun.threshold.to_string()),
            ("MTSLVR_CONFIDENCE", begun.event.confidence.to_string()),
        ];
        if let Some(hook) = &mut self.reactions.hook
            && let Err(error) = hook.start(&variables)
        {
            self.failure.get_or_insert(error);
        }
    }

    fn name(&self, class: ClassId) -> &str {
        let class = self.classes.iter().find(|known| known.id == class);
        class.map_or("", |known| &known.label)
    }

    fn seconds(&self, sample: u64) -> f64 {
        let seconds = sample as f64 / f64::from(self.sample_rate);
        // Samples are finer than anyone wants to read.
        (1e4 * seconds).round() / 1e4
    }

    fn unix_time(&self) -> Option<f64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        now.filter(|_| self.settings.live)
            .map(|now| now.as_secs_f64())
    }

    fn say(&mut self, line: &str) {
        if let Form::View(view) = &mut self.form {
            view.say(line);
        } else {
            outln!("{line}");
        }
    }

    /// Warns that the profile has changed into one that cannot be used.
    pub(super) fn warn(&mut self, error: &ProfileError) {
        self.note(&format!(
            "the profile has changed and cannot be used; the classes before still count: {error}"
        ));
    }

    /// Takes the samples that were `lost` so far, and warns at the first.
    pub(super) fn lose(&mut self, lost: u64) {
        if self.lost == 0 && lost > 0 {
            self.note(
                "sound is lost: this computer is more than ten seconds behind the microphone; close what \
                 else runs, or use a smaller model",
            );
        }
        self.lost = lost;
    }

    /// Says something that is no event.
    fn note(&mut self, line: &str) {
        match &mut self.form {
            Form::View(view) => view.say(line),
            Form::Plain | Form::Json => errln!("{line}"),
        }
    }

    pub(super) fn draw(&mut self) {
        if let Form::View(view) = &mut self.form {
            view.draw();
        }
    }

    /// Removes the panel and prints a summary. `invalid` samples were taken as silence.
    pub(super) fn finish(mut self, invalid: u32) {
        if let Some(kept) = self.near.take().and_then(|near| near.kept) {
            self.keep(&kept);
        }
        if invalid > 0 {
            errln!("{invalid} samples were not numbers and were taken as silence.");
        }
        let seconds = self.seconds(self.samples);
        if self.lost > 0 {
            errln!("{:.1} s of sound were lost.", self.seconds(self.lost));
        }
        if matches!(self.form, Form::Json) {
            let line = self.json(&Line::Summary {
                seconds,
                sounds: self.events,
                lost: self.seconds(self.lost),
                windows: self.windows,
                judged: self.judged,
                closest: self.closest.as_ref(),
            });
            self.say(&line);
            return;
        }
        self.form = Form::Plain;
        errln!(
            "{} recognised in {seconds:.1} s; the backbone ran for {} of {}.",
            counted(self.events as usize, "sound"),
            self.judged,
            counted(self.windows as usize, "window")
        );
        if self.events == 0 {
            errln!("{}", self.why_nothing());
        }
    }

    /// Says what came closest where nothing was recognised.
    fn why_nothing(&self) -> String {
        let listener = &self.settings.listener;
        let peak = decibels(self.peak);
        match &self.closest {
            _ if self.peak == 0.0 => {
                "All of it is silent: every sample is 0. Check that the microphone is on, and \
                 that it is the one that was recorded."
                    .to_owned()
            }
            _ if peak < SILENT => format!(
                "All of it is nearly silent: the loudest sample is at {peak:.0} dB of full scale. Check the \
                 microphone and its level."
            ),
            _ if self.judged == 0 => format!(
                "Nothing stood out from the background: the most was {:.1} dB, and {:.1} dB are needed \
                 (--gate).",
                self.loudest, listener.gate
            ),
            Some(closest) => format!(
                "Closest was {} at {:.2} s: score {:.2}, threshold {:.2}, missed by {:.2}. If that was it, \
                 enrol that sound, too, or lower the threshold (`mtslvr classes threshold`, --margin); \
                 --explain shows every window.",
                closest.class, closest.start, closest.score, closest.threshold, closest.missed_by
            ),
            None if self.rejected > 0 => "All that stood out was more like the negatives or the \
                 background than like a sound; --explain shows every window."
                .to_owned(),
            None if self.too_short > 0 => format!(
                "Sounds that were recognised and lasted less than --min-duration {}: {}.",
                self.settings.least_duration, self.too_short
            ),
            None => "No window came to a decision; --explain shows every window.".to_owned(),
        }
    }
}

/// Returns what decided an event, under the names that everything else uses.
fn measured(score: f32, threshold: f32, confidence: f32) -> String {
    format!("(score {score:.2}, threshold {threshold:.2}, confidence {confidence:.2})")
}
