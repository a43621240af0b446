//! Teaches packed backbones the demo's sounds from one example each, and tests them.

use super::advice::Standing;
use super::sounds::Sounds;
use crate::progress;
use anyhow::{Context, Result, anyhow};
use mtslvr_evaluate::report::{FalseAlarms, ModelFindings, Recognition, model_costs};
use mtslvr_evaluate::{
    Controls, Directions, Enrolment, EpisodeShape, Evaluation, FeatureChoice, Head, LoadedSet,
    Settings, confusion, embed_clips, evaluate_set, with_interval,
};
use mtslvr_pack::inspect::Inspection;
use mtslvr_pack::{BackboneFile, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Limits;
use mtslvr_train::net::BackboneSpec;
use mtslvr_train::trunk_backbone::random_weights;

/// Row of the false alarms to expect.
const FALSE_ALARMS: &str = "false alarms/h";

/// Aim of the thresholds that the runtime gives, for a sentence.
pub(super) const AIM: &str = "they aim at one false alarm an hour among 180 other sounds";

/// Tasks of the table of accuracies.
const TASKS: usize = 1000;

/// A backbone that is taught and tested.
pub(super) struct TestedBackbone {
    /// Its name in tables.
    label: String,
    file: BackboneFile,
    engines: Vec<OpenedBackbone>,
    model: Inspection,
}

impl TestedBackbone {
    /// Opens `file` once for each thread.
    pub(super) fn new(label: String, file: BackboneFile) -> Result<Self> {
        Ok(Self {
            label,
            engines: file.backbones()?,
            model: file.inspect()?,
            file,
        })
    }
}

/// The findings on one backbone.
pub(super) struct Tested {
    /// Its name in tables.
    pub(super) label: String,
    pub(super) model: Inspection,
    pub(super) recognition: Recognition,
    pub(super) evaluation: Evaluation,
    /// Prepared features of the tested clips, then of the strangers.
    pub(super) directions: Directions,
}

impl Tested {
    /// Teaches and tests `backbones`, all on the same sounds, and prints how it goes.
    pub(super) fn all(
        mut backbones: Vec<TestedBackbone>,
        sounds: &Sounds,
        seed: u64,
    ) -> Result<Vec<Self>> {
        let taught = teach(&mut backbones, sounds)?;
        let evaluations = measure(&mut backbones, sounds, seed)?;
        let found = backbones.into_iter().zip(taught).zip(evaluations);
        let tested = found.map(|((backbone, (directions, recognition)), evaluation)| Self {
            label: backbone.label,
            model: backbone.model,
            recognition,
            evaluation,
            directions,
        });
        Ok(tested.collect())
    }

    /// Returns its accuracy, to be compared with the others'.
    pub(super) fn standing(&self) -> Standing<'_> {
        let set = &self.evaluation.sets[0];
        Standing {
            label: &self.label,
            model: &self.evaluation.model,
            accuracy: set.accuracy,
            ci95: set.ci95,
        }
    }

    /// Returns its findings as the page takes them.
    pub(super) fn findings(&self) -> ModelFindings {
        ModelFindings {
            label: self.label.clone(),
            recognition: Some(self.recognition.clone()),
            evaluation: Some(self.evaluation.clone()),
            costs: model_costs(&self.model),
        }
    }
}

/// Enrols the examples in every backbone, then asks about clips of the same and of other sounds.
fn teach(
    backbones: &mut [TestedBackbone],
    sounds: &Sounds,
) -> Result<Vec<(Directions, Recognition)>> {
    let names = sounds.enrolled();
    outln!("3. Teaching. One example each of {}.", names.join(", "));
    let LoadedSet { clips, .. } = &sounds.set;
    for (name, examples) in names.iter().zip(&sounds.episode.support) {
        for &example in examples {
            Limits::default()
                .check_levels(&clip::levels(&clips[example]), sounds.sample_rate)
                .with_context(|| format!("an example of {name} cannot be enrolled"))?;
        }
    }
    let all: Vec<Vec<f32>> = clips.iter().chain(&sounds.strangers).cloned().collect();
    let bar = progress::files((all.len() * backbones.len()) as u64, "listening");
    let taught = backbones
        .iter_mut()
        .map(|backbone| recognise(&mut backbone.engines, sounds, &all, &|| bar.inc(1)))
        .collect::<Result<Vec<_>>>()?;
    bar.finish_and_clear();
    outln!(
        "\n4. Recognising. Clips that were not heard before, and how many are answered rightly:"
    );
    let columns: Vec<(&str, &Recognition)> = backbones
        .iter()
        .zip(&taught)
        .map(|(backbone, (_, recognition))| (backbone.label.as_str(), recognition))
        .collect();
    out!("{}", recognition_table(&columns));
    outln!("{}", never_enrolled(sounds, columns[0].1));
    Ok(taught)
}

/// Enrols the examples, then asks about every clip of `all`: those of the set, then the strangers.
fn recognise<B>(
    engines: &mut [B],
    sounds: &Sounds,
    all: &[Vec<f32>],
    progress: &(dyn Fn() + Sync),
) -> Result<(Directions, Recognition)>
where
    B: Backbone + Send,
    B::Error: Send,
{
    let features = embed_clips(engines, all, progress)
        .map_err(|(_, error)| anyhow!("a clip cannot be embedded: {error}"))?;
    let head = Head::default();
    let Head::Runtime(kind, _) = head else {
        unreachable!("the default head is one of the runtime's");
    };
    let mut storage = Enrolment::storage(&sounds.episode, features.dim());
    let mut enrolment = Enrolment::new(&mut storage, kind, &features, &sounds.episode)
        .context("the sounds cannot be enrolled")?;
    let threshold = enrolment.threshold();
    let mut answers = |clips: &[usize]| -> Vec<_> {
        clips
            .iter()
            .map(|&c| enrolment.answer(features.row(c)))
            .collect()
    };
    let known: Vec<_> = sounds
        .enrolled()
        .into_iter()
        .zip(&sounds.episode.queries)
        .map(|(name, clips)| (name.to_owned(), answers(clips)))
        .collect();
    let strangers: Vec<usize> = (sounds.set.clips.len()..all.len()).collect();
    let strangers = answers(&strangers);
    let confusion = confusion(&known, &strangers);
    let right = |label: usize| confusion.counts[label][label];
    let rejected = strangers.iter().filter(|a| a.class.is_none()).count();
    let recognition = Recognition {
        head: head.to_string(),
        threshold,
        recognised: (0..known.len()).map(right).sum(),
        known: known.iter().map(|(_, answers)| answers.len()).sum(),
        rejected,
        strangers: strangers.len(),
        false_alarms: FalseAlarms::expected(strangers.len() - rejected, strangers.len()),
        confusion,
    };
    Ok((Directions::of(&features), recognition))
}

/// Returns a table of the right answers to each sound's clips, a column for each backbone.
fn recognition_table(columns: &[(&str, &Recognition)]) -> String {
    let Some((_, first)) = columns.first() else {
        return String::new();
    };
    let sounds = &first.confusion.rows;
    let names = sounds.iter().map(String::as_str);
    let names = names.chain(["threshold", FALSE_ALARMS]);
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let mut table = format!("   {:width$}", "");
    for (label, _) in columns {
        table += &format!("  {label:>10}");
    }
    table += "\n";
    for (row, name) in sounds.iter().enumerate() {
        table += &format!("   {name:width$}");
        for (label, recognition) in columns {
            // The answer in column `i` is the right one to row `i`.
            let counts = &recognition.confusion.counts[row];
            let right = format!("{} of {}", counts[row], counts.iter().sum::<usize>());
            let width = label.chars().count().max(10);
            table += &format!("  {right:>width$}");
        }
        table += "\n";
    }
    let mut line = |name: &str, value: &dyn Fn(&Recognition) -> String| {
        table += &format!("   {name:width$}");
        for (label, recognition) in columns {
            let width = label.chars().count().max(10);
            table += &format!("  {:>width$}", value(recognition));
        }
        table += "\n";
    };
    line("threshold", &|recognition| {
        format!("{:.2}", recognition.threshold)
    });
    if first.false_alarms.is_some() {
        line(FALSE_ALARMS, &|recognition| {
            let expected = recognition.false_alarms;
            expected.map_or_else(String::new, |found| format!("{:.1}", found.per_hour))
        });
    }
    table
}

/// Explains the last rows of the table: the sounds never enrolled, the threshold, and what follows from both.
fn never_enrolled(sounds: &Sounds, first: &Recognition) -> String {
    let mut text = format!(
        "   Never enrolled: {} that no example was given of. The right answer to them is\n   \
         \"unknown\": what a sound gets whose similarity stays below the threshold. A new profile has\n   \
         these thresholds; {AIM}.\n",
        sounds.strangers_source,
    );
    if let Some(found) = first.false_alarms {
        text += &format!(
            "   False alarms/h: what to expect where {:.0} such sounds are heard an hour. So few clips leave\n   \
             room for {:.1} to {:.1} in the first column (95 % interval).\n",
            found.sounds, found.ci95[0], found.ci95[1],
        );
    }
    text
}

/// Measures the few-shot accuracy of every backbone on the same tasks, beside the controls.
fn measure(
    backbones: &mut [TestedBackbone],
    sounds: &Sounds,
    seed: u64,
) -> Result<Vec<Evaluation>> {
    let ways = sounds.set.classes.len().min(5);
    outln!(
        "5. Measuring. {TASKS} tasks of {ways} sounds and one example each, drawn from the {} clips of the \
         test,\n   beside controls that learned nothing:",
        sounds.set.clips.len()
    );
    let settings = Settings {
        shape: EpisodeShape {
            ways,
            shots: 1,
            queries: 5,
        },
        tasks: TASKS,
        head: Head::default(),
        features: FeatureChoice::ALL,
        seed,
    };
    let width = backbones.iter().map(|b| b.label.chars().count());
    let width = width.max().unwrap_or(0);
    outln!(
        "   {:width$}  {:>11}  {:>11}  {:>11}",
        "",
        "accuracy %",
        "MFCC",
        "random"
    );
    let mut evaluations = Vec::new();
    for backbone in backbones {
        let engines = &mut backbone.engines;
        let trunk = BackboneSpec::from_provenance(&backbone.model.provenance);
        let frontend = *engines[0].space().frontend();
        let mut controls = Controls::new(&frontend, |reference| {
            random_weights(trunk.as_ref(), &frontend, reference, seed)
        })?;
        let steps = sounds.set.clips.len() * controls.rounds();
        let bar = progress::files(steps as u64, "measuring");
        let result = evaluate_set(engines, &mut controls, &sounds.set, &settings, &|| {
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        outln!(
            "   {:width$}  {}  {}  {}",
            backbone.label,
            with_interval(Some(result.accuracy), Some(result.ci95)),
            with_interval(Some(result.mfcc), Some(result.mfcc_ci95)),
            with_interval(result.random, result.random_ci95),
        );
        evaluations.push(Evaluation::new(
            backbone.file.name().to_owned(),
            backbone.file.engine().name().to_owned(),
            FeatureChoice::ALL.to_string(),
            settings.shape.queries,
            seed,
            vec![result],
            controls.notes,
        ));
    }
    outln!("   {:width$}  {:5.1}", "chance", 100.0 / ways as f64);
    Ok(evaluations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_evaluate::report::Confusion;

    #[test]
    fn every_sound_has_a_row_and_every_backbone_a_column() {
        let recognition = |right: usize| Recognition {
            head: "ridge".into(),
            threshold: 0.3,
            recognised: right,
            known: 12,
            rejected: 40,
            strangers: 40,
            false_alarms: FalseAlarms::expected(0, 40),
            confusion: Confusion {
                rows: vec!["hum".into(), "never enrolled".into()],
                columns: vec!["hum".into(), "unknown".into()],
                counts: vec![vec![right, 12 - right], vec![0, 40]],
            },
        };
        let (first, second) = (recognition(12), recognition(9));
        let table = recognition_table(&[("trained here", &first), ("shipped edge-s", &second)]);
        let expected = [
            "                   trained here  shipped edge-s",
            "   hum                 12 of 12         9 of 12",
            "   never enrolled      40 of 40        40 of 40",
            "   threshold               0.30            0.30",
            "   false alarms/h           0.0             0.0",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }
}
