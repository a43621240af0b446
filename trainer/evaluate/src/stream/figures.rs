//! Computes the figures of streams: counts, rates and the trade-off of misses against false alarms.

use super::cast::Source;
use super::run::replay;
use super::score::score;
use super::trial::Trial;
use super::trial_shape::{Taught, TrialShape};
use mtslvr_runtime::listener::{Event, ListenerConfig};
use serde::{Deserialize, Serialize};

/// Range of the thresholds of a curve, below and above the default ones, and the step between them.
const SPAN: f32 = 0.8;
const STEP: f32 = 0.01;

/// Figures at one level of the background.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelFigures {
    /// Power of a sound over that of the background, dB.
    pub snr: f32,
    /// Relation of the clips that were heard to the examples.
    pub source: Source,
    /// Where they were taught.
    pub taught: Taught,
    /// Streams, each with sounds drawn anew.
    pub streams: usize,
    /// Length of all streams together.
    pub hours: f64,
    /// Figures with the default threshold.
    pub default: Point,
    /// Enrolled sounds that were heard, but of which no window was judged.
    pub gated_away: usize,
    /// Frames whose features were computed, a second.
    pub frames_per_second: f64,
    /// How often the backbone ran, a second.
    pub embeddings_per_second: f64,
    /// The same streams without the gate, if they were listened to so.
    pub without_gate: Option<Ungated>,
    /// Percent of misses in each stream, with the default threshold.
    pub misses_by_stream: Vec<f64>,
    /// How often the sounds of each enrolled set were heard and found.
    pub by_set: Vec<SetFigures>,
    /// Points at which the figures change, from the loosest threshold to the strictest.
    pub curve: Vec<Point>,
}

/// Figures with one threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Added to every class's threshold.
    pub margin: f32,
    /// Enrolled sounds that were heard.
    pub heard: usize,
    /// How many of those an event named.
    pub found: usize,
    /// Percent of those that no event named.
    pub misses: f64,
    /// Events that belong to no sound.
    pub false_alarms: usize,
    /// How many of those came while only background was heard.
    pub false_alarms_on_background: usize,
    /// False alarms an hour.
    pub false_alarms_per_hour: f64,
    /// Events of a sound that had been named already.
    pub repeats: usize,
}

/// The listener without its gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ungated {
    /// Figures with the default threshold.
    pub default: Point,
    /// Sounds that were found with the gate and not without it.
    pub only_with_gate: usize,
    /// Sounds that were found without the gate and not with it.
    pub only_without: usize,
    /// How many of those the gate lost: it let none of their windows pass.
    pub lost_to_gate: usize,
    /// How often the backbone ran, a second.
    pub embeddings_per_second: f64,
}

/// Sounds of one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetFigures {
    /// The set.
    pub name: String,
    /// How often sounds of it were heard, enrolled.
    pub heard: usize,
    /// How often an event named them.
    pub found: usize,
}

impl LevelFigures {
    /// Summarises `trials`, which were heard with `config` and, if they were heard twice, then without
    /// gate.
    pub fn of(trials: &[Trial], shape: &TrialShape, config: &ListenerConfig) -> Self {
        let rate = shape.scenery.sample_rate;
        let hours = trials.len() as f64 * f64::from(shape.scenery.seconds) / 3600.0;
        let events = |trial: &Trial| trial.heard[0].events.clone();
        let default = point(trials, events, config.margin, hours, rate);
        let embedded = |nth: usize| {
            let counts = trials.iter().filter_map(|trial| trial.heard.get(nth));
            counts.map(|heard| heard.embedded).sum::<usize>() as f64 / (hours * 3600.0)
        };
        let frames: f64 = trials
            .iter()
            .map(|trial| f64::from(trial.heard[0].frames))
            .sum();
        let tally = Tally::of(trials, rate);
        let without_gate = trials.iter().all(|trial| trial.heard.len() > 1);
        let without_gate = without_gate.then(|| Ungated {
            default: point(
                trials,
                |trial| trial.heard[1].events.clone(),
                config.margin,
                hours,
                rate,
            ),
            only_with_gate: tally.only_with_gate,
            only_without: tally.only_without,
            lost_to_gate: tally.lost_to_gate,
            embeddings_per_second: embedded(1),
        });
        Self {
            snr: shape.scenery.snr,
            source: shape.cast.source,
            taught: shape.taught,
            streams: trials.len(),
            hours,
            default,
            gated_away: tally.gated_away,
            frames_per_second: frames / (hours * 3600.0),
            embeddings_per_second: embedded(0),
            without_gate,
            misses_by_stream: tally.misses_by_stream,
            by_set: tally.by_set,
            curve: curve(trials, config, hours, rate),
        }
    }

    /// Returns the point of fewest misses at no more than `per_hour` false alarms an hour.
    pub fn at_false_alarms(&self, per_hour: f64) -> Option<&Point> {
        let points = self.curve.iter();
        let mut fitting = points.filter(|point| point.false_alarms_per_hour <= per_hour);
        let first = fitting.next()?;
        Some(fitting.fold(first, |best, point| {
            if point.misses < best.misses {
                point
            } else {
                best
            }
        }))
    }

    /// Returns the point of fewest false alarms at no more than `percent` misses.
    pub fn at_misses(&self, percent: f64) -> Option<&Point> {
        let points = self.curve.iter().filter(|point| point.misses <= percent);
        points.min_by_key(|point| point.false_alarms)
    }
}

/// Counts over all enrolled sounds, with the default threshold.
#[derive(Default)]
struct Tally {
    /// In order of their names.
    by_set: Vec<SetFigures>,
    misses_by_stream: Vec<f64>,
    gated_away: usize,
    only_with_gate: usize,
    only_without: usize,
    lost_to_gate: usize,
}

impl Tally {
    fn of(trials: &[Trial], rate: u32) -> Self {
        let mut tally = Self::default();
        for trial in trials {
            let scored = |events: &[Event]| score(&trial.sounds, events, rate.into()).found;
            let found = scored(&trial.heard[0].events);
            let ungated = trial.heard.get(1).map(|heard| scored(&heard.events));
            let (mut missed, mut enrolled) = (0, 0);
            for (index, sound) in trial.sounds.iter().enumerate() {
                let Some(class) = sound.class else { continue };
                let set = tally.set(&trial.classes[class].0);
                set.heard += 1;
                set.found += usize::from(found[index]);
                missed += usize::from(!found[index]);
                enrolled += 1;
                let passed = trial.heard[0].judges(&sound.extent);
                tally.gated_away += usize::from(!passed);
                if let Some(ungated) = &ungated {
                    tally.only_with_gate += usize::from(found[index] && !ungated[index]);
                    let only = !found[index] && ungated[index];
                    tally.only_without += usize::from(only);
                    tally.lost_to_gate += usize::from(only && !passed);
                }
            }
            tally.misses_by_stream.push(percent(missed, enrolled));
        }
        tally.by_set.sort_by(|a, b| a.name.cmp(&b.name));
        tally
    }

    /// Returns the figures of the set `name`, begun if it is new.
    fn set(&mut self, name: &str) -> &mut SetFigures {
        let known = self.by_set.iter().position(|set| set.name == name);
        let at = known.unwrap_or_else(|| {
            self.by_set.push(SetFigures {
                name: name.to_owned(),
                heard: 0,
                found: 0,
            });
            self.by_set.len() - 1
        });
        &mut self.by_set[at]
    }
}

fn point(
    trials: &[Trial],
    events: impl Fn(&Trial) -> Vec<Event>,
    margin: f32,
    hours: f64,
    rate: u32,
) -> Point {
    let mut point = Point {
        margin,
        ..Point::default()
    };
    for trial in trials {
        let score = score(&trial.sounds, &events(trial), rate.into());
        point.heard += score.heard(&trial.sounds);
        point.found += score.hits();
        point.false_alarms += score.false_alarms.len();
        let on_background = score.false_alarms.iter().filter(|alarm| alarm.1.is_none());
        point.false_alarms_on_background += on_background.count();
        point.repeats += score.repeats;
    }
    point.misses = percent(point.heard - point.found, point.heard);
    point.false_alarms_per_hour = point.false_alarms as f64 / hours;
    point
}

fn curve(trials: &[Trial], config: &ListenerConfig, hours: f64, rate: u32) -> Vec<Point> {
    let steps = (2.0 * SPAN / STEP) as usize;
    let margins = (0..=steps).map(|step| config.margin - SPAN + step as f32 * STEP);
    let mut curve = Vec::new();
    for margin in margins {
        let config = ListenerConfig { margin, ..*config };
        let events = |trial: &Trial| replay(&trial.heard[0].windows, &config, rate);
        let next = point(trials, events, margin, hours, rate);
        let same =
            |last: &Point| (last.found, last.false_alarms) == (next.found, next.false_alarms);
        if !curve.last().is_some_and(same) {
            curve.push(next);
        }
    }
    curve
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
