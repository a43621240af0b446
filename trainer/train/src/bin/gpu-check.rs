//! Checks and times the GPU's training step: what `cargo xtask gpu-check` takes to a machine that has one.
//!
//! ```sh
//! gpu-check operators                       # against the processor, in both precisions
//! gpu-check serve PRESET PAIRS PRECISION    # takes N steps for every line N, prints their seconds
//! gpu-check profile PRESET PAIRS PRECISION  # milliseconds of each kind of work
//! gpu-check views PAIRS                     # views that the GPU makes against those of the processor
//! ```
//!
//! All answers are JSON, but for `serve`'s seconds. Precisions are bf16 and f32.

use anyhow::{Context, Result, bail};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use mtslvr_audio::synth::Patch;
use mtslvr_audio::{Noise, Recordings};
use mtslvr_train::augment::OPERATORS;
use mtslvr_train::device::{Address, Backend, Convolving, Cuda, Element, Factor, Pass, Product};
use mtslvr_train::net::ops::{Activation, Conv2d, Geometry, conv2d};
use mtslvr_train::net::{Mode, Parameters, Weights};
use mtslvr_train::ssl::{Objective, Subject, Taught, Views};
use mtslvr_train::train::{AdamW, Answers, Batch, DeviceStep, PairSource, RunConfig, StepSettings};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Instant;

const LEAST_SNR: f32 = 5.0;
const CLIP: f64 = 5.0;
const DECAY: f64 = 1e-4;
const RATE: f64 = 1e-3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["operators"] => operators(),
        ["serve", preset, pairs, precision] => {
            Timed::new(preset, pairs.parse()?, element(precision)?)?.serve()
        }
        ["views", pairs] => views_apart(pairs.parse()?),
        ["profile", preset, pairs, precision] => {
            Timed::new(preset, pairs.parse()?, element(precision)?)?.profile()
        }
        _ => bail!(
            "usage: gpu-check operators | serve PRESET PAIRS PRECISION | profile PRESET PAIRS PRECISION | views PAIRS"
        ),
    }
}

fn element(precision: &str) -> Result<Element> {
    match precision {
        "bf16" => Ok(Element::Bf16),
        "f32" => Ok(Element::F32),
        _ => bail!("the precision is bf16 or f32, not {precision}"),
    }
}

/// Values from a normal distribution, the same for the same seed.
fn normal(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 + 0.5) / (1u64 << 24) as f32
    };
    (0..count)
        .map(|_| (-2.0 * uniform().ln()).sqrt() * (std::f32::consts::TAU * uniform()).cos())
        .collect()
}

fn batch(shape: [usize; 3], lessons: &[usize]) -> Batch {
    let [views, frames, mels] = shape;
    let draws = normal(2, views * OPERATORS);
    let labels: Vec<f32> = draws.iter().map(|&v| f32::from(v > 0.0)).collect();
    let parameters = normal(3, views * OPERATORS);
    let answers = lessons.iter().enumerate().map(|(number, &dim)| {
        let mut rows = normal(20 + number as u64, views * dim);
        for row in rows.chunks_exact_mut(dim) {
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            for value in row {
                *value /= length;
            }
        }
        Answers {
            dim,
            rows,
            counted: (number == 0)
                .then(|| (0..views).map(|view| f32::from(view % 3 != 0)).collect()),
        }
    });
    Batch {
        patches: normal(1, views * frames * mels),
        parameters: parameters.iter().zip(&labels).map(|(v, l)| v * l).collect(),
        labels,
        snr_db: (0..views).map(|view| (view % 20) as f32).collect(),
        answers: answers.collect(),
    }
}

fn views(batch: &Batch, [count, frames, mels]: [usize; 3]) -> Result<Views> {
    let tensor = |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu);
    let rows = (0u32..).zip(&batch.snr_db);
    let rows: Vec<u32> = rows
        .filter(|(_, s)| **s >= LEAST_SNR)
        .map(|(r, _)| r)
        .collect();
    let mut lessons = Vec::new();
    for answers in &batch.answers {
        lessons.push(mtslvr_train::ssl::Lesson {
            targets: tensor(&answers.rows, &[count, answers.dim])?,
            counted: answers
                .counted
                .as_ref()
                .map(|c| tensor(c, &[count]))
                .transpose()?,
        });
    }
    Ok(Views {
        patches: tensor(&batch.patches, &[count, frames, mels])?,
        labels: tensor(&batch.labels, &[count, OPERATORS])?,
        parameters: tensor(&batch.parameters, &[count, OPERATORS])?,
        predicted: Some(Tensor::from_slice(&rows, rows.len(), &Device::Cpu)?),
        lessons,
    })
}

fn settings(shape: [usize; 3]) -> StepSettings {
    StepSettings {
        shape,
        least_snr: LEAST_SNR,
        norm_momentum: 0.1,
        weight_decay: DECAY,
        clip_norm: CLIP,
    }
}

fn length(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&v| f64::from(v) * f64::from(v));
    squares.sum::<f64>().sqrt()
}

/// How far apart two vectors are, over the length of the second.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    let difference: Vec<f32> = got.iter().zip(want).map(|(a, b)| a - b).collect();
    match got.len() == want.len() {
        true => length(&difference) / length(want).max(1e-6),
        false => f64::INFINITY,
    }
}

#[derive(Default)]
struct Checks(Vec<Value>);

impl Checks {
    fn add(&mut self, name: &str, error: f64, limit: f64) {
        // What is no number does not pass.
        let passed = error <= limit;
        eprintln!(
            "{} {name}: {error:.2e} (limit {limit:.0e})",
            if passed { "ok  " } else { "FAIL" }
        );
        let error = error.is_finite().then_some(error);
        self.0
            .push(json!({ "name": name, "error": error, "limit": limit, "passed": passed }));
    }

    /// A check that could not be made counts as failed.
    fn made(&mut self, name: &str, made: Result<()>) {
        if let Err(error) = made {
            eprintln!("FAIL {name}: {error:#}");
            self.0.push(json!({
                "name": name, "error": format!("{error:#}"), "limit": 0.0, "passed": false,
            }));
        }
    }
}

fn operators() -> Result<()> {
    let mut checks = Checks::default();
    let device = Cuda::open(Element::F32)?;
    let (name, driver) = (device.name(), device.driver()?);
    let made = products(&device, &mut checks);
    checks.made("matrix products", made);
    for (element, convolving) in [
        (Element::F32, Convolving::CuDnn),
        (Element::Bf16, Convolving::CuDnn),
        (Element::Bf16, Convolving::OwnKernels),
    ] {
        let made = Cuda::open(element).and_then(|mut device| {
            device.set_convolving(convolving);
            convolutions(&device, convolving, &mut checks)
        });
        checks.made(&format!("convolutions, {element:?}, {convolving:?}"), made);
    }
    for network in networks()? {
        for element in [Element::F32, Element::Bf16] {
            let made = steps(&network, element, &mut checks);
            checks.made(&format!("{}, {element:?}", network.name), made);
        }
    }
    let passed = checks.0.iter().all(|check| check["passed"] == true);
    println!(
        "{}",
        json!({ "device": name, "driver": driver, "checks": checks.0 })
    );
    if !passed {
        std::process::exit(1);
    }
    Ok(())
}

/// Makes the views of a batch by the GPU and by the processor, out of sounds of the synthesiser with everything
/// switched on; prints how far they are apart and how long both take.
fn views_apart(pairs: usize) -> Result<()> {
    let settings = [
        "data.synth_share=0",
        "environment.background.probability=0.7",
        "environment.tilt.probability=0.3",
        "environment.level.probability=0.5",
        "environment.shift.probability=0.3",
        "frontend.mean=-5",
        "frontend.scale=0.4",
    ];
    let mut config = RunConfig::preset("edge-s")?;
    config = RunConfig::from_toml(&config.to_toml()?, &settings.map(str::to_owned))?;
    let recordings: Vec<Vec<f32>> = (0..64u64)
        .map(|seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let length = [9_000, 40_000, 120_000][seed as usize % 3];
            let mut sound = Patch::random(&mut rng).render(length, 16_000, &mut rng);
            let mut noise = Noise::from_seed(seed);
            for sample in &mut sound {
                *sample = 0.9 * *sample + 0.01 * noise.normal();
            }
            sound
        })
        .collect();
    let source = PairSource::new(Arc::new(Recordings::from(recordings)), &config)?;
    let device = Cuda::open(Element::Bf16)?;
    let (got, [drawn_ms, made_ms]) = source.batch_on(&device, 1, pairs)?;
    let clock = Instant::now();
    let wanted = source.batch(1, pairs)?;
    let processor_ms = clock.elapsed().as_secs_f64() * 1e3;
    let count = 2 * pairs;
    let length = got.patches.len() / count;
    let mut errors: Vec<f64> = (0..count)
        .map(|view| {
            let here = view * length..(view + 1) * length;
            apart(&got.patches[here.clone()], &wanted.patches[here])
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    let labels = got.labels.iter().zip(&wanted.labels);
    let labels_apart = labels.filter(|(a, b)| a != b).count();
    println!(
        "{}",
        json!({
            "pairs": pairs,
            "median_apart": errors[count / 2],
            "most_apart": errors[count - 1],
            "views_apart": errors.iter().filter(|error| **error > 0.05).count(),
            "labels_apart": labels_apart,
            "labels": wanted.labels.len(),
            "draws_ms": drawn_ms,
            "gpu_ms": made_ms,
            "processor_ms": processor_ms,
        })
    );
    if errors[count / 2] < 1e-3 && labels_apart * 100 <= wanted.labels.len() {
        return Ok(());
    }
    std::process::exit(1);
}

fn upload(device: &Cuda, element: Element, values: &[f32]) -> Result<Address> {
    let bytes = element.encode(values);
    let at = device.allocate(bytes.len())?;
    device.upload(at, &bytes)?;
    Ok(at)
}

fn download(device: &Cuda, element: Element, at: Address, count: usize) -> Result<Vec<f32>> {
    let mut bytes = vec![0; count * element.bytes()];
    device.download(at, &mut bytes)?;
    Ok(element.decode(&bytes))
}

/// A matrix as it lies in memory, `[rows, columns]`, or turned.
fn lay(values: &[f32], [rows, columns]: [usize; 2], turned: bool) -> Vec<f32> {
    match turned {
        false => values.to_vec(),
        true => (0..rows * columns)
            .map(|at| values[at % rows * columns + at / rows])
            .collect(),
    }
}

fn products(device: &Cuda, checks: &mut Checks) -> Result<()> {
    let sizes @ [rows, columns, sums] = [70, 36, 50];
    let (left, right) = (normal(1, rows * sums), normal(2, sums * columns));
    for [turn_left, turn_right] in [[false, false], [false, true], [true, false], [true, true]] {
        let factor = |values: &[f32], shape, transposed| -> Result<Factor> {
            let at = upload(device, Element::F32, &lay(values, shape, transposed))?;
            Ok(Factor { at, transposed })
        };
        let before = normal(3, rows * columns);
        let result = upload(device, Element::F32, &before)?;
        device.multiply(&Product {
            sizes,
            a: factor(&left, [rows, sums], turn_left)?,
            b: factor(&right, [sums, columns], turn_right)?,
            c: result,
            add: true,
        })?;
        let got = download(device, Element::F32, result, rows * columns)?;
        let mut want = before;
        for (at, value) in want.iter_mut().enumerate() {
            let (row, column) = (at / columns, at % columns);
            let terms = (0..sums).map(|k| left[row * sums + k] * right[k * columns + column]);
            *value += terms.sum::<f32>();
        }
        let name = format!("product, transposed {turn_left} {turn_right}");
        checks.add(&name, apart(&got, &want), 1e-4);
    }
    Ok(())
}

fn convolutions(device: &Cuda, convolving: Convolving, checks: &mut Checks) -> Result<()> {
    let element = device.element();
    let limit = if element == Element::F32 { 1e-4 } else { 1e-2 };
    // (height, width, in, out, kernel, stride)
    for (case, (h, w, i, o, k, stride)) in [
        (31, 32, 16, 16, 3, 2),
        (16, 16, 16, 48, 1, 2),
        (8, 8, 24, 40, 3, 1),
        (7, 5, 64, 96, 3, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let op = Conv2d {
            stride,
            padding: k / 2,
        };
        let (x_shape, w_shape) = ([6, h, w, i], [o, k, k, i]);
        let g = Geometry::new(&op, &x_shape, &w_shape)?;
        let y_shape = [6, g.out_height, g.out_width, o];
        // Both sides begin with values that bf16 holds.
        let round = |seed: usize, shape: &[usize]| {
            let values = normal(seed as u64, shape.iter().product());
            element.decode(&element.encode(&values))
        };
        let [x, weights, dy] = [
            round(case, &x_shape),
            round(case + 10, &w_shape),
            round(case + 20, &y_shape),
        ];
        let variable = |values: &[f32], shape: &[usize]| {
            candle_core::Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu)?)
        };
        let (of_x, of_w) = (variable(&x, &x_shape)?, variable(&weights, &w_shape)?);
        let y = conv2d(&Activation::new(&of_x)?, &of_w, op)?.tensor()?;
        let gradients = (&y * Tensor::from_slice(&dy, &y_shape, &Device::Cpu)?)?
            .sum_all()?
            .backward()?;
        let flat = |tensor: &Tensor| -> Result<Vec<f32>> { Ok(tensor.flatten_all()?.to_vec1()?) };
        let gradient = |variable: &candle_core::Var| -> Result<Vec<f32>> {
            flat(gradients.get(variable).context("no gradient")?)
        };
        let wants = [flat(&y)?, gradient(&of_x)?, gradient(&of_w)?];
        let passes = [(Pass::Forward, 2), (Pass::Input, 0), (Pass::Kernels, 1)];
        for ((pass, result), want) in passes.into_iter().zip(&wants) {
            let mut operands = [
                upload(device, element, &x)?,
                upload(device, element, &weights)?,
                upload(device, element, &dy)?,
            ];
            operands[result] = upload(device, element, &vec![0.5; want.len()])?;
            device.convolve(pass, &g, operands, false)?;
            let got = download(device, element, operands[result], want.len())?;
            let name = format!(
                "{k}x{k} stride {stride} {i} to {o}, {pass:?}, {element:?}, {convolving:?}"
            );
            checks.add(&name, apart(&got, want), limit);
            // A second time, on top of the first.
            device.convolve(pass, &g, operands, true)?;
            let got = download(device, element, operands[result], want.len())?;
            let twice: Vec<f32> = want.iter().map(|v| 2.0 * v).collect();
            checks.add(&format!("{name}, added"), apart(&got, &twice), limit);
        }
    }
    Ok(())
}

struct Network {
    name: String,
    config: RunConfig,
    taught: Vec<Taught>,
    pairs: usize,
}

/// The presets, and what none of them has.
fn networks() -> Result<Vec<Network>> {
    let mut networks = Vec::new();
    for (preset, pairs) in [("edge-s", 16), ("edge-m", 16), ("resnet18", 8)] {
        networks.push(Network {
            name: preset.into(),
            config: RunConfig::preset(preset)?,
            taught: Vec::new(),
            pairs,
        });
    }
    for (kind, contrastive) in [("series", "sim-clr"), ("separate", "sim-siam")] {
        let settings = [
            format!("backbone.adapters={{kind=\"{kind}\",from_stage=0}}"),
            format!("objective.contrastive=\"{contrastive}\""),
            "objective.parameter_weight=0.5".into(),
            "backbone.parts=[{name=\"events\",dim=24}]".into(),
        ];
        let taught = |name: &str, subject| Taught {
            name: name.into(),
            weight: 1.5,
            subject,
        };
        networks.push(Network {
            name: format!("{kind}, {contrastive}, taught"),
            config: RunConfig::from_toml(&RunConfig::preset("edge-s")?.to_toml()?, &settings)?,
            taught: vec![
                taught("events", Subject::Part("events".into())),
                taught("elder", Subject::Paths(vec![10, 6])),
            ],
            pairs: 12,
        });
    }
    Ok(networks)
}

/// How far gradients found are from those wanted: together, and the parameter that is farthest off.
fn compare(
    parameters: &Parameters,
    wanted: &GradStore,
    found: &Weights,
) -> Result<[(f64, String); 2]> {
    let (mut got, mut want, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
    for (parameter, variable) in parameters.variables() {
        let gradient = wanted.get(variable.as_tensor()).context("no gradient")?;
        let start = want.len();
        want.extend(gradient.flatten_all()?.to_vec1::<f32>()?);
        got.extend_from_slice(&found[parameter].1);
        ranges.push((parameter, start..want.len()));
    }
    // A shift before a norm has no gradient but rounding: errors below a share of all are small.
    let least = 1e-3 * length(&want);
    let errors = ranges.into_iter().map(|(parameter, range)| {
        let (got, want) = (&got[range.clone()], &want[range]);
        let error = apart(got, want) * length(want) / length(want).max(least);
        (error, parameter.to_owned())
    });
    let worst = errors.max_by(|one, other| one.0.total_cmp(&other.0));
    let worst = worst.context("a network without parameters")?;
    Ok([(apart(&got, &want), "all".to_owned()), worst])
}

/// Three steps of a network against those that candle differentiates.
fn steps(network: &Network, element: Element, checks: &mut Checks) -> Result<()> {
    let config = &network.config;
    let frontend = config.frontend.to_config();
    let shape = [
        2 * network.pairs,
        frontend.frames.into(),
        frontend.mels.into(),
    ];
    let lessons: Vec<usize> = network
        .taught
        .iter()
        .flat_map(|taught| match &taught.subject {
            Subject::Paths(lengths) => lengths.clone(),
            Subject::Part(_) => vec![24],
        })
        .collect();
    let batch = batch(shape, &lessons);
    let make = || -> Result<(Parameters, Objective)> {
        let mut p = Parameters::new(7, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let objective = Objective::new(objective, backbone, OPERATORS, &network.taught, &mut p)?;
        for (index, (_, variable)) in p.variables().enumerate() {
            let nudge = normal(300 + index as u64, variable.elem_count());
            let nudge = (Tensor::from_vec(nudge, variable.shape(), &Device::Cpu)? * 0.02)?;
            variable.set(&(variable.as_tensor() + nudge)?)?;
        }
        Ok((p, objective))
    };
    let ((here, by_candle), (there, on_device)) = (make()?, make()?);
    let (mut optimiser, at_start) = (AdamW::default(), AdamW::default());
    let backend = Box::new(Cuda::open(element)?);
    let mut step = DeviceStep::new(backend, &on_device, &there, &at_start, settings(shape))?;
    let exact = element == Element::F32;
    let name = format!("{}, {element:?}", network.name);
    for round in 1..=3 {
        let loss = by_candle.loss(&views(&batch, shape)?, Mode::Train { momentum: 0.1 })?;
        let gradients = loss.total.backward()?;
        step.take(&batch, RATE)?;
        let [all, worst] = compare(&here, &gradients, &step.gradients()?)?;
        optimiser.update(&here, &gradients, RATE, DECAY, CLIP)?;
        let log = step.log()?;
        let total = f64::from(loss.total.to_scalar::<f32>()?);
        if round == 1 {
            let limit = if exact { 1e-2 } else { 0.5 };
            checks.add(&format!("{name}: all gradients"), all.0, limit);
            if exact {
                let what = format!("{name}: worst gradient, {}", worst.1);
                checks.add(&what, worst.0, 2e-2);
            }
        }
        let limit = if exact { 1e-2 } else { 0.1 };
        let error = (log.sums[0] - total).abs() / total.abs();
        checks.add(&format!("{name}: loss of step {round}"), error, limit);
    }
    step.store(&there)?;
    let (want, got) = (here.to_weights()?, there.to_weights()?);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (parameter, (_, values)) in &want {
        a.extend_from_slice(&got[parameter].1);
        b.extend_from_slice(values);
    }
    let limit = if exact { 1e-2 } else { 5e-2 };
    checks.add(
        &format!("{name}: weights after 3 steps"),
        apart(&a, &b),
        limit,
    );
    Ok(())
}

/// A step of a preset on a random batch, to be timed.
struct Timed {
    preset: String,
    config: RunConfig,
    parameters: usize,
    shape: [usize; 3],
    step: DeviceStep,
}

impl Timed {
    fn new(preset: &str, pairs: usize, element: Element) -> Result<Self> {
        let config = RunConfig::preset(preset)?;
        let frontend = config.frontend.to_config();
        let shape = [2 * pairs, frontend.frames.into(), frontend.mels.into()];
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let objective = Objective::new(objective, backbone, OPERATORS, &[], &mut p)?;
        let backend = Box::new(Cuda::open(element)?);
        let optimiser = AdamW::default();
        let mut step = DeviceStep::new(backend, &objective, &p, &optimiser, settings(shape))?;
        step.bring(&batch(shape, &[]))?;
        Ok(Self {
            preset: preset.into(),
            parameters: p.count(),
            config,
            shape,
            step,
        })
    }

    fn take(&mut self, steps: usize) -> Result<f64> {
        self.step.wait()?;
        let start = Instant::now();
        for _ in 0..steps {
            self.step.repeat(RATE)?;
        }
        self.step.wait()?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn serve(mut self) -> Result<()> {
        let network = json!({
            "backbone": self.config.backbone,
            "objective": self.config.objective,
            "operators": OPERATORS,
            "shape": self.shape,
            "parameters": self.parameters,
        });
        let mut out = std::io::stdout();
        writeln!(out, "{network}")?;
        out.flush()?;
        for line in std::io::stdin().lock().lines() {
            writeln!(out, "{}", self.take(line?.trim().parse()?)?)?;
            out.flush()?;
        }
        Ok(())
    }

    fn profile(mut self) -> Result<()> {
        self.take(20)?;
        let step_ms = self.take(200)? / 200.0 * 1e3;
        let parts = self.step.profile(20)?.into_iter();
        let parts: Vec<Value> = parts
            .map(|(name, ms)| json!({ "name": name, "ms": ms }))
            .collect();
        let convolutions = self.step.choices();
        println!(
            "{}",
            json!({ "preset": self.preset, "step_ms": step_ms, "parts": parts, "convolutions": convolutions })
        );
        Ok(())
    }
}
