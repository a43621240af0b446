//! The teachers of a run: opened, and what those of parts say of the training audio heard and reduced.

use super::config::RunConfig;
use super::observer::Observer;
use super::targets::{Reduction, Targets};
use super::teacher::ViewTeacher;
use super::window_model::WAVEFORM_RATE;
use super::window_teacher::{Lessons, WindowTeacher};
use super::windows::{Cut, WindowRule};
use crate::ssl::{Subject, Taught};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::Samples;
use mtslvr_runtime::frontend::FrontendConfig;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Something to learn from.
#[derive(Debug)]
pub(super) enum Teacher {
    /// A teacher that hears the views of each batch.
    Views(ViewTeacher),
    /// The answers of a teacher that has heard the clean windows of all clips.
    Windows(Targets),
}

/// Answers to learn for the views of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Values of a row.
    pub dim: usize,
    /// A row for each view, of unit length.
    pub rows: Vec<f32>,
    /// 1 for a view that has a target, 0 for one whose row is zeros; all have one where this is `None`.
    pub counted: Option<Vec<f32>>,
}

impl Teacher {
    /// Whether it hears the views of each batch.
    pub(super) fn hears_views(&self) -> bool {
        matches!(self, Self::Views(_))
    }

    /// Answers for views, given their samples before their environments and the windows that they were
    /// made of; views of synthesised sounds are of none.
    pub(super) fn answers(&self, views: &[&[f32]], cuts: &[Option<Cut>]) -> Result<Vec<Answers>> {
        match self {
            Self::Views(teacher) => {
                let parts = teacher.dims().into_iter().zip(teacher.directions(views)?);
                let answers = parts.map(|(dim, rows)| Answers {
                    dim,
                    rows,
                    counted: None,
                });
                Ok(answers.collect())
            }
            Self::Windows(targets) => {
                let dim = targets.dim();
                let mut rows = vec![0.0; cuts.len() * dim];
                for (row, cut) in rows.chunks_exact_mut(dim).zip(cuts) {
                    if let Some(cut) = cut {
                        row.copy_from_slice(targets.of(*cut));
                    }
                }
                let counted = cuts.iter().map(|cut| f32::from(cut.is_some())).collect();
                Ok(vec![Answers {
                    dim,
                    rows,
                    counted: Some(counted),
                }])
            }
        }
    }
}

/// All teachers of a run, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Teachers {
    /// Teachers as the objective knows them.
    pub(super) taught: Vec<Taught>,
    /// Teachers that answer batches; none where Ctrl-C came before all windows were heard.
    pub(super) teachers: Vec<Teacher>,
    /// Rule by which views are cut, if there is a teacher that hears clean windows.
    pub(super) rule: Option<WindowRule>,
}

/// Sounds that teachers hear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sounds<'s> {
    /// Recordings at the frontend's sample rate.
    pub(super) clips: &'s [Samples],
    /// Parameters by which patches are made of them.
    pub(super) frontend: &'s FrontendConfig,
    /// Folder for what teachers say of clean windows.
    pub(super) folder: &'s Path,
}

impl Teachers {
    /// Opens the teachers that `config` names, and has those of parts hear the clips' windows.
    ///
    /// # Errors
    /// If a teacher has no model, cannot be opened, or cannot teach what it is to.
    pub(super) fn open(
        config: &RunConfig,
        sounds: Sounds<'_>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let rate = sounds.frontend.sample_rate;
        let rule = WindowRule {
            samples: sounds.frontend.patch_samples(),
            hop: ((config.data.window_hop * f64::from(rate)) as usize).max(1),
        };
        let mut opened = Self::default();
        let mut lessons = None;
        let mut missed = false;
        for (name, teacher) in &config.objective.teachers {
            let Some(model) = &teacher.model else {
                bail!(
                    "objective.teachers.{name} has no model; name its file with --teacher {name}=FILE"
                );
            };
            observer.phase(&format!("opening the teacher {name}"));
            let subject = match &teacher.part {
                None => {
                    let teacher = ViewTeacher::open(name, model, rate)?;
                    let dims = teacher.dims();
                    opened.teachers.push(Teacher::Views(teacher));
                    Subject::Paths(dims)
                }
                Some(part) => {
                    check_sounds(name, sounds)?;
                    opened.rule = Some(rule);
                    let lessons = lessons
                        .get_or_insert_with(|| Lessons::new(sounds.clips, rule, sounds.folder));
                    let mut parts = config.backbone.parts.iter();
                    let part = parts
                        .find(|known| known.name == *part)
                        .with_context(|| format!("the teacher {name} teaches no part"))?;
                    let listener = WindowTeacher {
                        name,
                        model,
                        output: &teacher.output,
                        reduction: Reduction {
                            dim: part.learned(),
                            whitening: teacher.whitening,
                        },
                    };
                    let targets = listener.targets(lessons, stop, observer)?;
                    missed |= targets.is_none();
                    opened.teachers.extend(targets.map(Teacher::Windows));
                    Subject::Part(part.name.clone())
                }
            };
            opened.taught.push(Taught {
                name: name.clone(),
                weight: teacher.weight,
                subject,
            });
        }
        if missed {
            opened.teachers.clear();
        }
        Ok(opened)
    }
}

/// Refuses sounds that the teacher `name` of a part cannot hear.
fn check_sounds(name: &str, sounds: Sounds<'_>) -> Result<()> {
    let rate = sounds.frontend.sample_rate;
    ensure!(
        rate == WAVEFORM_RATE,
        "the teacher {name} hears sound at {WAVEFORM_RATE} Hz, but frontend.sample_rate is {rate}"
    );
    ensure!(
        sounds.clips.iter().any(|clip| !clip.is_empty()),
        "the teacher {name} hears recordings, and there are none: name folders of them with --data"
    );
    Ok(())
}
