//! A backbone that is measured, beside controls of its own.

use super::tasks::TaskChoice;
use crate::{progress, untrained};
use anyhow::Result;
use mtslvr_evaluate::{Controls, Evaluation, LoadedSet, SetResult, Settings, evaluate_set};
use mtslvr_pack::{BackboneFile, Engine, ModelSource, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;

/// A backbone that is measured.
pub(super) struct Contender {
    file: BackboneFile,
    engines: Vec<OpenedBackbone>,
    controls: Controls,
    results: Vec<SetResult>,
    notes: Vec<String>,
}

impl Contender {
    /// Opens `model` and prepares its controls, whose weights come from `seed`.
    pub(super) fn open(model: &ModelSource, engine: Option<Engine>, seed: u64) -> Result<Self> {
        let file = BackboneFile::open(model, engine)?;
        let engines = file.backbones()?;
        let frontend = *engines[0].space().frontend();
        let controls = Controls::new(&frontend, |reference| {
            untrained::control(model, &file, &frontend, reference, seed)
        })?;
        let notes = controls.notes.clone();
        Ok(Self {
            file,
            engines,
            controls,
            results: Vec::new(),
            notes,
        })
    }

    /// Returns the rate at which it takes clips, Hz.
    pub(super) fn sample_rate(&self) -> u32 {
        self.engines[0].space().frontend().sample_rate
    }

    /// Measures it on `set`, which is loaded at its rate. `remark` is a note on the set.
    pub(super) fn evaluate(
        &mut self,
        set: &LoadedSet,
        remark: Option<String>,
        settings: &Settings,
    ) -> Result<()> {
        let steps = (set.clips.len() * self.controls.rounds()) as u64;
        let bar = progress::files(steps, &format!("embedding {}", set.name));
        let controls = &mut self.controls;
        let result = evaluate_set(&mut self.engines, controls, set, settings, &|| bar.inc(1))?;
        bar.finish_and_clear();
        self.notes.extend(remark);
        if !result.left_out.is_empty() {
            self.notes.push(format!(
                "{}: no task holds {}: all clips of such a class are of one group.",
                set.name,
                result.left_out.join(", ")
            ));
        }
        eprintln!(
            "{}, {}: {:.1} ± {:.1}",
            result.name,
            self.file.name(),
            result.accuracy,
            result.ci95
        );
        self.results.push(result);
        Ok(())
    }

    /// Returns everything that was measured: on `parts` of the embedding, with these tasks.
    pub(super) fn finish(self, parts: String, tasks: &TaskChoice) -> Evaluation {
        Evaluation::new(
            self.file.name().to_owned(),
            self.file.engine().name().to_owned(),
            parts,
            tasks.queries,
            tasks.seed,
            self.results,
            self.notes,
        )
    }
}
