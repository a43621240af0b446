//! Batches for a device that makes the views itself: what is drawn for each view, as words.

use super::{Batch, Made, PairSource, PlannedView, Sound};
use crate::augment::pitch_shift::stretched_length;
use crate::augment::tilt::Filter;
use crate::augment::time_stretch::crossfade;
use crate::augment::{Drawn, OPERATORS, Operator, PitchShift, time_masking};
use crate::device::{
    Backend, BatchAddresses, DeviceViews, DrawnWords, SoundWords, ViewSource, ViewWords, words,
};
use crate::train::targets::Targets;
use crate::train::teachers::{Answers, Teacher};
use anyhow::{Result, bail};
use mtslvr_audio::Samples;
use rand::RngExt;
use rayon::prelude::*;
use std::time::Instant;

/// Steps between the making of a sound and its end, for each that is made in a step.
const LIFE: usize = 64;

/// Sets the generators of made sounds apart from those of pairs.
const MADE_SEED: u64 = 0x6d61_6465_2070_6f6f;

/// A batch as it is brought to a device.
#[derive(Clone, Debug)]
pub struct Feed {
    pub(crate) views: Vec<ViewWords>,
    /// Sounds of the synthesiser that are new, and their places.
    pub(crate) made: Vec<(usize, Samples)>,
}

/// Makes the feeds of a run, in any order.
///
/// Rendering takes the processor longer than a step takes a GPU. So the sounds of the synthesiser are kept on the
/// device, and each pair of them is used several times ([`DataConfig::synth_uses`]), with other operators each time. The
/// sounds of a step depend on its number alone, so that a run can be resumed.
///
/// [`DataConfig::synth_uses`]: crate::train::DataConfig::synth_uses
#[derive(Debug)]
pub(in crate::train) struct Feeder {
    pairs: usize,
    /// First sample of each recording in the store, and of the made sounds.
    places: Vec<u64>,
    pool: Pool,
    /// Number of the first batch, with which all made sounds are brought.
    first: u64,
}

/// Numbers of made pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pool {
    /// On the device at a time.
    held: usize,
    /// New in a step.
    new: usize,
}

impl Pool {
    /// `drawn` pairs of `pairs` in a step are made, and each is used `uses` times.
    fn new(pairs: usize, drawn: f64, uses: usize) -> Self {
        if drawn <= 0.0 {
            return Self { held: 0, new: 0 };
        }
        let new = ((drawn / uses as f64).ceil() as usize).max(1);
        Self {
            held: (LIFE * new).max(2 * pairs),
            new,
        }
    }
}

impl PairSource {
    fn pool(&self, pairs: usize) -> Pool {
        let share = match self.clips.is_empty() {
            true => 1.0,
            false => self.data.synth_share,
        };
        Pool::new(pairs, share * pairs as f64, self.data.synth_uses)
    }

    /// Says why a device cannot make the views, if it cannot.
    pub(in crate::train) fn obstacle(&self) -> Option<String> {
        match self.teachers.iter().any(Teacher::hears_views) {
            true => Some("a teacher hears the views".into()),
            false => self.view_source(1).obstacle(),
        }
    }

    /// Answers of the teachers that have heard the windows.
    fn targets(&self) -> impl Iterator<Item = &Targets> {
        self.teachers.iter().filter_map(|teacher| match teacher {
            Teacher::Windows(targets) => Some(targets),
            Teacher::Views(_) => None,
        })
    }

    /// Returns what a device makes views of, in batches of `pairs` pairs.
    pub(in crate::train) fn view_source(&self, pairs: usize) -> ViewSource<'_> {
        let told = self
            .targets()
            .map(|targets| (targets.rows(), targets.dim()));
        let [_, semitones] = self.augmenter.config().pitch_shift.semitones;
        let highest = PitchShift { semitones };
        ViewSource {
            frontend: self.frontend,
            clips: &self.recordings.clips,
            made: 2 * self.pool(pairs).held,
            longest: stretched_length(self.frontend.patch_samples(), highest.ratio()),
            told: told.collect(),
        }
    }

    /// Makes a feeder of batches of `pairs` pairs from step number `first` on.
    pub(in crate::train) fn feeder(&self, first: u64, pairs: usize) -> Feeder {
        let pool = self.pool(pairs);
        Feeder {
            pairs,
            places: self.view_source(pairs).places(),
            pool,
            first,
        }
    }

    /// Makes the views of batch number `step` on `device`, for comparison with [`Self::batch`], and returns also the
    /// milliseconds of the draws, and of the making. Sounds of the synthesiser are others than there.
    ///
    /// # Errors
    /// If the views cannot be made there, or the device fails.
    pub fn batch_on(
        &self,
        device: &dyn Backend,
        step: u64,
        pairs: usize,
    ) -> Result<(Batch, [f64; 2])> {
        if let Some(obstacle) = self.obstacle() {
            bail!("a device cannot make these views: {obstacle}");
        }
        let views = 2 * pairs;
        let patches = device.allocate(4 * views * self.frontend.patch_len())?;
        let source = self.view_source(pairs);
        let lessons: Vec<usize> = source.told.iter().map(|told| told.1).collect();
        let batch = BatchAddresses::new(device, views, &lessons)?;
        let makers = DeviceViews::new(device, &source, views, patches, &batch)?;
        let feeder = self.feeder(step, pairs);
        let feed = self.feed(&feeder, step);
        makers.bring(device, &feed.views, &feed.made)?;
        // The next one has few sounds to render, as those of a run.
        let clock = Instant::now();
        self.feed(&feeder, step + 1);
        let drawn = clock.elapsed().as_secs_f64() * 1e3;
        let make = || makers.work().try_for_each(|work| (work.run)(device));
        make()?;
        device.wait()?;
        let clock = Instant::now();
        make()?;
        device.wait()?;
        let made = clock.elapsed().as_secs_f64() * 1e3;
        let read = |from, count: usize| -> Result<Vec<f32>> {
            let mut values = vec![0f32; count];
            device.download(from, bytemuck::cast_slice_mut(&mut values))?;
            Ok(values)
        };
        let answers = batch.lessons.iter().zip(&lessons);
        let answers = answers.map(|(&(rows, counted), &dim)| {
            Ok(Answers {
                dim,
                rows: read(rows, views * dim)?,
                counted: Some(read(counted, views)?),
            })
        });
        let batch = Batch {
            patches: read(patches, views * self.frontend.patch_len())?,
            labels: read(batch.labels, views * OPERATORS)?,
            parameters: read(batch.parameters, views * OPERATORS)?,
            snr_db: read(batch.snr, views)?,
            answers: answers.collect::<Result<_>>()?,
        };
        Ok((batch, [drawn, made]))
    }

    /// Draws batch number `step`.
    pub(in crate::train) fn feed(&self, feeder: &Feeder, step: u64) -> Feed {
        let Pool { held, new } = feeder.pool;
        let begin = step * new as u64;
        let fresh = match step == feeder.first {
            true => 0,
            false => held - new,
        };
        let numbers = begin + fresh as u64..begin + held as u64;
        let made: Vec<(usize, Samples)> = numbers
            .into_par_iter()
            .flat_map_iter(|number| {
                let pair = (number % held as u64) as usize;
                let seed = self.made_seed(number);
                [false, true].map(|second| {
                    let samples = self.rendered(Made { seed, second });
                    let samples = Samples::at_full_scale(&samples);
                    (2 * pair + usize::from(second), samples)
                })
            })
            .collect();
        // The pairs of a batch that are made are all different.
        let begin: u64 = self.rng(step, u64::MAX).random();
        let drawn: Vec<[ViewWords; 2]> = (0..feeder.pairs)
            .into_par_iter()
            .map(|index| {
                let views = self.plan(step, index as u64);
                let own = begin.wrapping_add(index as u64) % held.max(1) as u64;
                views.map(|view| self.view_words(feeder, &view, own as usize))
            })
            .collect();
        let views = (0..2).flat_map(|second| drawn.iter().map(move |pair| pair[second]));
        Feed {
            views: views.collect(),
            made,
        }
    }

    fn made_seed(&self, number: u64) -> u64 {
        self.rng(MADE_SEED, number).random()
    }

    /// The words of a view, whose sound is made pair number `own` of those that are held if it is made.
    fn view_words(&self, feeder: &Feeder, plan: &PlannedView, own: usize) -> ViewWords {
        let samples = self.frontend.patch_samples();
        let rate = self.frontend.sample_rate;
        let sound = |sound: Sound, shift: isize, pair: usize| match sound {
            Sound::Recorded(window) => {
                let clip = &self.recordings.clips[window.clip];
                SoundWords {
                    from: words(feeder.places[window.clip]),
                    length: clip.len() as i32,
                    first: self.shifted(window, shift) as i32,
                    step: clip.step(),
                }
            }
            Sound::Made(made) => {
                let place = 2 * pair + usize::from(made.second);
                let first = feeder.places.last().expect("has a last");
                SoundWords {
                    from: words(first + (place * samples) as u64),
                    length: samples as i32,
                    first: shift.rem_euclid(samples as isize) as i32,
                    step: Samples::FULL_SCALE_STEP,
                }
            }
        };
        let mut view = ViewWords {
            sound: sound(plan.sound, plan.shift, own),
            window: self.window_number(plan.sound),
            ..ViewWords::SILENCE
        };
        let around = &plan.surroundings;
        if let Some(background) = around.background {
            view.background = match plan.background {
                Some(behind) => {
                    let seed = match behind {
                        Sound::Made(made) => made.seed,
                        Sound::Recorded(_) => 0,
                    };
                    let pair = seed % feeder.pool.held.max(1) as u64;
                    view.behind = sound(behind, 0, pair as usize);
                    ViewWords::SOUND_BEHIND
                }
                None => ViewWords::NOISE_BEHIND,
            };
            view.seed = words(background.seed);
            (view.snr, view.snr_db) = (ratio(background.snr_db), background.snr_db);
            view.decay = background.decay;
        }
        if let Some(slope) = around.tilt {
            let filter = Filter::new(slope, rate as f32);
            view.tilted = 1;
            (view.gain, view.zeros, view.poles) = (filter.gain, filter.zeros, filter.poles);
        }
        if let Some(db) = around.level {
            view.level = 10f32.powf(db / 20.0);
            view.of_peak = self.environment.config().level.peak.into();
        }
        let operations = plan
            .operators
            .iter()
            .filter_map(|drawn| self.drawn_words(drawn));
        debug_assert!(plan.operators.len() <= OPERATORS);
        for (place, words) in view.operations.iter_mut().zip(operations) {
            *place = words;
        }
        view
    }

    /// Number of the window that teachers have heard, or -1.
    fn window_number(&self, sound: Sound) -> i32 {
        match (self.targets().next(), sound.cut()) {
            (Some(targets), Some(cut)) => targets.number(cut) as i32,
            _ => -1,
        }
    }

    /// The words of an operator; `None` if it has nothing to work on.
    fn drawn_words(&self, drawn: &Drawn) -> Option<DrawnWords> {
        let samples = self.frontend.patch_samples();
        let rate = self.frontend.sample_rate;
        let operator = drawn.operator();
        let of = |value: f32| DrawnWords {
            kind: operator.index() as i32,
            told: self.told(operator, value),
            ..DrawnWords::NONE
        };
        let size = |value: usize| i32::try_from(value).expect("a view is short");
        Some(match *drawn {
            Drawn::PitchShift(shift) => {
                let ratio = shift.ratio();
                DrawnWords {
                    value: ratio,
                    second: (1.0 / ratio).min(1.0),
                    sizes: [size(stretched_length(samples, ratio)), 0, 0, 0],
                    ..of(shift.semitones)
                }
            }
            Drawn::Fade(fade) => {
                let [fade_in, fade_out] = fade.lengths(samples);
                DrawnWords {
                    sizes: [fade.shape as i32, size(fade_in), size(fade_out), 0],
                    ..of(fade.share(samples))
                }
            }
            Drawn::WhiteNoise(noise) => DrawnWords {
                value: ratio(noise.snr_db),
                seed: words(noise.seed),
                ..of(noise.snr_db)
            },
            Drawn::ColouredNoise(noise) => DrawnWords {
                value: ratio(noise.snr_db),
                second: noise.decay,
                seed: words(noise.seed),
                ..of(noise.snr_db)
            },
            Drawn::TimeMasking(masking) => {
                let [span, frame, crossfade] = masking.lengths(samples, rate)?;
                let rank = time_masking::quiet_rank(samples / frame);
                DrawnWords {
                    seed: words(masking.seed),
                    sizes: [span, frame, crossfade, rank].map(size),
                    places: masking.starts(samples, span).map(size),
                    ..of(masking.share)
                }
            }
            Drawn::TimeStretch(stretch) => {
                let made = stretch.length(samples);
                DrawnWords {
                    value: stretch.rate,
                    sizes: [size(made), size(crossfade(rate)), 0, 0],
                    ..of(stretch.rate)
                }
            }
            Drawn::TimeShift(shift) => DrawnWords {
                sizes: [size(shift.first(samples)), 0, 0, 0],
                ..of(shift.share)
            },
        })
    }

    /// The parameter of an operator as a head is to tell it, from -1 to 1.
    pub(super) fn told(&self, operator: Operator, value: f32) -> f32 {
        let [low, high] = self.augmenter.config().parameter_span(operator);
        match high > low {
            true => 2.0 * (value - low) / (high - low) - 1.0,
            false => 0.0,
        }
    }
}

/// Noise over signal as a ratio of amplitudes.
fn ratio(snr_db: f32) -> f32 {
    10f32.powf(-snr_db / 20.0)
}

#[cfg(all(test, feature = "emulated-device"))]
mod tests;
