//! `mtslvr bench`: how fast the packed engine is beside tract and ONNX Runtime.

#[cfg(feature = "train")]
mod quantised;
#[cfg(not(feature = "train"))]
#[path = "bench/no_quantised.rs"]
mod quantised;

use super::backbone::ModelChoice;
use super::{interrupt, progress};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::calibration_clips;
use mtslvr_evaluate::timing::{Spread, interleaved};
use mtslvr_pack::engine::EngineError;
use mtslvr_pack::{BackboneFile, Engine, OpenBackboneError, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Limits;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::nn::arch::InstructionSet;
use serde::Serialize;
use std::fmt;

/// Time a backbone in every engine: the packed one, tract and ONNX Runtime
///
/// Each engine embeds the same synthetic patch through both paths, one patch at a time, on one
/// thread. The engines take turns within each round, so that ratios of one run can be trusted where
/// the machine is busy with other things too. The packed engine computes in int8, the others in
/// float; `ort-int8` is ONNX Runtime on a quantised graph (QDQ) made from the packed model, with
/// adapters folded into each path's kernels.
///
/// Of a single file only the engines that run it are timed; a run folder and a shipped backbone have
/// a file for each. ONNX Runtime is timed if ORT_DYLIB_PATH names its library. Ctrl-C ends the run early and shows
/// what was measured until then.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelChoice,
    /// Rounds; in each, every engine's time is taken four times
    #[arg(long, default_value_t = 250)]
    rounds: usize,
    /// Instruction sets whose kernels the packed engine is timed with: portable, avx2, avx512-vnni,
    /// neon, neon-dotprod [default: the best that this machine has]
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = instruction_set)]
    kernels: Vec<InstructionSet>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An engine with the model in it, and the kernels that the packed one uses.
#[derive(Debug)]
struct Opened {
    name: &'static str,
    /// What it computes in.
    arithmetic: &'static str,
    kernels: Option<&'static str>,
    backbone: OpenedBackbone,
}

/// What was measured; its JSON form is what `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// The model's name, or its path.
    model: String,
    /// Frames and mels of the patch.
    patch: [u16; 2],
    /// Threads of each engine.
    threads: usize,
    /// Rounds done.
    rounds: usize,
    /// The engines that ran.
    engines: Vec<Timed>,
    /// The engines that did not.
    absent: Vec<Absent>,
}

#[derive(Debug, Serialize)]
struct Timed {
    name: &'static str,
    /// What it computes in.
    arithmetic: &'static str,
    /// The instruction set of the packed engine's kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<&'static str>,
    #[serde(flatten)]
    spread: Spread,
    /// Its median over that of the first packed engine.
    times_packed: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Absent {
    name: &'static str,
    reason: String,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        ensure!(self.rounds > 0, "--rounds must be at least 1, not 0");
        let stop = interrupt::on_ctrl_c()?;
        let (opened, absent) = self.open()?;
        let frontend = common_frontend(&opened)?;
        let patch = synthetic_patch(&frontend)?;
        let bar = progress::files(self.rounds as u64, "timing");
        let (labels, mut backbones): (Vec<_>, Vec<_>) = opened
            .into_iter()
            .map(|opened| {
                (
                    (opened.name, opened.arithmetic, opened.kernels),
                    opened.backbone,
                )
            })
            .unzip();
        let (spreads, rounds) = interleaved(&mut backbones, &patch, self.rounds, stop, |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if rounds < self.rounds {
            eprintln!("Stopped after {rounds} of {} rounds.", self.rounds);
        }
        // The packed engine comes first, if it is there.
        let packed = (labels[0].0 == Engine::Packed.name()).then(|| spreads[0].median_ms);
        let timed = labels.iter().zip(&spreads);
        let timed = timed.map(|(&(name, arithmetic, kernels), &spread)| Timed {
            name,
            arithmetic,
            kernels,
            spread,
            times_packed: packed.map(|packed| spread.median_ms / packed),
        });
        let report = Report {
            model: self.model.source().to_string(),
            patch: [frontend.frames, frontend.mels],
            threads: 1,
            rounds,
            engines: timed.collect(),
            absent,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }

    /// Opens the model in every engine that runs the kind of file it is, the packed one first. An
    /// engine that this machine lacks is left out, with the reason; a model that cannot be opened is
    /// an error.
    fn open(&self) -> Result<(Vec<Opened>, Vec<Absent>)> {
        let (mut engines, mut absent) = (Vec::new(), Vec::new());
        for engine in [Engine::Packed, Engine::Tract, Engine::Ort] {
            match self.open_in(engine) {
                Ok(opened) => engines.extend(opened),
                Err(
                    error @ (OpenBackboneError::Engine(
                        EngineError::Library { .. } | EngineError::NotBuilt { .. },
                    )
                    | OpenBackboneError::OtherEngine { .. }
                    | OpenBackboneError::NotExported { .. }),
                ) => absent.push(Absent {
                    name: engine.name(),
                    reason: error.to_string(),
                }),
                Err(error) => return Err(error.into()),
            }
        }
        match quantised::open(&self.model.source()) {
            Ok(backbone) => engines.extend(backbone.map(|backbone| Opened {
                name: QUANTISED,
                arithmetic: "int8",
                kernels: None,
                backbone,
            })),
            Err(reason) => absent.push(Absent {
                name: QUANTISED,
                reason,
            }),
        }
        if engines.is_empty() {
            let reasons: Vec<&str> = absent.iter().map(|a| a.reason.as_str()).collect();
            bail!(
                "no engine can run {}: {}",
                self.model.source(),
                reasons.join("; ")
            );
        }
        Ok((engines, absent))
    }

    /// Opens the model in `engine`, in the packed one once for each instruction set asked for.
    fn open_in(&self, engine: Engine) -> Result<Vec<Opened>, OpenBackboneError> {
        let file = BackboneFile::open(&self.model.source(), Some(engine))?;
        if engine != Engine::Packed {
            let backbone = file.backbone()?;
            return Ok(vec![Opened {
                name: engine.name(),
                arithmetic: "float",
                kernels: None,
                backbone,
            }]);
        }
        let sets = match &self.kernels[..] {
            [] => &[InstructionSet::best()],
            asked => asked,
        };
        let opened = sets.iter().filter_map(|&set| {
            Some(Opened {
                name: engine.name(),
                arithmetic: "int8",
                kernels: Some(set.name()),
                backbone: file.backbone_on(set)?,
            })
        });
        Ok(opened.collect())
    }
}

/// What ONNX Runtime in int8 is called.
const QUANTISED: &str = "ort-int8";

/// An instruction set by its name, if this machine has it.
fn instruction_set(name: &str) -> Result<InstructionSet, String> {
    let sets = || InstructionSet::ALL.into_iter();
    let list = |sets: &mut dyn Iterator<Item = InstructionSet>| {
        let names: Vec<&str> = sets.map(InstructionSet::name).collect();
        names.join(", ")
    };
    match sets().find(|set| set.name() == name) {
        None => Err(format!("expected one of {}", list(&mut sets()))),
        Some(set) if set.is_available() => Ok(set),
        Some(_) => Err(format!(
            "this machine lacks it; it has {}",
            list(&mut sets().filter(|set| set.is_available()))
        )),
    }
}

/// The features that all engines were opened for.
fn common_frontend(engines: &[Opened]) -> Result<FrontendConfig> {
    let first = &engines[0];
    let frontend = *first.backbone.space().frontend();
    for other in engines {
        ensure!(
            *other.backbone.space().frontend() == frontend,
            "the models of {} and {} take other features: they are not one backbone; pack the \
             float model again with `mtslvr pack`",
            first.name,
            other.name
        );
    }
    Ok(frontend)
}

/// A patch of a sound with something in it.
fn synthetic_patch(frontend: &FrontendConfig) -> Result<Vec<f32>> {
    let sounds = calibration_clips(frontend);
    let least = Limits::default().least_peak;
    let loud = |sound: &&Vec<f32>| clip::levels(sound).peak() >= least;
    let sound = sounds
        .iter()
        .find(loud)
        .context("every synthetic sound is silent")?;
    let mut patch = Vec::new();
    clip::patches(*frontend, sound, |p| patch = p.to_vec())?;
    Ok(patch)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: one patch of {} frames x {} mels, both paths, {} thread, {} rounds",
            self.model, self.patch[0], self.patch[1], self.threads, self.rounds
        )?;
        writeln!(
            f,
            "  {:<8} {:<11} {:<12} {:>10} {:>20} {:>13}",
            "engine", "arithmetic", "kernels", "median ms", "quartiles ms", "times packed"
        )?;
        for engine in &self.engines {
            let s = &engine.spread;
            let quartiles = format!("{:.4} to {:.4}", s.lower_quartile_ms, s.upper_quartile_ms);
            let ratio = engine.times_packed.map(|ratio| format!("{ratio:.2}"));
            writeln!(
                f,
                "  {:<8} {:<11} {:<12} {:>10.4} {quartiles:>20} {:>13}",
                engine.name,
                engine.arithmetic,
                engine.kernels.unwrap_or(""),
                s.median_ms,
                ratio.as_deref().unwrap_or("-")
            )?;
        }
        for Absent { name, reason } in &self.absent {
            writeln!(f, "  {name:<8} not timed: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_model_is_timed_in_every_engine_that_is_there() {
        let args = Args {
            model: ModelChoice::default(),
            rounds: 1,
            kernels: vec![InstructionSet::Portable, InstructionSet::best()],
            json: true,
        };
        let (engines, absent) = args.open().unwrap();
        assert_eq!(engines.len() + absent.len(), 5);
        let names: Vec<_> = engines.iter().map(|o| (o.name, o.kernels)).collect();
        let best = InstructionSet::best().name();
        let expected = [
            ("packed", Some("portable")),
            ("packed", Some(best)),
            ("tract", None),
        ];
        assert_eq!(names[..3], expected);
        let frontend = common_frontend(&engines).unwrap();
        assert_eq!(
            synthetic_patch(&frontend).unwrap().len(),
            frontend.patch_len()
        );
    }
}
