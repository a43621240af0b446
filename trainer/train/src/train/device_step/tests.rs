//! The step on an emulated device against the one that candle differentiates.

use super::*;
use crate::augment::OPERATORS;
use crate::device::{Emulated, Pass};
use crate::net::ops::finite_difference::random;
use crate::net::ops::{Conv2d, Geometry, convolution_passes};
use crate::net::{Mode, Parameters};
use crate::ssl::{Lesson, Objective, Subject, Taught, Views};
use crate::train::{AdamW, Answers, Batch, PRESETS, RunConfig};
use candle_core::{Device, Tensor};

const SHAPE: [usize; 3] = [8, 17, 32];

/// Networks that are small, and have every kind of layer and loss among them.
fn networks() -> Vec<(RunConfig, Vec<Taught>)> {
    let small = [
        "backbone.stem={width=8,kernel=5,stride=2}",
        "backbone.stages=[{width=16,blocks=1,stride=2},{width=24,blocks=2,stride=1}]",
        "backbone.output={bands=2,dim=16,whitening=0.5}",
        "objective.projector_hidden=32",
        "objective.projector_out=24",
        "objective.predictor_hidden=[40]",
    ];
    let with = |settings: &[&str]| {
        let text = PRESETS
            .iter()
            .find(|(name, _)| *name == "edge-s")
            .unwrap()
            .1;
        let settings = small.iter().chain(settings).map(|&s| s.to_owned());
        RunConfig::from_toml(text, &settings.collect::<Vec<_>>()).unwrap()
    };
    let taught = |name: &str, subject: Subject| Taught {
        name: name.into(),
        weight: 1.5,
        subject,
    };
    let kinds = ["parallel", "series"];
    let mut networks: Vec<_> = kinds
        .iter()
        .map(|kind| {
            let adapters = format!("backbone.adapters={{kind=\"{kind}\",from_stage=0}}");
            (
                with(&[&adapters, "objective.parameter_weight=0.5"]),
                Vec::new(),
            )
        })
        .collect();
    networks.push((
        with(&[
            "backbone.adapters={kind=\"separate\",from_stage=0}",
            "backbone.parts=[{name=\"events\",dim=12}]",
            "objective.contrastive=\"sim-siam\"",
            "objective.sim_siam={width=32,bottleneck=16}",
        ]),
        vec![
            taught("events", Subject::Part("events".into())),
            taught("elder", Subject::Paths(vec![10, 6])),
        ],
    ));
    networks
}

/// A batch, in which some views do not count in the predictive loss and some have no lesson.
fn batch(lessons: &[usize]) -> Batch {
    let [views, frames, mels] = SHAPE;
    let flat = |seed, shape: &[usize]| -> Vec<f32> {
        random(seed, shape)
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    let labels: Vec<f32> = flat(2, &[views, OPERATORS])
        .iter()
        .map(|v| f32::from(*v > 0.0))
        .collect();
    let answers = lessons.iter().enumerate().map(|(number, &dim)| {
        let rows = random(20 + number as u64, &[views, dim]);
        let norm = rows.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap();
        Answers {
            dim,
            rows: rows
                .broadcast_div(&norm)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap(),
            counted: (number == 0)
                .then(|| (0..views).map(|view| f32::from(view % 3 != 0)).collect()),
        }
    });
    Batch {
        patches: flat(1, &[views, frames, mels]),
        parameters: flat(3, &[views, OPERATORS])
            .iter()
            .zip(&labels)
            .map(|(v, label)| v * label)
            .collect(),
        labels,
        snr_db: (0..views).map(|view| 3.0 * view as f32).collect(),
        answers: answers.collect(),
    }
}

const LEAST_SNR: f32 = 5.0;

fn views(batch: &Batch) -> Views {
    let [count, frames, mels] = SHAPE;
    let tensor =
        |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    let rows = (0u32..).zip(&batch.snr_db);
    let rows: Vec<u32> = rows
        .filter(|(_, s)| **s >= LEAST_SNR)
        .map(|(r, _)| r)
        .collect();
    Views {
        patches: tensor(&batch.patches, &[count, frames, mels]),
        labels: tensor(&batch.labels, &[count, OPERATORS]),
        parameters: tensor(&batch.parameters, &[count, OPERATORS]),
        predicted: Some(Tensor::from_slice(&rows, rows.len(), &Device::Cpu).unwrap()),
        lessons: batch
            .answers
            .iter()
            .map(|answers| Lesson {
                targets: tensor(&answers.rows, &[count, answers.dim]),
                counted: answers.counted.as_ref().map(|c| tensor(c, &[count])),
            })
            .collect(),
    }
}

/// Dimensions of the lessons of all teachers.
fn lessons(config: &RunConfig, taught: &[Taught]) -> Vec<usize> {
    let dims = |taught: &Taught| match &taught.subject {
        Subject::Paths(lengths) => lengths.clone(),
        Subject::Part(name) => {
            let mut parts = config.backbone.parts.iter();
            vec![parts.find(|part| part.name == *name).unwrap().dim]
        }
    };
    taught.iter().flat_map(dims).collect()
}

struct Both {
    name: String,
    parameters: [Parameters; 2],
    objectives: [Objective; 2],
    batch: Batch,
}

const CLIP: f64 = 0.7;
const DECAY: f64 = 0.05;
const SETTINGS: StepSettings = StepSettings {
    shape: SHAPE,
    least_snr: LEAST_SNR,
    norm_momentum: 0.1,
    weight_decay: DECAY,
    clip_norm: CLIP,
};

impl Both {
    /// The same network twice: for candle and for the device.
    fn new((config, taught): &(RunConfig, Vec<Taught>)) -> Self {
        let mut parameters = [(); 2].map(|()| Parameters::new(7, &Device::Cpu));
        let objectives = std::array::from_fn(|side| {
            let p = &mut parameters[side];
            Objective::new(&config.objective, &config.backbone, OPERATORS, taught, p).unwrap()
        });
        // Adapters start at zero, where their gradients tell little of where they are added.
        for p in &parameters {
            for (index, (_, variable)) in p.variables().enumerate() {
                let nudge = (random(300 + index as u64, variable.dims()) * 0.05).unwrap();
                variable
                    .set(&(variable.as_tensor() + nudge).unwrap())
                    .unwrap();
            }
        }
        Self {
            name: format!("{:?}", config.backbone.adapters.kind),
            batch: batch(&lessons(config, taught)),
            parameters,
            objectives,
        }
    }

    fn device(&self, element: Element) -> DeviceStep {
        let backend = Box::new(Emulated::new(element));
        let optimiser = AdamW::default();
        DeviceStep::new(
            backend,
            &self.objectives[1],
            &self.parameters[1],
            &optimiser,
            SETTINGS,
        )
        .unwrap()
    }
}

fn length(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&v| f64::from(v) * f64::from(v));
    squares.sum::<f64>().sqrt()
}

/// How far apart two vectors are, over the length of the second.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    length(&difference) / length(b).max(1e-6)
}

#[test]
fn a_step_agrees_with_candle_in_losses_gradients_and_what_it_leaves() {
    for network in networks() {
        let both = Both::new(&network);
        let mut step = both.device(Element::F32);
        let mut optimiser = AdamW::default();
        for round in 0..2 {
            let loss = both.objectives[0]
                .loss(&views(&both.batch), Mode::Train { momentum: 0.1 })
                .unwrap();
            let gradients = loss.total.backward().unwrap();
            step.take(&both.batch, 1e-3).unwrap();
            let found = step.gradients().unwrap();
            let mut all = 0.0;
            let wanted: Vec<(&str, Vec<f32>)> = both.parameters[0]
                .variables()
                .map(|(name, variable)| {
                    let want = gradients.get(variable.as_tensor()).unwrap();
                    let want = want.flatten_all().unwrap().to_vec1().unwrap();
                    all += length(&want).powi(2);
                    (name, want)
                })
                .collect();
            // After a step, rounding has moved some values past a rectifier.
            for (name, want) in wanted.into_iter().filter(|_| round == 0) {
                // A shift before a norm has no gradient but rounding.
                let small = 1e-3 * f64::sqrt(all) / length(&want).max(1e-12);
                let error = apart(&found[name].1, &want) / small.max(1.0);
                assert!(error < 5e-3, "{}, gradient of {name}: {error}", both.name);
            }
            let norm = optimiser
                .update(&both.parameters[0], &gradients, 1e-3, DECAY, CLIP)
                .unwrap();
            let log = step.log().unwrap();
            assert_eq!((log.steps, log.left_out), (1, 0));
            let total: f32 = loss.total.to_scalar().unwrap();
            let mut pairs = vec![
                ("norm", log.norm, norm),
                ("total", log.sums[0], f64::from(total)),
                ("contrastive", log.sums[1], loss.contrastive.into()),
                ("spread", log.sums[2], loss.spread.into()),
                ("predictive", log.sums[3], loss.predictive.into()),
                ("accuracy", log.sums[4], loss.label_accuracy.into()),
            ];
            if !loss.parameter_error.is_nan() {
                pairs.push(("parameters", log.sums[5], loss.parameter_error.into()));
            }
            for ((_, got), (name, want)) in log.teachers.iter().zip(&loss.teachers) {
                pairs.push((name, *got, f64::from(*want)));
            }
            for (what, got, want) in pairs {
                let near = [1e-3, 1e-2][round] * want.abs().max(0.1);
                assert!(
                    (got - want).abs() < near,
                    "{}: {what} {got} != {want}",
                    both.name
                );
            }
        }
        let moments = step.store(&both.parameters[1]).unwrap().state();
        assert_eq!(moments.0, optimiser.state().0);
        // Together: Adam makes whole steps of the rounding of a gradient that is zero.
        let [want, got] = [&both.parameters[0], &both.parameters[1]].map(|p| {
            let weights = p.to_weights().unwrap();
            weights
                .into_values()
                .flat_map(|(_, values)| values)
                .collect::<Vec<f32>>()
        });
        let error = apart(&got, &want);
        assert!(
            error < 1e-3,
            "{}: weights after the steps: {error}",
            both.name
        );
        let [want, got] = [optimiser.state().1, moments.1].map(|moments| {
            moments
                .into_values()
                .flat_map(|(_, values)| values)
                .collect::<Vec<f32>>()
        });
        let error = apart(&got, &want);
        assert!(error < 2e-3, "{}: moments: {error}", both.name);
    }
}

#[test]
fn bf16_stays_near() {
    let both = Both::new(&networks()[0]);
    let mut step = both.device(Element::Bf16);
    let loss = both.objectives[0]
        .loss(&views(&both.batch), Mode::Train { momentum: 0.1 })
        .unwrap();
    let gradients = loss.total.backward().unwrap();
    step.take(&both.batch, 1e-3).unwrap();
    let found = step.gradients().unwrap();
    let (mut got, mut want) = (Vec::new(), Vec::new());
    for (name, variable) in both.parameters[0].variables() {
        let gradient = gradients.get(variable.as_tensor()).unwrap();
        want.extend(gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        got.extend_from_slice(&found[name].1);
    }
    let error = apart(&got, &want);
    assert!(error < 0.2, "{error}");
    let total: f32 = loss.total.to_scalar().unwrap();
    assert!((step.log().unwrap().sums[0] - f64::from(total)).abs() < 0.05);
}

/// Values that bf16 holds.
fn rounded(seed: u64, shape: &[usize]) -> Vec<f32> {
    let values: Vec<f32> = random(seed, shape)
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    Element::Bf16.decode(&Element::Bf16.encode(&values))
}

#[test]
fn tensor_cores_convolve_as_the_processor_does() {
    // (height, width, in, out, kernel, stride, padding): channels of whole tiles and half ones, several groups of
    // them, odd sizes, positions that leave a block half empty.
    for (case, (h, w, i, o, k, stride, padding)) in [
        (5, 6, 16, 16, 3, 1, 1),
        (7, 5, 8, 24, 3, 2, 1),
        (6, 7, 24, 8, 1, 2, 0),
        (4, 4, 56, 64, 3, 1, 1),
        (9, 8, 16, 40, 5, 3, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let op = Conv2d { stride, padding };
        let (x_shape, w_shape) = ([3, h, w, i], [o, k, k, i]);
        let g = Geometry::new(&op, &x_shape, &w_shape).unwrap();
        let y_shape = [3, g.out_height, g.out_width, o];
        let seed = case as u64;
        let operands = [
            rounded(seed, &x_shape),
            rounded(seed + 10, &w_shape),
            rounded(seed + 20, &y_shape),
        ];
        let [x, weights, dy] = &operands;
        let device = Emulated::new(Element::Bf16);
        for (pass, result, want) in [
            (
                Pass::Forward,
                2,
                convolution_passes::forward(&g, x, weights),
            ),
            (
                Pass::Input,
                0,
                convolution_passes::input_gradient(&g, weights, dy),
            ),
            (
                Pass::Kernels,
                1,
                convolution_passes::weight_gradient(&g, x, dy),
            ),
        ] {
            let at = operands.each_ref().map(|values| {
                let bytes = Element::Bf16.encode(values);
                let at = device.allocate(bytes.len()).unwrap();
                device.upload(at, &bytes).unwrap();
                at
            });
            let read = || {
                let mut bytes = vec![0; want.len() * 2];
                device.download(at[result], &mut bytes).unwrap();
                Element::Bf16.decode(&bytes)
            };
            device.convolve(pass, &g, at, false).unwrap();
            let error = apart(&read(), &want);
            assert!(error < 5e-3, "case {case}, {pass:?}: {error}");
            device.convolve(pass, &g, at, true).unwrap();
            let twice: Vec<f32> = want.iter().map(|v| 2.0 * v).collect();
            let error = apart(&read(), &twice);
            assert!(error < 5e-3, "case {case}, {pass:?}, added: {error}");
        }
    }
}

#[test]
fn nothing_comes_back_from_a_step_and_no_more_goes_over_than_the_batch() {
    let both = Both::new(&networks()[2]);
    let backend = std::rc::Rc::new(Emulated::new(Element::F32));
    let optimiser = AdamW::default();
    let (objective, parameters) = (&both.objectives[1], &both.parameters[1]);
    let mut step = DeviceStep::new(
        Box::new(backend.clone()),
        objective,
        parameters,
        &optimiser,
        SETTINGS,
    )
    .unwrap();
    backend.uploaded.set(0);
    for _ in 0..2 {
        step.take(&both.batch, 1e-3).unwrap();
    }
    step.wait().unwrap();
    let [views, frames, mels] = SHAPE;
    let answers: usize = both
        .batch
        .answers
        .iter()
        .map(|a| a.rows.len() + views)
        .sum();
    let values = views * (frames * mels + 2 * OPERATORS + 1) + answers + 1;
    assert_eq!(backend.uploaded.get(), 2 * values * 4);
    assert_eq!(backend.downloads.get(), 0);
}

#[test]
fn nothing_comes_back_from_a_step_that_makes_its_views_and_only_what_is_drawn_goes_over() {
    let (mut config, taught) = networks().remove(0);
    (config.frontend.frames, config.frontend.mels) = (SHAPE[1] as u16, SHAPE[2] as u16);
    (config.frontend.mean, config.frontend.scale) = (Some(-5.0), Some(0.5));
    config.environment.background.probability = 0.5;
    let clips = (0..4).map(|seed| {
        let mut noise = mtslvr_audio::Noise::from_seed(seed);
        (0..9_000).map(|_| 0.1 * noise.normal()).collect()
    });
    let recordings = mtslvr_audio::Recordings::from(clips.collect::<Vec<Vec<f32>>>());
    let source = crate::train::PairSource::new(std::sync::Arc::new(recordings), &config).unwrap();
    let both = Both::new(&(config, taught));
    let backend = std::rc::Rc::new(Emulated::new(Element::F32));
    let pairs = SHAPE[0] / 2;
    let mut step = DeviceStep::with_views(
        Box::new(backend.clone()),
        &both.objectives[1],
        &both.parameters[1],
        &AdamW::default(),
        SETTINGS,
        &source.view_source(pairs),
    )
    .unwrap();
    let feeder = source.feeder(0, pairs);
    step.take_feed(&source.feed(&feeder, 0), 1e-3).unwrap();
    backend.uploaded.set(0);
    backend.downloads.set(0);
    let mut made = 0;
    for number in 1..3 {
        let feed = source.feed(&feeder, number);
        made += feed
            .made
            .iter()
            .map(|(_, sound)| sound.len())
            .sum::<usize>();
        step.take_feed(&feed, 1e-3).unwrap();
    }
    step.wait().unwrap();
    // The learning rate is the word beside them.
    let drawn = 2 * (SHAPE[0] * size_of::<crate::device::ViewWords>() + 4);
    assert_eq!(backend.uploaded.get(), drawn + 2 * made);
    assert_eq!(backend.downloads.get(), 0);
    let log = step.log().unwrap();
    assert_eq!((log.steps, log.left_out), (3, 0));
    assert!(log.sums[0].is_finite() && log.sums[0] > 0.0);
}

#[test]
fn a_step_that_is_no_number_is_left_out() {
    let both = Both::new(&networks()[0]);
    let mut step = both.device(Element::F32);
    step.take(&both.batch, 1e-3).unwrap();
    step.store(&both.parameters[1]).unwrap();
    let before = both.parameters[1].to_weights().unwrap();
    let mut broken = both.batch.clone();
    broken.patches[5] = f32::NAN;
    for _ in 0..2 {
        step.take(&broken, 1e-3).unwrap();
    }
    let log = step.log().unwrap();
    assert_eq!((log.steps, log.left_out, log.failures), (1, 2, 2));
    step.store(&both.parameters[1]).unwrap();
    assert!(both.parameters[1].to_weights().unwrap() == before);
    step.take(&both.batch, 1e-3).unwrap();
    let log = step.log().unwrap();
    assert_eq!((log.steps, log.left_out, log.failures), (1, 0, 0));
}

#[test]
fn a_small_temperature_leaves_numbers() {
    let (mut config, taught) = networks().remove(0);
    config.objective.temperature = 0.002;
    let both = Both::new(&(config, taught));
    let mut step = both.device(Element::F32);
    let loss = both.objectives[0]
        .loss(&views(&both.batch), Mode::Train { momentum: 0.1 })
        .unwrap();
    step.take(&both.batch, 1e-3).unwrap();
    let log = step.log().unwrap();
    let want = f64::from(loss.contrastive);
    assert_eq!(log.steps, 1);
    assert!(
        (log.sums[1] - want).abs() < 1e-2 * want,
        "{} {want}",
        log.sums[1]
    );
}

#[test]
fn a_restored_step_goes_on_bit_for_bit() {
    let weights = |restore: bool| {
        let both = Both::new(&networks()[0]);
        let mut step = both.device(Element::F32);
        for round in 0..3 {
            if restore && round == 2 {
                let optimiser = step.store(&both.parameters[1]).unwrap();
                let backend = Box::new(Emulated::new(Element::F32));
                let (objective, parameters) = (&both.objectives[1], &both.parameters[1]);
                step =
                    DeviceStep::new(backend, objective, parameters, &optimiser, SETTINGS).unwrap();
            }
            step.take(&both.batch, 1e-3).unwrap();
        }
        step.store(&both.parameters[1]).unwrap();
        both.parameters[1].to_weights().unwrap()
    };
    assert!(weights(true) == weights(false));
}

#[test]
fn widths_that_the_kernels_do_not_take_are_refused() {
    let (mut config, taught) = networks().remove(0);
    config.backbone.stages[0].width = 12;
    let mut p = Parameters::new(1, &Device::Cpu);
    let objective = Objective::new(
        &config.objective,
        &config.backbone,
        OPERATORS,
        &taught,
        &mut p,
    )
    .unwrap();
    let backend = Box::new(Emulated::new(Element::F32));
    let error = DeviceStep::new(backend, &objective, &p, &AdamW::default(), SETTINGS).unwrap_err();
    assert!(error.to_string().contains("12 channels"), "{error}");
}
