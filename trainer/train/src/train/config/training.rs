//! Optimiser, schedule, length and device of a run.

use crate::device::Backend;
use crate::range::check_range;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The `[train]` table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Decides initial weights, order of data and every augmentation.
    pub seed: u64,
    /// Pairs per step.
    pub batch: usize,
    /// Length in optimiser steps; `minutes` is used where it is 0.
    pub steps: u64,
    /// Length in minutes of training time; with 0, and no steps, only what is measured at the end of a run is
    /// measured.
    pub minutes: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the run in which the learning rate rises from 0; it then falls along a cosine.
    pub warmup: f64,
    /// Decoupled weight decay, on convolutions and linear weights only.
    pub weight_decay: f64,
    /// Gradients longer than this are scaled down to it.
    pub clip_norm: f64,
    /// Share of a batch's statistics in the running ones of batch norm.
    pub norm_momentum: f32,
    /// A checkpoint is written this often.
    pub checkpoint_seconds: f64,
    /// Device that computes.
    pub device: DeviceKind,
    /// Precision of a GPU's step.
    pub precision: Precision,
    /// Maker of the views of a GPU's steps.
    pub views: ViewsOn,
}

/// Device of the training steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// All cores of the processor.
    #[default]
    Cpu,
    /// The first CUDA device, in a build with the feature `cuda` (`trainer/train/CUDA.md`).
    Cuda,
}

/// Type of the activations of a GPU's step. The processor computes in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Activations, convolutions and their gradients in bf16, linear layers and the similarities of NT-Xent in
    /// TF32; parameters, moments, statistics and the rest of the losses in `f32`.
    #[default]
    Bf16,
    /// Everything in `f32`.
    F32,
}

/// Makers of the views of a GPU's steps: cut, operators, environment and features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewsOn {
    /// The GPU, from recordings in its memory; the processor where the GPU cannot, which is told.
    #[default]
    Device,
    /// All cores of the processor.
    Processor,
}

impl TrainConfig {
    /// Whether a run takes no step, and only measures what is measured at its end.
    pub(crate) fn takes_no_step(&self) -> bool {
        self.steps == 0 && self.minutes == 0.0
    }

    /// Opens the device that takes the steps; `None` is the processor.
    ///
    /// # Errors
    /// If there is no such device, or the program was built without it.
    pub(crate) fn open(&self) -> Result<Option<Box<dyn Backend>>> {
        match self.device {
            DeviceKind::Cpu => Ok(None),
            #[cfg(feature = "cuda")]
            DeviceKind::Cuda => {
                let element = match self.precision {
                    Precision::Bf16 => crate::device::Element::Bf16,
                    Precision::F32 => crate::device::Element::F32,
                };
                Ok(Some(Box::new(crate::device::Cuda::open(element)?)))
            }
            #[cfg(not(feature = "cuda"))]
            DeviceKind::Cuda => anyhow::bail!(
                "train.device is cuda, which this program was built without: build it with `--features cuda` \
                 (trainer/train/CUDA.md), or set train.device=cpu"
            ),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            batch: 128,
            steps: 0,
            minutes: 20.0,
            learning_rate: 2e-3,
            warmup: 0.05,
            weight_decay: 1e-4,
            clip_norm: 5.0,
            norm_momentum: 0.1,
            checkpoint_seconds: 60.0,
            device: DeviceKind::Cpu,
            precision: Precision::Bf16,
            views: ViewsOn::Device,
        }
    }
}

impl TrainConfig {
    /// Refuses values that are out of range.
    pub(super) fn check(&self) -> Result<()> {
        check_range("train.batch", self.batch as f64, 2.0, 65536.0)?;
        check_range("train.learning_rate", self.learning_rate, 0.0, 10.0)?;
        check_range("train.warmup", self.warmup, 0.0, 1.0)?;
        check_range("train.weight_decay", self.weight_decay, 0.0, 10.0)?;
        check_range("train.clip_norm", self.clip_norm, 1e-6, 1e9)?;
        let momentum = f64::from(self.norm_momentum);
        check_range("train.norm_momentum", momentum, 1e-4, 1.0)?;
        check_range(
            "train.checkpoint_seconds",
            self.checkpoint_seconds,
            0.0,
            1e9,
        )?;
        Ok(check_range("train.minutes", self.minutes, 0.0, 1e6)?)
    }
}
