//! Patches per second of a full training step (all paths, all heads, backward, optimiser) on random
//! patches.
//!
//! ```sh
//! cargo bench --bench train_step -- [PRESET] [PAIRS] [STEPS] [--set TABLE.KEY=VALUE].. [--serve]
//! ```
//!
//! With `--serve` it prints the network as one line of JSON, then takes a step for each line that it
//! reads and prints its seconds: `against_pytorch.py` so lets both sides take steps in turn.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use mtslvr_train::augment::OPERATORS;
use mtslvr_train::net::{Mode, Parameters, keep_freed_memory};
use mtslvr_train::ssl::{Objective, Views};
use mtslvr_train::train::{AdamW, RunConfig, in_pool};
use std::io::{BufRead, Write};
use std::time::Instant;

/// Steps before any is counted.
const WARM_UP: usize = 2;

struct Bench {
    preset: String,
    config: RunConfig,
    parameters: Parameters,
    objective: Objective,
    optimiser: AdamW,
    views: Views,
}

impl Bench {
    fn new(preset: String, pairs: usize, settings: &[String]) -> Result<Self> {
        let config = RunConfig::from_toml(&RunConfig::preset(&preset)?.to_toml()?, settings)?;
        let frontend = config.frontend.to_config();
        keep_freed_memory();
        let device = Device::Cpu;
        let mut parameters = Parameters::new(1, &device);
        let objective = Objective::new(
            &config.objective,
            &config.backbone,
            OPERATORS,
            &[],
            &mut parameters,
        )?;
        let patch = (frontend.frames.into(), frontend.mels.into());
        let shape: (usize, usize, usize) = (2 * pairs, patch.0, patch.1);
        let by_operator = Tensor::rand(0f32, 1.0, (2 * pairs, OPERATORS), &device)?;
        let views = Views {
            patches: Tensor::randn(0f32, 1.0, shape, &device)?,
            labels: by_operator.round()?,
            parameters: by_operator,
            predicted: None,
            lessons: Vec::new(),
        };
        Ok(Self {
            preset,
            config,
            parameters,
            objective,
            optimiser: AdamW::default(),
            views,
        })
    }

    /// Seconds of a step, and of its forward and backward parts.
    fn step(&mut self) -> Result<[f64; 3]> {
        let start = Instant::now();
        let mode = Mode::Train { momentum: 0.1 };
        let loss = self.objective.loss(&self.views, mode)?;
        let forward = start.elapsed().as_secs_f64();
        let gradients = loss.total.backward()?;
        let backward = start.elapsed().as_secs_f64() - forward;
        let parameters = &self.parameters;
        self.optimiser
            .update(parameters, &gradients, 1e-3, 1e-4, 5.0)?;
        Ok([start.elapsed().as_secs_f64(), forward, backward])
    }

    fn serve(&mut self) -> Result<()> {
        let network = serde_json::json!({
            "backbone": self.config.backbone,
            "objective": self.config.objective,
            "operators": OPERATORS,
            "shape": self.views.patches.dims(),
            "parameters": self.parameters.count(),
        });
        let mut out = std::io::stdout();
        writeln!(out, "{network}")?;
        for line in std::io::stdin().lock().lines() {
            line?;
            writeln!(out, "{}", in_pool(|| self.step())?[0])?;
            out.flush()?;
        }
        Ok(())
    }

    fn report(&mut self, steps: usize) -> Result<()> {
        let mut seconds = Vec::new();
        for step in 0..steps + WARM_UP {
            let times = in_pool(|| self.step())?;
            if step >= WARM_UP {
                seconds.push(times);
            }
        }
        seconds.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let [whole, forward, backward] = seconds[seconds.len() / 2];
        let patches = self.views.patches.dims()[0];
        println!(
            "{}: {} parameters, {patches} patches a step: median {:.1} ms (forward {:.1}, backward {:.1}), {:.0} patches/s",
            self.preset,
            self.parameters.count(),
            whole * 1e3,
            forward * 1e3,
            backward * 1e3,
            patches as f64 / whole
        );
        Ok(())
    }
}

fn main() -> Result<()> {
    let (mut plain, mut settings, mut serve) = (Vec::new(), Vec::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--set" => settings.push(arguments.next().context("--set needs TABLE.KEY=VALUE")?),
            "--serve" => serve = true,
            // cargo's own.
            "--bench" => {}
            _ => plain.push(argument),
        }
    }
    let argument = |i: usize, default: &str| plain.get(i).cloned().unwrap_or(default.to_owned());
    let (pairs, steps) = (argument(1, "128").parse()?, argument(2, "20").parse()?);
    let mut bench = Bench::new(argument(0, "edge-s"), pairs, &settings)?;
    if serve {
        bench.serve()
    } else {
        bench.report(steps)
    }
}
