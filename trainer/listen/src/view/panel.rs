//! Writes the panel as lines.

use super::bar::bar;
use super::colour::Colours;
use super::strip::Strip;
use crate::profile::decibels;
use mtslvr_runtime::fewshot::best_score;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::Window;

/// The level meter's left end, dB of full scale.
const QUIETEST: f32 = -70.0;

/// Speed at which the meter falls, dB a second.
const FALL: f32 = 30.0;

/// Most lines of spectrogram.
const STRIP_ROWS: usize = 10;

/// Columns for frequencies beside the spectrogram.
const MARGIN: usize = 8;

/// Most columns for names.
const NAME_WIDTH: usize = 20;
/// Columns for the best class: score, threshold, unknown.
const VERDICT_WIDTH: usize = 40;
/// Columns of a score's bar where there is no room for more.
const LEAST_BAR: usize = 8;

/// State of everything that is shown.
#[derive(Debug)]
pub(super) struct Panel {
    frontend: FrontendConfig,
    classes: Vec<String>,
    colours: Colours,
    strip: Strip,
    /// Samples so far.
    heard: u64,
    /// Level that the meter shows, dB of full scale.
    peak: f32,
    /// Distance from the background, dB.
    level: f32,
    /// Judgement of the learner, while there is a sound.
    judged: Option<Judged>,
}

#[derive(Debug)]
struct Judged {
    scores: Vec<f32>,
    best: usize,
    similarity: f32,
    threshold: f32,
    recognised: bool,
}

impl Panel {
    /// Makes a panel that has heard nothing.
    pub fn new(frontend: &FrontendConfig, classes: Vec<String>, colours: Colours) -> Self {
        // Features are scaled natural logarithms of power.
        let unit = 10.0 / (std::f32::consts::LN_10 * frontend.scale);
        Self {
            frontend: *frontend,
            classes,
            colours,
            strip: Strip::new(frontend.mels.into(), unit),
            heard: 0,
            peak: QUIETEST,
            level: 0.0,
            judged: None,
        }
    }

    /// Shows other classes from now on.
    pub fn rename(&mut self, classes: Vec<String>) {
        self.classes = classes;
        self.judged = None;
    }

    /// Takes samples, for the level.
    pub fn hear(&mut self, samples: &[f32]) {
        self.heard += samples.len() as u64;
        let peak = samples
            .iter()
            .map(|sample| sample.abs())
            .fold(0.0, f32::max);
        let fallen = FALL * samples.len() as f32 / self.frontend.sample_rate as f32;
        self.peak = decibels(peak).max(self.peak - fallen).max(QUIETEST);
    }

    /// Takes a window of the listener.
    pub fn window(&mut self, window: &Window) {
        self.strip.push(window.frames);
        self.level = window.level;
        self.judged = window.decision.map(|decision| Judged {
            scores: decision.scores.to_vec(),
            // The place of the best class: its id says nothing about that.
            best: best_score(decision.scores).unwrap_or_default(),
            similarity: decision.similarity,
            threshold: decision.threshold,
            recognised: decision.class.is_some(),
        });
    }

    /// Returns at most `height` lines, none wider than `width`.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let room = height.saturating_sub(2);
        let classes = self.classes.len().min(room.saturating_sub(2).max(1));
        let rows = room.saturating_sub(classes).min(STRIP_ROWS);
        let mut lines = vec![self.title(width), self.meter(width)];
        lines.extend(self.spectrogram(width, rows));
        lines.extend(self.scores(width, classes));
        lines.truncate(height);
        lines
    }

    fn title(&self, width: usize) -> String {
        let seconds = self.heard / u64::from(self.frontend.sample_rate);
        let time = format!(" {}:{:02} ", seconds / 60, seconds % 60);
        let end = " Ctrl-C ends ";
        let used = 2 + time.len() + end.len() + 2;
        let rule = "─".repeat(width.saturating_sub(used));
        let line: String = format!("──{time}{rule}{end}──")
            .chars()
            .take(width)
            .collect();
        self.colours.paint("2", &line)
    }

    fn meter(&self, width: usize) -> String {
        let state = match &self.judged {
            Some(_) => format!("sound, {:.0} dB above the background", self.level),
            None => "quiet".to_owned(),
        };
        let text = format!(" {:>4.0} dB  {state}", self.peak);
        let length = width.saturating_sub(MARGIN + console::measure_text_width(&text));
        // Leaves out whatever does not fit, the bar first.
        let length = length.min(width / 2);
        let share = (self.peak - QUIETEST) / -QUIETEST;
        let colour = match self.peak {
            -1.0.. => "31",
            -6.0.. => "33",
            _ => "32",
        };
        let filled = self.colours.paint(colour, &bar(share, length));
        let text = console::truncate_str(&text, width.saturating_sub(MARGIN + length), "…");
        format!("{:<MARGIN$}{filled}{text}", "input")
    }

    fn spectrogram(&self, width: usize, rows: usize) -> Vec<String> {
        let lines = self
            .strip
            .lines(width.saturating_sub(MARGIN), rows, self.colours);
        let last = rows.saturating_sub(1);
        let lines = lines.into_iter().enumerate();
        lines
            .map(|(row, line)| {
                let label = match row {
                    0 => hertz(self.frontend.f_max),
                    _ if row == last => hertz(self.frontend.f_min),
                    _ => String::new(),
                };
                format!("{label:<MARGIN$}{line}")
            })
            .collect()
    }

    /// Returns the `count` best classes, in their own order.
    fn scores(&self, width: usize, count: usize) -> Vec<String> {
        let score = |class: usize| match &self.judged {
            Some(judged) => judged
                .scores
                .get(class)
                .copied()
                .unwrap_or(f32::NEG_INFINITY),
            None => 0.0,
        };
        let mut shown: Vec<usize> = (0..self.classes.len()).collect();
        shown.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
        shown.truncate(count);
        shown.sort_unstable();
        let measure = |class: &usize| console::measure_text_width(&self.classes[*class]);
        let names = shown.iter().map(measure).max().unwrap_or(0).min(NAME_WIDTH);
        let names = names.max(MARGIN - 1);
        shown
            .iter()
            .map(|class| self.score(*class, names, width))
            .collect()
    }

    fn score(&self, class: usize, names: usize, width: usize) -> String {
        let name = console::pad_str(
            &self.classes[class],
            names,
            console::Alignment::Left,
            Some("…"),
        );
        let judged = self.judged.as_ref();
        let score = judged.and_then(|judged| judged.scores.get(class).copied());
        let best = judged.filter(|judged| judged.best == class);
        let room = width.saturating_sub(names + 1 + 6);
        let length = room.saturating_sub(VERDICT_WIDTH).max(LEAST_BAR).min(room);
        let (filled, number) = match score {
            Some(score) if score.is_finite() => (bar(score, length), format!(" {score:5.2}")),
            Some(_) => (bar(0.0, length), "  off".to_owned()),
            None => (bar(0.0, length), String::new()),
        };
        let colour = match best {
            Some(judged) if judged.recognised => "1;32",
            Some(_) => "33",
            None => "36",
        };
        let mut line = format!("{name} {}{number}", self.colours.paint(colour, &filled));
        if let Some(judged) = best {
            let (found, least) = (judged.similarity, judged.threshold);
            let word = if judged.recognised { "" } else { ": unknown" };
            line += &format!("  score {found:.2}, threshold {least:.2}{word}");
        }
        console::truncate_str(&line, width, "…").into_owned()
    }
}

fn hertz(frequency: f32) -> String {
    if frequency < 1000.0 {
        format!("{frequency:.0} Hz")
    } else {
        let text = format!("{:.1}", frequency / 1000.0);
        format!("{} kHz", text.trim_end_matches(".0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::fewshot::{ClassId, Decision};

    fn frontend() -> FrontendConfig {
        FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: 64,
            frames: 61,
            f_min: 50.0,
            f_max: 8000.0,
            floor: 1e-5,
            mean: -4.0,
            scale: 0.25,
            form: mtslvr_runtime::frontend::FrontendForm::PLAIN,
        }
    }

    fn panel(colours: Colours) -> Panel {
        let classes = [
            "doorbell",
            "水が沸いた",
            "(background)",
            "a name of thirty-two bytes, long",
        ];
        let mut panel = Panel::new(&frontend(), classes.map(str::to_owned).to_vec(), colours);
        panel.hear(&[0.5; 16_000]);
        panel.window(&Window {
            start: 0,
            end: 16_000,
            onset: Some(0),
            frames: &[0.3; 64 * 61],
            level: 12.4,
            embedding: None,
            decision: Some(Decision {
                class: Some(ClassId::new(7)),
                best: ClassId::new(7),
                scores: &[0.1, 0.9, -0.2, f32::NEG_INFINITY],
                similarity: 0.71,
                threshold: 0.43,
                chance: 0.01,
            }),
            judgement: None,
            event: None,
            ended: None,
        });
        panel
    }

    #[test]
    fn it_says_level_scores_and_decision() {
        let lines = panel(Colours::None).lines(79, 20);
        let text = lines.join("\n");
        for part in [
            "0:01",
            "-6 dB",
            "12 dB above",
            "8 kHz",
            "50 Hz",
            "0.90  score 0.71, threshold 0.43",
            "off",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert_eq!(lines.len(), 2 + STRIP_ROWS + 4);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_more_are_drawn_than_fit() {
        for colours in [Colours::None, Colours::Indexed, Colours::True] {
            let panel = panel(colours);
            for width in (0..130).step_by(7) {
                for height in [0, 1, 4, 9, 40] {
                    let lines = panel.lines(width, height);
                    assert!(lines.len() <= height);
                    for line in lines {
                        let found = console::measure_text_width(&line);
                        // Below the least width of a terminal only the labels are left.
                        assert!(found <= width.max(29), "{found} in {width}: {line:?}");
                    }
                }
            }
        }
    }
}
