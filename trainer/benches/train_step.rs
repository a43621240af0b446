//! Images per second of a full training step (both paths, both heads, backward, optimiser) on
//! random patches: `cargo bench --bench train_step [-- PRESET BATCH STEPS]`.

use candle_core::{Device, Tensor};
use mtslvr_trainer::augment::OPERATORS;
use mtslvr_trainer::net::{Mode, Parameters};
use mtslvr_trainer::ssl::Objective;
use mtslvr_trainer::train::{AdamW, RunConfig};
use std::time::Instant;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let argument = |i: usize, default: &str| args.get(i).cloned().unwrap_or(default.to_owned());
    let (preset, batch, steps): (_, usize, usize) = (
        argument(0, "edge-s"),
        argument(1, "128").parse()?,
        argument(2, "20").parse()?,
    );
    let config = RunConfig::preset(&preset)?;
    let frontend = config.frontend.to_config();
    let mut parameters = Parameters::new(1, &Device::Cpu);
    let objective = Objective::new(
        &config.objective,
        &config.backbone,
        OPERATORS,
        &mut parameters,
    )?;
    let mut optimiser = AdamW::default();
    let shape = (
        2 * batch,
        usize::from(frontend.frames),
        usize::from(frontend.mels),
    );
    let patches = Tensor::randn(0f32, 1.0, shape, &Device::Cpu)?;
    let labels = Tensor::rand(0f32, 1.0, (2 * batch, OPERATORS), &Device::Cpu)?.round()?;
    let mut seconds = Vec::new();
    for _ in 0..steps + 2 {
        let start = Instant::now();
        let loss = objective.loss(&patches, &labels, Mode::Train { momentum: 0.1 })?;
        let forward = start.elapsed().as_secs_f64();
        let gradients = loss.total.backward()?;
        let backward = start.elapsed().as_secs_f64() - forward;
        optimiser.update(&parameters, &gradients, 1e-3, 1e-4, 5.0)?;
        seconds.push((start.elapsed().as_secs_f64(), forward, backward));
    }
    let mut seconds = seconds.split_off(2);
    seconds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (whole, forward, backward) = seconds[seconds.len() / 2];
    println!(
        "{preset}: {} parameters, {} patches a step: median {:.1} ms (forward {:.1}, backward {:.1}), {:.0} images/s",
        parameters.count(),
        2 * batch,
        whole * 1e3,
        forward * 1e3,
        backward * 1e3,
        2.0 * batch as f64 / whole
    );
    Ok(())
}
