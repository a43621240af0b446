//! Draws operators for a view and runs them.

use super::coloured_noise::ColouredNoise;
use super::config::{AugmentConfig, ConfigError};
use super::level::limit;
use super::operator::{Labels, OPERATORS, Operator};
use super::phase_vocoder::PhaseVocoder;
use super::pitch_shift::PitchShift;
use super::{fade, time_masking, time_shift, time_stretch, white_noise};
use rand::{Rng, RngExt};

/// An operator whose difference to its input is weaker than this share of the input's energy
/// (-50 dB) has changed nothing that a label could mean.
const LEAST_CHANGE: f64 = 1e-5;

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
    pitch_shift: PitchShift,
    coloured_noise: ColouredNoise,
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
            pitch_shift: PitchShift::new(),
            coloured_noise: ColouredNoise::new(),
            output: Vec::new(),
        })
    }

    /// The configuration that the views follow.
    pub fn config(&self) -> &AugmentConfig {
        &self.config
    }

    /// Makes a view of `clip`: with probability `clean` the clip itself, else 1 to `max_operators`
    /// different operators in random order.
    pub fn view(&mut self, clip: &[f32], rng: &mut impl Rng) -> View {
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
        self.apply(clip, &operators[..count], rng)
    }

    /// Makes a view of `clip` by `operators` in this order, each at most once; only their parameters are
    /// drawn. For measuring what a network makes of an operator.
    pub fn apply(&mut self, clip: &[f32], operators: &[Operator], rng: &mut impl Rng) -> View {
        let mut view = View {
            samples: clip.to_vec(),
            labels: [false; OPERATORS],
            parameters: [None; OPERATORS],
        };
        for &operator in operators {
            self.output.clear();
            let parameter = self.run(operator, &view.samples, rng);
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
    fn run(&mut self, operator: Operator, input: &[f32], rng: &mut impl Rng) -> Option<f32> {
        let (config, output) = (&self.config, &mut self.output);
        if input.is_empty() {
            return None;
        }
        match operator {
            Operator::PitchShift => {
                self.pitch_shift
                    .apply(&config.pitch_shift, &mut self.vocoder, input, output, rng)
            }
            Operator::Fade => fade::apply(&config.fade, input, output, rng),
            Operator::WhiteNoise => white_noise::apply(&config.white_noise, input, output, rng),
            Operator::ColouredNoise => {
                self.coloured_noise
                    .apply(&config.coloured_noise, input, output, rng)
            }
            Operator::TimeMasking => {
                time_masking::apply(&config.time_masking, self.sample_rate, input, output, rng)
            }
            Operator::TimeStretch => {
                let sample_rate = self.sample_rate;
                let vocoder = &mut self.vocoder;
                time_stretch::apply(
                    &config.time_stretch,
                    sample_rate,
                    vocoder,
                    input,
                    output,
                    rng,
                )
            }
            Operator::TimeShift => time_shift::apply(&config.time_shift, input, output, rng),
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
