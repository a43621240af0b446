//! The sounds of a run: pairs of views, their normalisation, and what teachers say of them.

use crate::ssl::Taught;
use crate::train::config::RunConfig;
use crate::train::observer::Observer;
use crate::train::pairs::{PairSource, normalisation};
use crate::train::request::TrainRequest;
use crate::train::teachers::{Sounds, Teachers};
use anyhow::Result;
use std::sync::atomic::AtomicBool;

/// Patches that the features' mean and deviation are measured on.
const NORMALISATION_PATCHES: usize = 1024;

/// A source of batches, and the teachers whose answers they hold.
pub(super) struct TrainingAudio {
    pub(super) source: PairSource,
    /// The teachers as the objective knows them.
    pub(super) taught: Vec<Taught>,
}

impl TrainingAudio {
    /// Opens the recordings and the teachers. The normalisation is measured, and written into
    /// `config`, where it is left open.
    ///
    /// # Errors
    /// If pairs of one thing are asked for that no manifest tells of, or a teacher cannot be opened or
    /// cannot teach its part.
    pub(super) fn open(
        request: &TrainRequest,
        config: &mut RunConfig,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        observer.phase("preparing the sounds");
        let mut source = PairSource::new(request.recordings.clone(), config)?;
        if let Some(remark) = source.remark() {
            observer.note(&remark);
        }
        if config.frontend.mean.is_none() || config.frontend.scale.is_none() {
            (config.frontend.mean, config.frontend.scale) = (None, None);
            observer.phase("measuring the mean and deviation of the features");
            source = source.with_frontend(config.frontend.to_config());
            let (mean, scale) = normalisation(&source.clean_patches(NORMALISATION_PATCHES));
            (config.frontend.mean, config.frontend.scale) = (Some(mean), Some(scale));
        }
        let frontend = config.frontend.to_config();
        let sounds = Sounds {
            clips: &request.recordings.clips,
            frontend: &frontend,
            folder: &request.heard,
        };
        let Teachers {
            taught,
            teachers,
            rule,
        } = Teachers::open(config, sounds, stop, observer)?;
        let source = source.with_frontend(frontend).with_teachers(teachers, rule);
        Ok(Self { source, taught })
    }
}
