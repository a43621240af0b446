//! The training loop: a run folder in, trained weights out.

mod first_state;
mod step;
mod stepper;
mod training_audio;

pub use step::in_pool;

use super::averages::Averages;
use super::checkpoint::{self, Progress};
use super::config::{DeviceKind, RunConfig};
use super::folder::RunFolder;
use super::metrics::{MetricsLog, MetricsRow};
use super::monitor::Monitor;
use super::observer::Observer;
use super::pairs::{Feed, PairSource};
use super::request::TrainRequest;
use super::schedule::warmup_cosine;
use super::tensorboard::EventLog;
use crate::augment::OPERATORS;
use crate::net::{Device, Parameters, Trunk, Weights, keep_freed_memory};
use crate::ssl::Objective;
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_runtime::frontend::FrontendConfig;
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;
use stepper::{Prepared, Stepper};
use training_audio::TrainingAudio;

/// Most clean patches, and most pairs, that statistics are taken from after training.
const STATISTICS_PATCHES: usize = 8192;
/// Fewest of them: a short run takes as many as it has seen pairs.
const FEWEST_STATISTICS: usize = 2048;
/// Batches made ahead of the step that needs them.
const PREFETCH: usize = 3;
/// Batches that are drawn together for a device.
const FEEDS: usize = 8;
/// Losses in a row that are not finite before a run gives up.
const PATIENCE: u64 = 10;
/// Clean patches whose mean embedding the checks on held-out sets centre by.
const REFERENCE_PATCHES: usize = 256;

/// Outcome of a run.
#[derive(Debug)]
pub struct Trained {
    /// The configuration with measured normalisation.
    pub config: RunConfig,
    /// The same as the runtime takes it.
    pub frontend: FrontendConfig,
    /// The trunk, for embedding with candle.
    pub trunk: Arc<Trunk>,
    /// All weights by name.
    pub weights: Weights,
    /// Every row of `metrics.csv`.
    pub metrics: Vec<MetricsRow>,
    /// Whether `stop` ended the run before its time.
    pub interrupted: bool,
    /// Whether the checks on held-out sets did, and the weights are those of the best one.
    pub stopped_early: bool,
}

impl Trained {
    /// Reads the outcome of a run that ended: its configuration, weights and log.
    ///
    /// # Errors
    /// If one of the three cannot be read, or the weights are those of another network.
    pub fn read(folder: &RunFolder) -> Result<Self> {
        let config = RunConfig::read(&folder.config(), &[])?;
        let weights = checkpoint::load_weights(&folder.weights())?;
        let mut parameters = Parameters::new(config.train.seed, &Device::Cpu);
        let trunk = Trunk::new(&config.backbone, &mut parameters)?;
        let named = || {
            format!(
                "{} does not fit its configuration",
                folder.weights().display()
            )
        };
        parameters.load(&weights).with_context(named)?;
        Ok(Self {
            frontend: config.frontend.to_config(),
            trunk: Arc::new(trunk),
            metrics: super::metrics::read(&folder.metrics())?,
            weights,
            config,
            interrupted: false,
            stopped_early: false,
        })
    }
}

/// Trains until the configured length is reached or `stop` is set. Either way a checkpoint and the
/// weights so far are in the run folder afterwards.
///
/// # Errors
/// If the configuration cannot be used, a teacher or a held-out set cannot be opened, the checkpoint or
/// the weights to start from do not fit, a file cannot be written, or ten steps in a row fail.
pub fn train(
    request: &TrainRequest,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    let mut run = Run::open(request, stop, observer)?;
    run.take_steps(stop, observer)?;
    observer.phase("setting the statistics of the norms from clean sounds");
    run.finish()
}

/// A run while it trains.
struct Run {
    folder: RunFolder,
    config: RunConfig,
    frontend: FrontendConfig,
    source: Arc<PairSource>,
    parameters: Parameters,
    objective: Objective,
    stepper: Stepper,
    progress: Progress,
    monitor: Option<Monitor>,
    log: MetricsLog,
    events: EventLog,
    /// Sums over the newest steps.
    averages: Averages,
    /// Steps in a row that were left out.
    failures: u64,
}

impl Run {
    /// Prepares the run folder, the sounds, the network and the logs.
    fn open(
        request: &TrainRequest,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let folder = RunFolder::new(&request.out);
        std::fs::create_dir_all(&request.out)
            .with_context(|| format!("cannot make the folder {}", request.out.display()))?;
        let mut config = request.config.clone();
        config.check()?;
        let TrainingAudio { source, taught } =
            TrainingAudio::open(request, &mut config, stop, observer)?;
        let frontend = config.frontend.to_config();
        observer.phase("making the network");
        keep_freed_memory();
        let mut parameters = Parameters::new(config.train.seed, &Device::Cpu);
        let mut objective = Objective::new(
            &config.objective,
            &config.backbone,
            OPERATORS,
            &taught,
            &mut parameters,
        )?;
        let (optimiser, progress) = first_state::load(
            request,
            &folder,
            &config,
            &parameters,
            &mut objective,
            observer,
        )?;
        if config.train.device != DeviceKind::Cpu {
            observer.phase("preparing the device");
        }
        let stepper = Stepper::new(
            &config,
            &objective,
            &parameters,
            optimiser,
            &source,
            observer,
        )?;
        write_bytes(&folder.config(), config.to_toml()?.as_bytes())
            .with_context(|| format!("cannot write {}", folder.config().display()))?;
        let log = MetricsLog::open(
            &folder.metrics(),
            config.objective.teachers.keys().map(String::as_str),
            request.resume.then_some(progress.step),
        )?;
        let events = EventLog::open(&folder.events(), log.rows())?;
        if !config.monitor.sets.is_empty() {
            observer.phase("reading the held-out sets");
        }
        let monitor = Monitor::open(
            &config.monitor,
            frontend,
            &request.cache,
            source.clean_patches(REFERENCE_PATCHES),
            config.train.seed,
        )?;
        Ok(Self {
            folder,
            config,
            frontend,
            source: Arc::new(source),
            parameters,
            objective,
            stepper,
            progress,
            monitor,
            log,
            events,
            averages: Averages::default(),
            failures: 0,
        })
    }

    /// Trains until the run is done, exhausted or stopped, then writes the last row and the checkpoint.
    fn take_steps(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<()> {
        let batches = prefetch(
            self.source.clone(),
            self.progress.step,
            self.config.train.batch,
            self.stepper.is_fed(),
        );
        observer.phase("making the first batch and taking the first step");
        let mut last_checkpoint = self.progress.seconds;
        let (mut clock, mut rate) = (Instant::now(), 0.0);
        while self.done() < 1.0 && !self.exhausted() && !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let batch = batches
                .recv()
                .context("the thread that makes batches has ended")??;
            let waited = asked.elapsed().as_secs_f64();
            let train = self.config.train;
            rate = train.learning_rate * warmup_cosine(self.done(), train.warmup);
            self.step(&batch, rate, observer)?;
            self.progress.step += 1;
            let seconds = clock.elapsed().as_secs_f64();
            clock = Instant::now();
            self.progress.seconds += seconds;
            self.averages.time(seconds, waited);
            if self.check_held_out(observer)? {
                // Checks are no training: they do not count where its length is given in minutes.
                clock = Instant::now();
            }
            let full = self.averages.is_full();
            if full {
                self.report(observer)?;
            }
            // A device's losses are known when it reports.
            if full || !self.stepper.is_device() {
                let row = self.averages.row(self.progress, rate);
                observer.step(self.done(), &row);
                if full {
                    self.log_row(row)?;
                    self.averages.logged();
                }
            }
            if self.progress.seconds - last_checkpoint >= train.checkpoint_seconds {
                last_checkpoint = self.progress.seconds;
                // A full disk may have room again before the run ends: the checkpoint before is whole.
                if let Err(error) = self.save() {
                    observer.note(&format!("{error:#}"));
                }
            }
        }
        if !self.averages.is_empty() {
            self.report(observer)?;
            let row = self.averages.row(self.progress, rate);
            if self.stepper.is_device() {
                observer.step(self.done(), &row);
            }
            self.log_row(row)?;
        }
        self.save()
    }

    /// Takes one optimiser step. A step that fails is left out, with a remark; ten in a row end the run.
    fn step(&mut self, batch: &Prepared, rate: f64, observer: &mut dyn Observer) -> Result<()> {
        let left_out = self.stepper.take(
            &self.config,
            &self.objective,
            &self.parameters,
            (batch, rate),
            &mut self.averages,
        )?;
        if self.stepper.is_device() {
            return Ok(());
        }
        match left_out {
            None => self.failures = 0,
            Some(reason) => {
                self.failures += 1;
                let step = self.progress.step + 1;
                observer.note(&format!("step {step} is left out: {reason}"));
                self.check_patience(&reason)?;
            }
        }
        Ok(())
    }

    /// Takes a device's report on the steps since the last one.
    fn report(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let pairs = self.config.train.batch;
        if let Some(left_out) = self.stepper.report(&mut self.averages, pairs)? {
            observer.note(&format!(
                "{} of the steps up to {} are left out: {}",
                left_out.steps, self.progress.step, left_out.reason
            ));
            self.failures = left_out.in_a_row;
            self.check_patience(&left_out.reason)?;
        }
        Ok(())
    }

    /// Ends the run where too many steps in a row failed.
    fn check_patience(&self, reason: &str) -> Result<()> {
        if self.failures >= PATIENCE {
            bail!(
                "{} steps in a row failed, the last one because {reason}; try a lower train.learning_rate (now {})",
                self.failures,
                self.config.train.learning_rate
            );
        }
        Ok(())
    }

    /// Measures the accuracy on the held-out sets if that is due, and keeps the weights of the best
    /// check; returns whether it was due.
    fn check_held_out(&mut self, observer: &mut dyn Observer) -> Result<bool> {
        let due =
            self.progress.step.is_multiple_of(self.config.monitor.every) || self.done() >= 1.0;
        let Some(monitor) = self.monitor.as_ref().filter(|_| due) else {
            return Ok(false);
        };
        self.stepper.store(&self.parameters)?;
        let accuracy = monitor.accuracy(&self.objective.trunk)?;
        self.averages.measured(accuracy);
        observer.note(&format!(
            "step {}: {accuracy:.1} % on the held-out sets",
            self.progress.step
        ));
        self.progress.stale += 1;
        if accuracy > self.progress.best {
            (self.progress.best, self.progress.stale) = (accuracy, 0);
            if self.config.monitor.patience > 0 {
                checkpoint::save_weights(&self.folder.best(), self.parameters.to_weights()?)?;
            }
        }
        Ok(true)
    }

    /// Writes a row into `metrics.csv` and the file for TensorBoard.
    fn log_row(&mut self, row: MetricsRow) -> Result<()> {
        self.events.add(&row)?;
        self.log.add(row)
    }

    /// Writes the checkpoint.
    fn save(&self) -> Result<()> {
        let path = self.folder.checkpoint();
        self.stepper.with_optimiser(&self.parameters, |optimiser| {
            checkpoint::save(&path, &self.parameters, optimiser, self.progress)
        })
    }

    /// Share of the run that is done, by steps or by minutes.
    fn done(&self) -> f64 {
        let (train, progress) = (&self.config.train, self.progress);
        let done = match train.steps {
            _ if train.takes_no_step() => 1.0,
            0 => progress.seconds / (train.minutes * 60.0),
            steps => progress.step as f64 / steps as f64,
        };
        done.min(1.0)
    }

    /// Whether too many checks on the held-out sets in a row were no better than the best one.
    fn exhausted(&self) -> bool {
        let patience = self.config.monitor.patience;
        patience > 0 && self.progress.stale >= patience
    }

    /// Chooses the weights, sets the statistics from clean sounds and writes the weights.
    fn finish(self) -> Result<Trained> {
        let done = self.done() >= 1.0;
        let stopped_early = self.exhausted() && !done;
        let interrupted = !done && !stopped_early;
        if self.config.monitor.patience > 0 && self.progress.best > 0.0 && !interrupted {
            self.parameters
                .load(&checkpoint::load_weights(&self.folder.best())?)?;
        }
        self.settle()?;
        let weights = self.parameters.to_weights()?;
        checkpoint::save_weights(&self.folder.weights(), weights.clone())?;
        Ok(Trained {
            frontend: self.frontend,
            trunk: self.objective.trunk,
            weights,
            metrics: self.log.rows().to_vec(),
            interrupted,
            stopped_early,
            config: self.config,
        })
    }

    /// Sets the norms' running statistics and the layers behind the features: the running statistics of
    /// training are those of augmented views, and in use the network meets sounds that are not.
    fn settle(&self) -> Result<()> {
        let count = match self.progress.step as usize {
            // Weights that were trained before.
            0 => STATISTICS_PATCHES,
            steps => {
                let seen = steps.saturating_mul(self.config.train.batch);
                seen.clamp(FEWEST_STATISTICS, STATISTICS_PATCHES)
            }
        };
        let size = (2 * self.config.train.batch).min(count);
        let (frames, mels) = (
            usize::from(self.frontend.frames),
            usize::from(self.frontend.mels),
        );
        let trunk = &self.objective.trunk;
        let clean = self.source.clean_patches(count);
        let batches = clean
            .chunks_exact(size)
            .map(|patches| trunk.batch(patches, frames, mels));
        let batches: Vec<Tensor> = batches.collect::<candle_core::Result<_>>()?;
        drop(clean);
        let mut pairs = Vec::new();
        if trunk
            .spec()
            .output
            .is_some_and(|output| output.within > 0.0)
        {
            let heard = self.source.heard_pairs(count);
            for chunk in heard.chunks_exact(size) {
                let side = |side: usize| {
                    let patches: Vec<&[f32]> = chunk.iter().map(|pair| &pair[side][..]).collect();
                    trunk.batch(&patches, frames, mels)
                };
                pairs.push([side(0)?, side(1)?]);
            }
        }
        Ok(trunk.settle(&batches, &pairs)?)
    }
}

/// Makes batches from number `first` on, in order, on a thread of their own; or draws them, for a device that makes them.
fn prefetch(
    source: Arc<PairSource>,
    first: u64,
    pairs: usize,
    fed: bool,
) -> Receiver<Result<Prepared>> {
    let (sender, receiver) = sync_channel(if fed { FEEDS } else { PREFETCH });
    std::thread::spawn(move || {
        // Each ends when the receiver is gone.
        match fed {
            true => {
                let feeder = source.feeder(first, pairs);
                (first..).step_by(FEEDS).all(|step| {
                    // Several at a time: a sound that takes long to render holds none of the cores up.
                    let steps = (step..step + FEEDS as u64).into_par_iter();
                    let feeds: Vec<Feed> = steps.map(|step| source.feed(&feeder, step)).collect();
                    let mut feeds = feeds.into_iter().map(|feed| Ok(Prepared::Feed(feed)));
                    feeds.all(|feed| sender.send(feed).is_ok())
                })
            }
            false => (first..).all(|step| {
                let batch = source.batch(step, pairs).map(Prepared::Batch);
                sender.send(batch).is_ok()
            }),
        }
    });
    receiver
}

#[cfg(test)]
mod tests;
