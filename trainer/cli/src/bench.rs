//! `mtslvr bench`: times the packed engine beside tract and ONNX Runtime.

mod all_cores;
#[cfg(feature = "train")]
mod quantised;
#[cfg(not(feature = "train"))]
#[path = "bench/no_quantised.rs"]
mod quantised;
mod report;

use super::backbone::{FrontendChoice, ModelChoice};
use super::examples::examples;
use super::lists::{COMMA, SEVERAL};
use super::{interrupt, progress};
use all_cores::AllCores;
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::calibration_clips;
use mtslvr_evaluate::timing::{Spread, interleaved};
use mtslvr_pack::engine::{EngineError, FrontendDescription};
use mtslvr_pack::{BackboneFile, Engine, OpenBackboneError, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Limits;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::nn::arch::InstructionSet;
use report::{Absent, Report, Timed};
use std::sync::atomic::AtomicBool;

/// Most turns of all cores: about two seconds.
const MOST_TURNS: usize = 25;
/// Name of ONNX Runtime in int8.
const QUANTISED: &str = "ort-int8";

/// Time a backbone in each engine on this machine
///
/// Each engine embeds the same synthetic patch, one at a time, on one thread. The engines take turns
/// within each round, so that their ratios hold on a busy machine, too. The packed engine computes in
/// int8, tract and ort in float. ort-int8 is ONNX Runtime on a quantised graph made from the packed
/// model.
///
/// After that, the packed engine embeds on all cores at once. How much they do is stated as a share of what the same
/// instructions reach on registers alone; both take turns, too.
///
/// A file is timed in the engines that run it; a run folder and a shipped backbone have a file for
/// each. tract is timed if the program was built with it, and ONNX Runtime if ORT_DYLIB_PATH names its
/// library. Ctrl-C ends early and prints the rounds done.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Time the shipped edge-s" => "mtslvr bench",
    "Time your model with two kinds of kernels" =>
        "mtslvr bench --model mtslvr-run/model.slvr --kernels portable,avx2",
))]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    frontend: FrontendChoice,
    /// Rounds to time; each round times every engine four times
    #[arg(long, value_name = "N", default_value_t = 250)]
    rounds: usize,
    #[arg(
        long,
        value_name = "NAME",
        num_args = SEVERAL,
        value_delimiter = COMMA,
        value_parser = instruction_set,
        help = format!(
            "Instruction sets to time the packed engine with: {} [default: the best of this machine]",
            names(InstructionSet::ALL)
        )
    )]
    kernels: Vec<InstructionSet>,
    #[arg(long, help = "Print JSON instead of a table", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of a table. Fields:
  model: the model's name or path
  patch: frames and mels of the patch
  threads, rounds: threads of each engine, and rounds that were timed
  engines: for each engine that ran
    name, arithmetic: its name, and int8 or float
    kernels: instruction set of the packed engine; not there for others
    median_ms, lower_quartile_ms, upper_quartile_ms: time for a patch
    times_packed: median over that of the first packed engine; null without one
  absent: for each engine that was not timed, its name and the reason
  all_cores: the packed engine on all cores at once, with the first kernels; null without one
    threads, rounds: threads, one for each core, and turns that were timed
    patches_per_second, macs_per_second: patches embedded in a second, and their multiply-accumulates
    peak_macs_per_second, share_of_peak: what these instructions reach on registers alone, and the
    share of it; null where that is not known";

/// An engine with the model in it.
#[derive(Debug)]
struct TimedEngine {
    label: Label,
    backbone: OpenedBackbone,
}

/// Names of an engine in the report.
#[derive(Clone, Copy, Debug)]
struct Label {
    name: &'static str,
    /// `int8` or `float`.
    arithmetic: &'static str,
    /// The instruction set of the packed engine's kernels.
    kernels: Option<&'static str>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        ensure!(self.rounds > 0, "--rounds must be at least 1, not 0");
        let stop = interrupt::on_ctrl_c();
        let (engines, absent) = self.open()?;
        let frontend = common_frontend(&engines)?;
        let patch = synthetic_patch(&frontend)?;
        let (labels, mut backbones): (Vec<_>, Vec<_>) = engines
            .into_iter()
            .map(|engine| (engine.label, engine.backbone))
            .unzip();
        let bar = progress::files(self.rounds as u64, "timing");
        let (spreads, rounds) = interleaved(&mut backbones, &patch, self.rounds, stop, |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if rounds < self.rounds {
            errln!("Stopped after {rounds} of {} rounds.", self.rounds);
        }
        drop(backbones);
        let all_cores = self.all_cores(&patch, stop)?;
        let report = Report {
            model: self.model.source().to_string(),
            patch: [frontend.frames, frontend.mels],
            threads: 1,
            rounds,
            engines: timed(&labels, &spreads),
            absent,
            all_cores,
        };
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            out!("{report}");
        }
        Ok(())
    }

    /// Times the packed engine on all cores, if there is a packed model.
    fn all_cores(&self, patch: &[f32], stop: &AtomicBool) -> Result<Option<AllCores>> {
        let file = match BackboneFile::open(&self.model.source(), Some(Engine::Packed)) {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let set = self.kernels.first().copied();
        let set = set.unwrap_or_else(InstructionSet::best);
        AllCores::measure(&file, set, patch, self.rounds.min(MOST_TURNS), stop)
    }

    /// Opens the model in every engine that runs the kind of file it is, the packed one first. An
    /// engine that this machine or this program lacks is left out, with the reason. A model that cannot
    /// be opened is an error.
    fn open(&self) -> Result<(Vec<TimedEngine>, Vec<Absent>)> {
        let (mut engines, mut absent) = (Vec::new(), Vec::new());
        let frontend = self.frontend.description()?;
        for engine in [Engine::Packed, Engine::Tract, Engine::Ort] {
            match self.open_in(engine, frontend.as_ref()) {
                Ok(opened) => engines.extend(opened),
                Err(error) if is_absence(&error) => absent.push(Absent {
                    name: engine.name(),
                    reason: error.to_string(),
                }),
                Err(error) => return Err(error.into()),
            }
        }
        match quantised::open(&self.model.source()) {
            Ok(backbone) => engines.extend(backbone.map(|backbone| TimedEngine {
                label: Label {
                    name: QUANTISED,
                    arithmetic: "int8",
                    kernels: None,
                },
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
    fn open_in(
        &self,
        engine: Engine,
        frontend: Option<&FrontendDescription>,
    ) -> Result<Vec<TimedEngine>, OpenBackboneError> {
        let mut file = BackboneFile::open(&self.model.source(), Some(engine))?;
        if let (Some(frontend), true) = (frontend, engine != Engine::Packed) {
            file = file.described(frontend)?;
        }
        if engine != Engine::Packed {
            return Ok(vec![TimedEngine {
                label: Label {
                    name: engine.name(),
                    arithmetic: "float",
                    kernels: None,
                },
                backbone: file.backbone()?,
            }]);
        }
        let sets = match &self.kernels[..] {
            [] => &[InstructionSet::best()],
            asked => asked,
        };
        let mut opened = Vec::new();
        for &set in sets {
            let backbone = file.backbone_on(set)?;
            opened.extend(backbone.map(|backbone| TimedEngine {
                label: Label {
                    name: engine.name(),
                    arithmetic: "int8",
                    kernels: Some(set.name()),
                },
                backbone,
            }));
        }
        Ok(opened)
    }
}

/// Returns whether an engine is merely not there, or not for this kind of file.
fn is_absence(error: &OpenBackboneError) -> bool {
    matches!(
        error,
        OpenBackboneError::Engine(EngineError::Library { .. } | EngineError::NotBuilt { .. })
            | OpenBackboneError::OtherEngine { .. }
            | OpenBackboneError::NotExported { .. }
    )
}

/// Returns the instruction set of a name, if this machine has it.
fn instruction_set(name: &str) -> Result<InstructionSet, String> {
    match InstructionSet::ALL
        .into_iter()
        .find(|set| set.name() == name)
    {
        None => Err(format!("expected one of {}", names(InstructionSet::ALL))),
        Some(set) if set.is_available() => Ok(set),
        Some(_) => {
            let available = InstructionSet::ALL.into_iter().filter(|s| s.is_available());
            Err(format!(
                "this machine lacks it; it has {}",
                names(available)
            ))
        }
    }
}

fn names(sets: impl IntoIterator<Item = InstructionSet>) -> String {
    let names: Vec<&str> = sets.into_iter().map(InstructionSet::name).collect();
    names.join(", ")
}

/// Returns the frontend that all engines were opened with.
fn common_frontend(engines: &[TimedEngine]) -> Result<FrontendConfig> {
    let first = &engines[0];
    let frontend = *first.backbone.space().frontend();
    for other in engines {
        ensure!(
            *other.backbone.space().frontend() == frontend,
            "the models of {} and {} take different frontends, expected one backbone in both forms; \
             pack the float model again with `mtslvr pack`",
            first.label.name,
            other.label.name
        );
    }
    Ok(frontend)
}

/// Returns a patch of a synthetic sound that is loud enough to be enrolled.
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

/// Joins what each engine is with how long it took. Ratios are to the packed engine, which comes first
/// if it is there.
fn timed(labels: &[Label], spreads: &[Spread]) -> Vec<Timed> {
    let packed = (labels[0].name == Engine::Packed.name()).then(|| spreads[0].median_ms);
    let engines = labels.iter().zip(spreads);
    let timed = engines.map(|(label, &spread)| Timed {
        name: label.name,
        arithmetic: label.arithmetic,
        kernels: label.kernels,
        spread,
        times_packed: packed.map(|packed| spread.median_ms / packed),
    });
    timed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_pack::engine::FloatEngine;

    #[test]
    fn the_shipped_model_is_timed_in_every_engine_that_is_there() {
        let args = Args {
            model: ModelChoice::default(),
            frontend: FrontendChoice::default(),
            rounds: 1,
            kernels: vec![InstructionSet::Portable, InstructionSet::best()],
            json: true,
        };
        let (engines, absent) = args.open().unwrap();
        assert_eq!(engines.len() + absent.len(), 5);
        let labels = engines.iter().map(|engine| engine.label);
        let names: Vec<_> = labels.map(|label| (label.name, label.kernels)).collect();
        let best = InstructionSet::best().name();
        let expected = [
            ("packed", Some("portable")),
            ("packed", Some(best)),
            ("tract", None),
        ];
        let built = match FloatEngine::BUILT_IN {
            FloatEngine::Tract => 3,
            _ => 2,
        };
        assert_eq!(names[..built], expected[..built]);
        let frontend = common_frontend(&engines).unwrap();
        assert_eq!(
            synthetic_patch(&frontend).unwrap().len(),
            frontend.patch_len()
        );
    }
}
