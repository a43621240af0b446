//! Trains and evaluates the cells of an experiment one after the other, and picks up where it was
//! stopped: a finished cell is read, a begun one goes on from its checkpoint.

use super::cell::{CellResult, Training};
use super::invariance::operator_effects;
use super::measure::{Sets, Wanted, features, measure};
use super::plan::{Cell, Plan, forward_macs};
use super::summary::Summary;
use super::table;
use crate::export::{ExportRequest, Exported, calibration_audio, export_run};
use crate::net::{Parameters, Trunk};
use crate::train::{
    Observer, RunConfig, RunFolder, TrainConfig, TrainRequest, Trained, read_metrics, train,
};
use crate::trunk_backbone::TrunkBackbone;
use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use mtslvr_audio::{DecodeCache, LabelledSet, Recordings};
use mtslvr_evaluate::{MfccStandardiser, reference_audio};
use mtslvr_pack::{BackboneFile, DEFAULT_CENTRES};
use mtslvr_runtime::backbone::Backbone;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sounds of an experiment: unlabelled recordings to train on, labelled ones to evaluate on.
#[derive(Clone, Debug)]
pub struct Audio {
    /// Training recordings at the variants' sample rate; may be empty.
    pub training: Arc<Recordings>,
    /// The labelled sets.
    pub sets: Vec<LabelledSet>,
    /// Cache of the sets' decoded recordings.
    pub cache: DecodeCache,
}

/// An experiment to run, and the folder to write to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The experiment.
    pub plan: Plan,
    /// Sounds to train and to evaluate on.
    pub audio: Audio,
    /// Folder for what teachers say of the training recordings.
    pub heard: PathBuf,
    /// Folder for the cells and the tables.
    pub out: PathBuf,
    /// Whether cells are trained and none is measured.
    pub train_only: bool,
}

/// Receives what an experiment reports.
pub trait Progress: Observer {
    /// Cell `index` of `count` begins.
    fn cell(&mut self, index: usize, count: usize, label: &str, seed: u64);
    /// It is trained, and now measured on a set.
    fn measuring(&mut self, set: &str);
}

/// Runs every cell that is not finished yet; gives the summary of those that are, which is also
/// written into the folder after every cell. `stop` ends it early, with what is done kept.
///
/// # Errors
/// If a set cannot be loaded, a cell fails to train or to be measured, or a file cannot be written.
pub fn run(request: &Request, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Summary> {
    let cells = request.plan.cells(&request.out)?;
    ensure!(
        request.train_only || !request.audio.sets.is_empty(),
        "an experiment needs at least one labelled set to evaluate on"
    );
    std::fs::create_dir_all(&request.out)
        .with_context(|| format!("cannot make the folder {}", request.out.display()))?;
    let sets = Sets {
        sets: request.audio.sets.clone(),
        cache: request.audio.cache.clone(),
        sample_rate: cells[0].config.frontend.sample_rate,
    };
    let controls = match request.train_only {
        true => Vec::new(),
        false => controls(request, &cells[0], &sets, stop, progress)?,
    };
    let mut results = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let finished = finished(request, cell, &sets)?;
        let result = match finished {
            Some(result) => Some(result),
            None if stop.load(Ordering::Relaxed) => None,
            None => {
                let label = request.plan.variants[cell.variant].label();
                progress.cell(index + 1, cells.len(), &label, cell.seed);
                let result = run_cell(request, cell, &sets, stop, progress)?;
                if let Some(result) = &result {
                    result.write(&result_file(request, cell))?;
                }
                result
            }
        };
        if let Some(result) = result {
            results.push((cell.variant, result));
            let summary = Summary::new(&request.plan, cells.len(), &controls, &results);
            table::write(&summary, &request.out)?;
        }
    }
    let summary = Summary::new(&request.plan, cells.len(), &controls, &results);
    table::write(&summary, &request.out)?;
    Ok(summary)
}

fn result_file(request: &Request, cell: &Cell) -> PathBuf {
    request.out.join(&cell.folder).join("result.json")
}

fn set_names(sets: &Sets) -> Vec<String> {
    sets.sets.iter().map(|set| set.name.clone()).collect()
}

/// The result of a cell that was run before, if it was measured as the plan asks.
fn finished(request: &Request, cell: &Cell, sets: &Sets) -> Result<Option<CellResult>> {
    let folder = RunFolder::new(&request.out.join(&cell.folder));
    if folder.config().exists() {
        same_configuration(&folder, cell)?;
    }
    let result = CellResult::read(&result_file(request, cell))?;
    Ok(result.filter(|r| r.evaluation == request.plan.evaluate && r.sets == set_names(sets)))
}

/// Has a run compute where and how its cell says: it may go on elsewhere.
fn computes_like(config: &mut RunConfig, cell: &Cell) {
    let TrainConfig {
        device,
        precision,
        views,
        ..
    } = cell.config.train;
    config.train = TrainConfig {
        device,
        precision,
        views,
        ..config.train
    };
}

/// Refuses to go on with a run of another configuration.
fn same_configuration(folder: &RunFolder, cell: &Cell) -> Result<()> {
    let mut found = RunConfig::read(&folder.config(), &[])?;
    // Measured where the plan leaves it open.
    found.frontend.mean = cell.config.frontend.mean.and(found.frontend.mean);
    found.frontend.scale = cell.config.frontend.scale.and(found.frontend.scale);
    computes_like(&mut found, cell);
    if found == cell.config {
        return Ok(());
    }
    let (found, wanted) = (found.to_toml()?, cell.config.to_toml()?);
    let first = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    let difference = first.map_or(String::new(), |(a, b)| {
        format!(": it has `{a}` where the plan has `{b}`")
    });
    bail!(
        "{} was begun with another configuration{difference}; delete the folder, or name another --out",
        folder.root().display()
    )
}

/// Trains, exports and measures one cell; `None` where it was stopped, or nothing is to be measured.
fn run_cell(
    request: &Request,
    cell: &Cell,
    sets: &Sets,
    stop: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Option<CellResult>> {
    let out = request.out.join(&cell.folder);
    let folder = RunFolder::new(&out);
    let resume = folder.checkpoint().exists();
    let mut config = match resume {
        true => RunConfig::read(&folder.config(), &[])?,
        false => cell.config.clone(),
    };
    computes_like(&mut config, cell);
    let training = TrainRequest {
        config,
        recordings: request.audio.training.clone(),
        cache: request.audio.cache.clone(),
        heard: request.heard.clone(),
        out,
        resume,
        start: None,
    };
    // Weights without a checkpoint are those of a run that ended, maybe on another machine.
    let trained = match !resume && folder.weights().exists() {
        true => Trained::read(&folder)?,
        false => train(&training, stop, progress)?,
    };
    if trained.interrupted || request.train_only {
        return Ok(None);
    }
    let exported = export(request, cell, &training.out, &trained)?;
    let result = CellResult {
        variant: request.plan.variants[cell.variant].label(),
        seed: cell.seed,
        evaluation: request.plan.evaluate.clone(),
        sets: set_names(sets),
        training: Some(summarise(&trained, &folder)?),
        measurements: Vec::new(),
        operators: Vec::new(),
        notes: Vec::new(),
    };
    measure_cell(result, &trained, &exported, sets, stop, progress)
}

/// Writes the models of a cell into its folder.
fn export(request: &Request, cell: &Cell, out: &Path, trained: &Trained) -> Result<Exported> {
    let label = request.plan.variants[cell.variant].label();
    let audio = calibration_audio(&trained.frontend, &request.audio.training);
    export_run(&ExportRequest {
        spec: &trained.config.backbone,
        weights: &trained.weights,
        frontend: &trained.frontend,
        audio: &audio,
        cohort: DEFAULT_CENTRES,
        name: &cell.folder,
        provenance: &format!(
            "mtslvr {}, experiment {:?}, {label}, seed {}",
            env!("CARGO_PKG_VERSION"),
            request.plan.title,
            cell.seed
        ),
        out,
    })
}

/// Measures a cell's models on all sets; returns `result` with the figures, or `None` where it was
/// stopped.
fn measure_cell(
    mut result: CellResult,
    trained: &Trained,
    exported: &Exported,
    sets: &Sets,
    stop: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Option<CellResult>> {
    let plan = &result.evaluation;
    let mut float = BackboneFile::read(&exported.onnx, None)?.backbones()?;
    let mut packed = match plan.int8 {
        true => BackboneFile::read(&exported.slvr, None)?.backbones()?,
        false => Vec::new(),
    };
    let wanted = Wanted::all(plan, float[0].space().parts())?;
    let samples = trained.frontend.patch_samples();
    let mut probes: Vec<Vec<f32>> = Vec::new();
    for index in 0..sets.sets.len() {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let set = sets.load(index)?;
        progress.measuring(&set.name);
        let (measurements, notes) = (&mut result.measurements, &mut result.notes);
        let found = features(&mut float, &set)?;
        measure(plan, &set, &found, &wanted, measurements, notes)?;
        if plan.int8 {
            let found = features(&mut packed, &set)?;
            let wanted = Wanted::main(plan, "int8", false)?;
            measure(plan, &set, &found, &wanted, measurements, notes)?;
        }
        let share = plan.invariance_clips.div_ceil(sets.sets.len());
        let step = set.clips.len().div_ceil(share.max(1)).max(1);
        let spread = set.clips.iter().step_by(step).take(share);
        probes.extend(spread.map(|clip| one_patch(clip, samples)));
    }
    if plan.invariance_clips > 0 {
        progress.measuring("invariance");
        let augment = &trained.config.augment;
        result.operators = operator_effects(&mut float, &probes, augment, plan.seed)?;
    }
    Ok(Some(result))
}

/// The first `samples` samples of a clip, repeated where it has fewer.
fn one_patch(clip: &[f32], samples: usize) -> Vec<f32> {
    clip.iter().cycle().take(samples).copied().collect()
}

fn summarise(trained: &Trained, folder: &RunFolder) -> Result<Training> {
    // From the log, as the run may have been resumed.
    let rows = read_metrics(&folder.metrics())?;
    let last = rows.last().cloned().unwrap_or_default();
    let mut shape = Parameters::new(0, &Device::Cpu);
    Trunk::new(&trained.config.backbone, &mut shape)?;
    Ok(Training {
        steps: last.step,
        batch: trained.config.train.batch,
        seconds: last.seconds,
        waiting: rows.iter().map(|row| row.waiting).sum::<f64>() / rows.len().max(1) as f64,
        forward_macs: forward_macs(&trained.config),
        parameters: shape.count(),
        contrastive: last.contrastive,
        spread: last.spread,
        label_accuracy: last.label_accuracy,
    })
}

/// MFCC statistics, and the trunk of the first cell with random weights, on the same tasks.
fn controls(
    request: &Request,
    cell: &Cell,
    sets: &Sets,
    stop: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Vec<CellResult>> {
    let plan = &request.plan.evaluate;
    let names = ["MFCC statistics", "random weights"];
    let files =
        ["mfcc", "random-weights"].map(|name| request.out.join(format!("control-{name}.json")));
    let blank = |name: &str| CellResult {
        variant: name.to_owned(),
        seed: plan.seed,
        evaluation: plan.clone(),
        sets: set_names(sets),
        training: None,
        measurements: Vec::new(),
        operators: Vec::new(),
        notes: Vec::new(),
    };
    let mut results = Vec::new();
    for file in &files {
        results.extend(CellResult::read(file)?);
    }
    let wanted = Wanted::main(plan, "float", true)?;
    let current = |r: &CellResult| (&r.evaluation, &r.sets) == (plan, &set_names(sets));
    if results.len() == names.len() && results.iter().all(current) {
        return Ok(results);
    }
    let frontend = cell.config.frontend.to_config();
    let reference = reference_audio(frontend.sample_rate);
    let mfcc = MfccStandardiser::measure(&reference, &frontend)
        .context("the MFCC control cannot be made")?;
    let random = TrunkBackbone::random(&cell.config.backbone, frontend, &reference, plan.seed)?;
    let mut random = vec![random; rayon::current_num_threads()];
    let mut results = names.map(blank);
    for index in 0..sets.sets.len() {
        if stop.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let set = sets.load(index)?;
        progress.measuring(&format!("controls on {}", set.name));
        let found = [mfcc.features(&set.clips)?, features(&mut random, &set)?];
        for (result, found) in results.iter_mut().zip(&found) {
            let (measurements, notes) = (&mut result.measurements, &mut result.notes);
            measure(plan, &set, found, &wanted, measurements, notes)?;
        }
    }
    for (result, file) in results.iter().zip(&files) {
        result.write(file)?;
    }
    Ok(results.into())
}
