//! Takes the steps of a run, on the processor or on a GPU, which keeps parameters and optimiser to itself.

use super::step::{self, Skipped, in_pool};
use crate::net::Parameters;
use crate::ssl::Objective;
use crate::train::averages::Averages;
use crate::train::config::{RunConfig, ViewsOn};
use crate::train::device_step::{DeviceStep, StepSettings};
use crate::train::observer::Observer;
use crate::train::optimiser::AdamW;
use crate::train::pairs::{Batch, Feed, PairSource};
use anyhow::Result;

/// Takes the steps of a run.
pub(super) enum Stepper {
    /// One after the other, with the optimiser beside it.
    Processor(AdamW),
    /// A GPU, which takes a step while the next batch is made.
    Device {
        step: Box<DeviceStep>,
        /// Whether it makes the views.
        fed: bool,
    },
}

/// A batch, or what a device makes one of.
pub(super) enum Prepared {
    Batch(Batch),
    Feed(Feed),
}

/// Steps that were left out.
pub(super) struct LeftOut {
    /// How many since the last report.
    pub(super) steps: u64,
    /// Most of these in a row.
    pub(super) in_a_row: u64,
    pub(super) reason: String,
}

impl Stepper {
    /// Makes the stepper for the device that the configuration names.
    ///
    /// # Errors
    /// If the device cannot be opened, or does not take the network.
    pub(super) fn new(
        config: &RunConfig,
        objective: &Objective,
        parameters: &Parameters,
        optimiser: AdamW,
        source: &PairSource,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let Some(backend) = config.train.open()? else {
            return Ok(Self::Processor(optimiser));
        };
        let frontend = config.frontend.to_config();
        let least_snr = config.environment.background.predictive_snr_db;
        let settings = StepSettings {
            shape: [
                2 * config.train.batch,
                frontend.frames.into(),
                frontend.mels.into(),
            ],
            least_snr: least_snr.unwrap_or(f32::NEG_INFINITY),
            norm_momentum: config.train.norm_momentum,
            weight_decay: config.train.weight_decay,
            clip_norm: config.train.clip_norm,
        };
        let pairs = config.train.batch;
        let fed = match config.train.views {
            ViewsOn::Processor => false,
            ViewsOn::Device => {
                let bytes = source.view_source(pairs).bytes(2 * pairs);
                let free = backend.free_bytes()?;
                let obstacle = source.obstacle().or_else(|| {
                    // The rest is for the network.
                    (bytes > free / 2).then(|| {
                        format!(
                            "the recordings and views take {:.1} GB, more than half of the {:.1} GB that the GPU has \
                             free",
                            bytes as f64 / 1e9,
                            free as f64 / 1e9
                        )
                    })
                });
                if let Some(obstacle) = &obstacle {
                    observer.note(&format!(
                        "the processor makes the views, and the GPU may wait for them: {obstacle}"
                    ));
                }
                obstacle.is_none()
            }
        };
        let step = match fed {
            false => DeviceStep::new(backend, objective, parameters, &optimiser, settings)?,
            true => {
                let views = source.view_source(pairs);
                DeviceStep::with_views(
                    backend, objective, parameters, &optimiser, settings, &views,
                )?
            }
        };
        let step = Box::new(step);
        Ok(Self::Device { step, fed })
    }

    /// Whether a device makes the views.
    pub(super) fn is_fed(&self) -> bool {
        matches!(self, Self::Device { fed: true, .. })
    }

    /// Takes a step at the learning rate `rate`. The processor's is added to `averages`, or left out.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn take(
        &mut self,
        config: &RunConfig,
        objective: &Objective,
        parameters: &Parameters,
        (prepared, rate): (&Prepared, f64),
        averages: &mut Averages,
    ) -> Result<Option<String>> {
        let (optimiser, batch) = match (self, prepared) {
            (Self::Device { step, .. }, prepared) => {
                match prepared {
                    Prepared::Batch(batch) => step.take(batch, rate)?,
                    Prepared::Feed(feed) => step.take_feed(feed, rate)?,
                }
                return Ok(None);
            }
            (Self::Processor(optimiser), Prepared::Batch(batch)) => (optimiser, batch),
            (Self::Processor(_), Prepared::Feed(_)) => unreachable!("only a device is fed"),
        };
        let taken = in_pool(|| step::take(config, objective, parameters, optimiser, batch, rate));
        match taken {
            Ok((loss, norm)) => {
                averages.add(&loss, norm, config.train.batch);
                Ok(None)
            }
            Err(Skipped(reason)) => Ok(Some(reason)),
        }
    }

    /// Adds the steps that a device has taken since it was last asked to `averages`; returns those that it
    /// left out.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn report(
        &mut self,
        averages: &mut Averages,
        pairs: usize,
    ) -> Result<Option<LeftOut>> {
        let Self::Device { step, .. } = self else {
            return Ok(None);
        };
        let log = step.log()?;
        averages.add_log(&log, pairs);
        Ok((log.left_out > 0).then(|| LeftOut {
            steps: log.left_out,
            in_a_row: log.failures,
            reason: "the loss or a gradient is not finite".into(),
        }))
    }

    /// Whether steps are reported by [`Self::report`] alone.
    pub(super) fn is_device(&self) -> bool {
        matches!(self, Self::Device { .. })
    }

    /// Brings parameters and running statistics into `parameters`, where they are elsewhere.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn store(&self, parameters: &Parameters) -> Result<()> {
        if let Self::Device { step, .. } = self {
            step.store(parameters)?;
        }
        Ok(())
    }

    /// Calls `f` with the optimiser, once the parameters are where they belong.
    ///
    /// # Errors
    /// If the device fails, or `f` does.
    pub(super) fn with_optimiser<R>(
        &self,
        parameters: &Parameters,
        f: impl FnOnce(&AdamW) -> Result<R>,
    ) -> Result<R> {
        match self {
            Self::Processor(optimiser) => f(optimiser),
            Self::Device { step, .. } => f(&step.store(parameters)?),
        }
    }
}
