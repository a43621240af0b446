//! Few-shot accuracy on labelled sets.

use crate::backbone::Backbone;
use crate::error::{Error, raised, warn};
use crate::json::object;
use crate::paths::{cache, folders};
use anyhow::Result;
use mtslvr_audio::{DecodeCache, LabelledSet, Skipped};
use mtslvr_evaluate::{
    Controls, EpisodeShape, Evaluation, FeatureChoice, Head, LoadedSet, RandomWeights, Settings,
    evaluate_set, missing_note, reference_audio,
};
use mtslvr_runtime::backbone::Backbone as _;
use mtslvr_runtime::fewshot::Shares;
use pyo3::prelude::*;
use std::path::PathBuf;

/// Measures the few-shot accuracy of a backbone on labelled sets, as ``mtslvr eval`` does, beside MFCC statistics.
///
/// Each task draws classes of a set (``ways``) and examples of each to learn from (``shots``), and asks about other
/// clips of these classes (``queries``). The same seed draws the same tasks, whatever the backbone. The command line's
/// second control, a network with random weights, needs training and is left out.
///
/// Parameters
/// ----------
/// backbone:
///     The backbone to measure.
/// data:
///     A labelled set, ``DIR/<class>/<clip>``, or a folder of such sets, or a list of these.
/// ways, shots, queries, tasks, seed:
///     Classes of a task, examples of each, most clips of each to ask about, tasks for each set, and their seed.
/// head:
///     Classifier: ``nearest-mean``, ``ridge``, ``ridge=LAMBDA``, ``logistic``, ``logistic=C`` or ``paper``.
/// shares:
///     How much each part of an embedding counts: ``packed``, as the model says, or ``task``, as suits the examples of
///     each task; by default, ``task`` for models of more than two parts.
/// parts:
///     Parts of the embedding to use: ``all``, or names joined with ``+``.
/// cache:
///     Folder to keep decoded recordings in for later calls.
///
/// Returns
/// -------
/// dict
///     The figures of ``mtslvr eval --json``: ``mean`` and ``mean_mfcc`` in percent, ``notes``, and for each of
///     ``sets`` its ``name``, ``accuracy`` with ``ci95`` (half of its 95 % interval), ``mfcc`` and ``mfcc_ci95``.
///
/// Recordings that cannot be read are left out, with a warning for each.
#[pyfunction]
#[pyo3(signature = (backbone, data, *, ways=5, shots=1, queries=5, tasks=1000, seed=1, head="ridge", shares=None, parts="all", cache=None))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub fn evaluate(
    py: Python<'_>,
    backbone: Py<Backbone>,
    data: &Bound<'_, PyAny>,
    ways: usize,
    shots: usize,
    queries: usize,
    tasks: usize,
    seed: u64,
    head: &str,
    shares: Option<&str>,
    parts: &str,
    cache: Option<PathBuf>,
) -> PyResult<Py<PyAny>> {
    if tasks == 0 {
        return Err(Error::new_err("tasks=0: expected at least 1"));
    }
    if !(2..=256).contains(&ways) {
        return Err(Error::new_err(format!("ways={ways}: expected 2 to 256")));
    }
    let shares = match shares {
        None => None,
        Some("packed") => Some(Shares::Packed),
        Some("task") => Some(Shares::Task),
        Some(other) => {
            return Err(Error::new_err(format!(
                "shares={other:?}: expected packed or task"
            )));
        }
    };
    let head: Head = head.parse().map_err(raised)?;
    let settings = Settings {
        shape: EpisodeShape {
            ways,
            shots,
            queries,
        },
        tasks,
        head: head.with_shares(shares),
        features: FeatureChoice::from(parts.to_owned()),
        seed,
    };
    let folders = folders(data)?;
    let own = backbone.get();
    let measured = py.detach(|| {
        let cache = self::cache(cache)?;
        measure(own, &folders, &settings, &cache)
    });
    let (evaluation, skipped) = measured.map_err(raised)?;
    for file in &skipped {
        warn(py, &format!("skipped: {file}"))?;
    }
    object(py, &evaluation)
}

fn measure(
    backbone: &Backbone,
    folders: &[PathBuf],
    settings: &Settings,
    cache: &DecodeCache,
) -> Result<(Evaluation, Vec<Skipped>)> {
    let sets = LabelledSet::open_all(folders)?;
    let rate = backbone.sample_rate();
    let measured;
    let file = if backbone.file().is_unmeasured() {
        let mut own = backbone.reopened()?;
        own.measure(&reference_audio(rate))?;
        measured = own;
        &measured
    } else {
        backbone.file()
    };
    let mut engines = file.backbones()?;
    let frontend = *engines[0].space().frontend();
    let mut controls = Controls::new(&frontend, |_| {
        Ok(RandomWeights::None("the Python package cannot train"))
    })?;
    let mut notes = controls.notes.clone();
    let (mut results, mut all_skipped) = (Vec::new(), Vec::new());
    for set in &sets {
        let (loaded, skipped) = LoadedSet::load(set, rate, cache, |_| ());
        let result = evaluate_set(&mut engines, &mut controls, &loaded, settings, &|| ())?;
        notes.extend(missing_note(set, skipped.len()));
        notes.extend(result.left_out_note());
        results.push(result);
        all_skipped.extend(skipped);
    }
    let evaluation = Evaluation::new(
        file.name().to_owned(),
        file.engine().name().to_owned(),
        settings.features.to_string(),
        settings.shape.queries,
        settings.seed,
        results,
        notes,
    );
    Ok((evaluation, all_skipped))
}
