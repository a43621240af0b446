//! A model that is measured, beside controls of its own.

use super::subject::Subject;
use super::tasks::TaskChoice;
use super::{Accuracy, waveforms};
use crate::{progress, untrained};
use anyhow::Result;
use mtslvr_audio::DecodeCache;
use mtslvr_evaluate::{Controls, Evaluation, LoadedSet, SetResult, Settings, evaluate_set};
use mtslvr_pack::{BackboneFile, ModelSource};
use mtslvr_runtime::backbone::Backbone;

/// A model that is measured.
pub(super) struct Contender {
    subject: Subject,
    results: Vec<SetResult>,
    notes: Vec<String>,
}

impl Contender {
    /// Opens `model` and prepares its controls.
    pub(super) fn open(model: &ModelSource, args: &Accuracy, cache: &DecodeCache) -> Result<Self> {
        let waiting = progress::waiting(&format!("preparing {model} and its controls"));
        let subject = match waveforms::open(model, args, cache)? {
            Some(subject) => subject,
            None => backbone(model, args, cache)?,
        };
        waiting.finish_and_clear();
        Ok(Self {
            notes: subject.controls.notes.clone(),
            subject,
            results: Vec::new(),
        })
    }

    /// Returns the rate at which it takes clips, Hz.
    pub(super) fn sample_rate(&self) -> u32 {
        self.subject.sample_rate
    }

    /// Measures it on `set`, which is loaded at its rate. `remark` is a note on the set.
    pub(super) fn evaluate(
        &mut self,
        set: &LoadedSet,
        remark: Option<String>,
        settings: &Settings,
    ) -> Result<()> {
        let steps = (set.clips.len() * self.subject.controls.rounds()) as u64;
        let what = format!("embedding {} with {}", set.name, self.subject.name);
        let bar = progress::step(steps, "embeddings", &what);
        let (model, controls) = (&mut *self.subject.embedder, &mut self.subject.controls);
        let result = evaluate_set(model, controls, set, settings, &|| bar.inc(1))?;
        bar.finish_and_clear();
        self.notes.extend(remark);
        self.notes.extend(result.left_out_note());
        errln!(
            "{}, {}: {:.1} ± {:.1}",
            result.name,
            self.subject.name,
            result.accuracy,
            result.ci95
        );
        self.results.push(result);
        Ok(())
    }

    /// Returns everything that was measured: on `parts` of the embedding, with these tasks.
    pub(super) fn finish(self, parts: String, tasks: &TaskChoice) -> Evaluation {
        Evaluation::new(
            self.subject.name,
            self.subject.engine.name().to_owned(),
            parts,
            tasks.queries,
            tasks.seed,
            self.results,
            self.notes,
        )
    }
}

fn backbone(model: &ModelSource, args: &Accuracy, cache: &DecodeCache) -> Result<Subject> {
    let mut file = args.frontend.open(model, args.engine.engine)?;
    measure(&mut file, args, cache)?;
    let engines = file.backbones()?;
    let frontend = *engines[0].space().frontend();
    let controls = Controls::new(&frontend, |reference| {
        untrained::control(model, &file, &frontend, reference, args.tasks.seed)
    })?;
    Ok(Subject {
        name: file.name().to_owned(),
        engine: file.engine(),
        sample_rate: frontend.sample_rate,
        embedder: Box::new(engines),
        controls,
    })
}

/// Measures the mean of the embeddings of a model of another program, which tasks are centred on.
#[cfg(feature = "train")]
fn measure(file: &mut BackboneFile, args: &Accuracy, cache: &DecodeCache) -> Result<()> {
    if !file.is_unmeasured() {
        return Ok(());
    }
    let rate = file.backbone()?.space().frontend().sample_rate;
    let clips = waveforms::reference_clips(&args.reference, rate, cache)?;
    Ok(file.measure(&clips)?)
}

/// Measures nothing: this program runs packed models, which are measured.
#[cfg(not(feature = "train"))]
fn measure(_: &mut BackboneFile, _: &Accuracy, _: &DecodeCache) -> Result<()> {
    Ok(())
}
