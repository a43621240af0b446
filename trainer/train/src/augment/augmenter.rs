//! Draws operators for a view and runs them.

use super::coloured_noise::{ColouredNoise, NoiseMaker};
use super::config::{AugmentConfig, ConfigError};
use super::fade::Fade;
use super::level::limit;
use super::operator::{Labels, OPERATORS, Operator};
use super::phase_vocoder::PhaseVocoder;
use super::pitch_shift::{PitchShift, PitchShifter};
use super::time_masking::TimeMasking;
use super::time_shift::TimeShift;
use super::time_stretch::TimeStretch;
use super::white_noise::WhiteNoise;
use rand::{Rng, RngExt};

/// An operator whose difference to its input is weaker than this share of the input's energy
/// (-50 dB) has changed nothing that a label could mean.
pub(crate) const LEAST_CHANGE: f64 = 1e-5;

/// A clip after the operators that were drawn for it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Samples, as many as the clip has, none beyond full scale.
    pub samples: Vec<f32>,
    /// Which operators changed the view.
    pub labels: Labels,
    /// Parameter drawn for each of those; see [`Operator::parameter`] for its unit.
    pub parameters: [Option<f32>; OPERATORS],
}

/// An operator and all that is drawn for it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant holds the draw of the operator of that name"
)]
pub enum Drawn {
    PitchShift(PitchShift),
    Fade(Fade),
    WhiteNoise(WhiteNoise),
    ColouredNoise(ColouredNoise),
    TimeMasking(TimeMasking),
    TimeStretch(TimeStretch),
    TimeShift(TimeShift),
}

impl Drawn {
    /// Returns the operator.
    pub fn operator(&self) -> Operator {
        match self {
            Self::PitchShift(_) => Operator::PitchShift,
            Self::Fade(_) => Operator::Fade,
            Self::WhiteNoise(_) => Operator::WhiteNoise,
            Self::ColouredNoise(_) => Operator::ColouredNoise,
            Self::TimeMasking(_) => Operator::TimeMasking,
            Self::TimeStretch(_) => Operator::TimeStretch,
            Self::TimeShift(_) => Operator::TimeShift,
        }
    }
}

/// Makes views of clips.
///
/// It holds plans and scratch memory: clone it for each thread. A view depends on the clip and the
/// generator alone, so that seeding the generator by the clip's number gives the same views on any
/// number of threads.
#[derive(Clone)]
pub struct Augmenter {
    config: AugmentConfig,
    sample_rate: u32,
    enabled: Vec<Operator>,
    vocoder: PhaseVocoder,
    pitch_shift: PitchShifter,
    coloured_noise: NoiseMaker,
    /// Output of the operator that runs; swapped with the view after it.
    output: Vec<f32>,
}

impl std::fmt::Debug for Augmenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Augmenter")
            .field("config", &self.config)
            .field("sample_rate", &self.sample_rate)
            .finish_non_exhaustive()
    }
}

impl Augmenter {
    /// Makes views by `config` of clips at `sample_rate` Hz.
    ///
    /// # Errors
    /// A value of the configuration that cannot be used.
    pub fn new(config: AugmentConfig, sample_rate: u32) -> Result<Self, ConfigError> {
        config.check()?;
        let enabled = Operator::ALL
            .into_iter()
            .filter(|&op| config.enabled(op))
            .collect();
        Ok(Self {
            config,
            sample_rate,
            enabled,
            vocoder: PhaseVocoder::new(sample_rate),
            pitch_shift: PitchShifter::new(),
            coloured_noise: NoiseMaker::new(),
            output: Vec::new(),
        })
    }

    /// The configuration that the views follow.
    pub fn config(&self) -> &AugmentConfig {
        &self.config
    }

    /// Makes a view of `clip` by operators that are drawn for it ([`Self::draw`]).
    pub fn view(&mut self, clip: &[f32], rng: &mut impl Rng) -> View {
        let drawn = self.draw(rng);
        self.run_all(clip, &drawn)
    }

    /// Draws the operators of a view: with probability `clean` none, else 1 to `max_operators` different ones in random
    /// order.
    pub fn draw(&self, rng: &mut impl Rng) -> Vec<Drawn> {
        let most = self.config.max_operators.min(self.enabled.len());
        let clean = rng.random::<f32>() < self.config.clean;
        let count = if clean || most == 0 {
            0
        } else {
            rng.random_range(1..=most)
        };
        let mut operators = [Operator::PitchShift; OPERATORS];
        operators[..self.enabled.len()].copy_from_slice(&self.enabled);
        for place in 0..count {
            operators.swap(place, rng.random_range(place..self.enabled.len()));
        }
        self.draw_each(&operators[..count], rng)
    }

    /// Makes a view of `clip` by `operators` in this order, each at most once; only their parameters are
    /// drawn. For measuring what a network makes of an operator.
    pub fn apply(&mut self, clip: &[f32], operators: &[Operator], rng: &mut impl Rng) -> View {
        let drawn = self.draw_each(operators, rng);
        self.run_all(clip, &drawn)
    }

    /// Draws for each of `operators`; one whose configuration leaves nothing to draw is left out.
    fn draw_each(&self, operators: &[Operator], rng: &mut impl Rng) -> Vec<Drawn> {
        let config = &self.config;
        let mut draw = |&operator: &Operator| {
            Some(match operator {
                Operator::PitchShift => {
                    Drawn::PitchShift(PitchShift::draw(&config.pitch_shift, rng))
                }
                Operator::Fade => Drawn::Fade(Fade::draw(&config.fade, rng)),
                Operator::WhiteNoise => {
                    Drawn::WhiteNoise(WhiteNoise::draw(&config.white_noise, rng))
                }
                Operator::ColouredNoise => {
                    Drawn::ColouredNoise(ColouredNoise::draw(&config.coloured_noise, rng))
                }
                Operator::TimeMasking => {
                    Drawn::TimeMasking(TimeMasking::draw(&config.time_masking, rng))
                }
                Operator::TimeStretch => {
                    Drawn::TimeStretch(TimeStretch::draw(&config.time_stretch, rng)?)
                }
                Operator::TimeShift => Drawn::TimeShift(TimeShift::draw(&config.time_shift, rng)),
            })
        };
        operators.iter().filter_map(&mut draw).collect()
    }

    /// Makes a view of `clip` by operators that were drawn, in this order.
    pub fn run_all(&mut self, clip: &[f32], operators: &[Drawn]) -> View {
        let mut view = View {
            samples: clip.to_vec(),
            labels: [false; OPERATORS],
            parameters: [None; OPERATORS],
        };
        for drawn in operators {
            let operator = drawn.operator();
            self.output.clear();
            let parameter = self.run(drawn, &view.samples);
            if parameter.is_some() && differs(&view.samples, &self.output) {
                std::mem::swap(&mut view.samples, &mut self.output);
                view.labels[operator.index()] = true;
                view.parameters[operator.index()] = parameter;
            }
        }
        limit(&mut view.samples);
        view
    }

    /// Runs one operator from `input` to `self.output`. `None`: it had nothing to work on.
    fn run(&mut self, drawn: &Drawn, input: &[f32]) -> Option<f32> {
        let (sample_rate, output) = (self.sample_rate, &mut self.output);
        if input.is_empty() {
            return None;
        }
        let vocoder = &mut self.vocoder;
        match *drawn {
            Drawn::PitchShift(drawn) => Some(self.pitch_shift.apply(drawn, vocoder, input, output)),
            Drawn::Fade(drawn) => Some(drawn.apply(input, output)),
            Drawn::WhiteNoise(drawn) => drawn.apply(input, output),
            Drawn::ColouredNoise(drawn) => self.coloured_noise.apply(drawn, input, output),
            Drawn::TimeMasking(drawn) => drawn.apply(sample_rate, input, output),
            Drawn::TimeStretch(drawn) => Some(drawn.apply(sample_rate, vocoder, input, output)),
            Drawn::TimeShift(drawn) => drawn.apply(input, output),
        }
    }
}

/// Whether `after` is another sound than `before`.
fn differs(before: &[f32], after: &[f32]) -> bool {
    debug_assert_eq!(before.len(), after.len());
    let (mut energy, mut change) = (0.0, 0.0);
    for (before, after) in before.chunks(256).zip(after.chunks(256)) {
        energy += f64::from(before.iter().map(|x| x * x).sum::<f32>());
        change += f64::from(
            before
                .iter()
                .zip(after)
                .map(|(x, y)| (x - y) * (x - y))
                .sum::<f32>(),
        );
    }
    change > LEAST_CHANGE * energy
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_audio::synth::Patch;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn augmenter() -> Augmenter {
        Augmenter::new(AugmentConfig::default(), 16_000).unwrap()
    }

    fn sound(seed: u64, length: usize) -> Vec<f32> {
        Patch::random(&mut rng(seed)).render(length, 16_000, &mut rng(seed))
    }

    #[test]
    fn views_depend_on_clip_and_generator_alone() {
        let clips: Vec<_> = (0..12).map(|seed| sound(seed, 8_000)).collect();
        let mut used = augmenter();
        for (seed, clip) in clips.iter().enumerate() {
            let first = used.view(clip, &mut rng(seed as u64));
            let again = augmenter().clone().view(clip, &mut rng(seed as u64));
            assert_eq!(first, again);
        }
    }

    #[test]
    fn labels_say_what_ran() {
        let mut augmenter = augmenter();
        let mut counts = [0; OPERATORS];
        let (mut clean, mut generator) = (0, rng(1));
        const VIEWS: usize = 600;
        for index in 0..VIEWS {
            let clip = sound(index as u64 % 20, 4_000);
            let view = augmenter.view(&clip, &mut generator);
            assert_eq!(view.samples.len(), clip.len());
            assert_eq!(
                view.labels,
                view.parameters.map(|parameter| parameter.is_some())
            );
            for (count, label) in counts.iter_mut().zip(view.labels) {
                *count += usize::from(label);
            }
            let unlabelled = view.labels == [false; OPERATORS];
            clean += usize::from(unlabelled);
            assert_eq!(unlabelled, view.samples == clip);
        }
        // 0.9 * 4 / 7 = 51 % for each operator, 10 % clean, some operators without effect.
        assert!(counts.iter().all(|&count| count > VIEWS / 3), "{counts:?}");
        assert!((VIEWS / 20..VIEWS / 5).contains(&clean), "{clean} clean");
    }

    #[test]
    fn parameters_are_within_the_ranges() {
        let mut augmenter = augmenter();
        let (clip, mut generator) = (sound(3, 16_000), rng(2));
        for _ in 0..60 {
            for operator in Operator::ALL {
                let view = augmenter.apply(&clip, &[operator], &mut generator);
                let Some(value) = view.parameters[operator.index()] else {
                    continue;
                };
                let within = match operator {
                    Operator::PitchShift => (0.5..=10.0).contains(&value.abs()),
                    Operator::Fade => (0.0..=1.0).contains(&value),
                    Operator::WhiteNoise | Operator::ColouredNoise => (3.0..=30.0).contains(&value),
                    Operator::TimeMasking => (0.02..=0.125).contains(&value),
                    Operator::TimeStretch => {
                        (0.5..=1.5).contains(&value) && (value - 1.0).abs() >= 0.05
                    }
                    Operator::TimeShift => (0.02..=0.5).contains(&value.abs()),
                };
                assert!(within, "{} {value}", operator.name());
                let [low, high] = augmenter.config().parameter_span(operator);
                assert!((low..=high).contains(&value), "{} {value}", operator.name());
            }
        }
    }

    #[test]
    fn silence_is_left_alone_and_gets_no_label() {
        let mut augmenter = augmenter();
        for length in [0, 1, 2, 15, 16_000] {
            let silence = vec![0.0; length];
            for seed in 0..20 {
                let view = augmenter.view(&silence, &mut rng(seed));
                assert_eq!(view.samples, silence);
                assert_eq!(view.labels, [false; OPERATORS]);
            }
        }
    }

    #[test]
    fn extreme_clips_give_finite_views_of_their_length() {
        let mut augmenter = augmenter();
        let mut impulse = vec![0.0; 4_000];
        impulse[1_234] = 1.0;
        let square: Vec<f32> = (0..4_000)
            .map(|n| if n % 50 < 25 { 1.0 } else { -1.0 })
            .collect();
        let faint: Vec<f32> = (0..4_000).map(|n| 1e-20 * (n as f32).sin()).collect();
        let mut clips = vec![impulse, square, faint, vec![1.0; 4_000]];
        clips.extend([1, 2, 3, 5, 40, 700].map(|length| vec![-0.5; length]));
        for clip in &clips {
            for seed in 0..30 {
                let view = augmenter.view(clip, &mut rng(seed));
                assert_eq!(view.samples.len(), clip.len());
                assert!(view.samples.iter().all(|sample| sample.abs() <= 1.0));
            }
        }
    }

    #[test]
    fn operators_switched_off_never_run() {
        let mut config = AugmentConfig {
            clean: 0.0,
            max_operators: 2,
            ..Default::default()
        };
        config.pitch_shift.enabled = false;
        config.time_shift.enabled = false;
        let mut augmenter = Augmenter::new(config, 16_000).unwrap();
        let clip = sound(5, 4_000);
        for seed in 0..60 {
            let labels = augmenter.view(&clip, &mut rng(seed)).labels;
            assert!(!labels[Operator::PitchShift.index()] && !labels[Operator::TimeShift.index()]);
            assert!(labels.iter().filter(|&&label| label).count() <= 2);
        }
        let off = AugmentConfig {
            clean: 1.0,
            ..Default::default()
        };
        let view = Augmenter::new(off, 16_000)
            .unwrap()
            .view(&clip, &mut rng(1));
        assert_eq!(view.samples, clip);
    }
}
