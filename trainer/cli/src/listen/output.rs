//! Prints while listening: lines, lines of JSON, or lines above a panel.

use mtslvr_listen::profile::ProfileError;
use mtslvr_listen::view::View;
use mtslvr_runtime::fewshot::ClassId;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::{Event, Window};
use serde::Serialize;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints events, and counts what was heard for the summary.
#[derive(Debug)]
pub(super) struct Output {
    form: Form,
    /// Names of the classes, by their ids.
    names: Vec<(ClassId, String)>,
    sample_rate: u32,
    /// Whether the input happens now, and is not a recording.
    live: bool,
    samples: u64,
    events: u64,
    windows: u64,
    judged: u64,
}

#[derive(Debug)]
enum Form {
    Plain,
    Json,
    View(Box<View>),
}

/// An event as `--json` prints it. Times are seconds from the stream's beginning.
#[derive(Serialize)]
struct Detection<'n> {
    class: &'n str,
    /// Beginning of the sound.
    start: f64,
    /// Moment at which it was recognised.
    end: f64,
    /// Share of strange sounds that would be less like the class, 0 to 1.
    confidence: f32,
    /// The same moment in seconds since 1970; absent for a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    unix_time: Option<f64>,
}

/// Returns the names as the panel shows them, in the classes' order.
fn shown(names: &[(ClassId, String)]) -> Vec<String> {
    names.iter().map(|(_, name)| name.clone()).collect()
}

impl Output {
    pub(super) fn new(
        frontend: &FrontendConfig,
        live: bool,
        json: bool,
        plain: bool,
        names: Vec<(ClassId, String)>,
    ) -> Self {
        let form = if json {
            Form::Json
        } else {
            let view = (!plain)
                .then(|| View::new(frontend, shown(&names)))
                .flatten();
            view.map_or(Form::Plain, |view| Form::View(Box::new(view)))
        };
        Self {
            form,
            names,
            sample_rate: frontend.sample_rate,
            live,
            samples: 0,
            events: 0,
            windows: 0,
            judged: 0,
        }
    }

    pub(super) fn rename(&mut self, names: Vec<(ClassId, String)>) {
        if let Form::View(view) = &mut self.form {
            view.rename(shown(&names));
        }
        self.names = names;
    }

    pub(super) fn hear(&mut self, samples: &[f32]) {
        self.samples += samples.len() as u64;
        if let Form::View(view) = &mut self.form {
            view.hear(samples);
        }
    }

    pub(super) fn window(&mut self, window: &Window) {
        self.windows += 1;
        self.judged += u64::from(window.embedding.is_some());
        if let Form::View(view) = &mut self.form {
            view.window(window);
        }
        if let Some(event) = window.event {
            self.events += 1;
            self.event(&event);
        }
    }

    fn event(&mut self, event: &Event) {
        let seconds = |sample: u64| sample as f64 / f64::from(self.sample_rate);
        let mut names = self.names.iter();
        let class = names.find(|(id, _)| *id == event.class);
        let class = class.map_or("", |(_, name)| name);
        let (start, end) = (seconds(event.start), seconds(event.end));
        let line = match self.form {
            Form::Json => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
                let detection = Detection {
                    class,
                    start,
                    end,
                    confidence: event.confidence,
                    unix_time: now.filter(|_| self.live).map(|now| now.as_secs_f64()),
                };
                serde_json::to_string(&detection).expect("strings and numbers are JSON")
            }
            Form::Plain | Form::View(_) => {
                format!(
                    "{start:9.2} s  {class}  (confidence {:.2})",
                    event.confidence
                )
            }
        };
        if let Form::View(view) = &mut self.form {
            view.say(&line);
        } else {
            // A reader that is gone ends the program by a signal.
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }

    /// Warns that the profile has changed into one that cannot be used.
    pub(super) fn warn(&mut self, error: &ProfileError) {
        let line = format!(
            "the profile has changed and cannot be used; the classes before still count: {error}"
        );
        match &mut self.form {
            Form::View(view) => view.say(&line),
            Form::Plain | Form::Json => eprintln!("{line}"),
        }
    }

    pub(super) fn draw(&mut self) {
        if let Form::View(view) = &mut self.form {
            view.draw();
        }
    }

    /// Removes the panel and prints a summary. `invalid` samples were taken as silence.
    pub(super) fn finish(self, invalid: u32) {
        let json = matches!(self.form, Form::Json);
        drop(self.form);
        if invalid > 0 {
            eprintln!("{invalid} samples were not numbers and were taken as silence.");
        }
        if !json {
            let events = match self.events {
                1 => "1 sound".to_owned(),
                n => format!("{n} sounds"),
            };
            eprintln!(
                "{events} recognised in {:.1} s; the backbone ran for {} of {} windows.",
                self.samples as f64 / f64::from(self.sample_rate),
                self.judged,
                self.windows
            );
        }
    }
}
