//! `mtslvr demo`: from nothing to a device that knows five sounds, in a few minutes.

mod page;
mod sounds;

use super::progress::{self, TrainingBar};
use crate::audio::DecodeCache;
use crate::evaluate::{
    Controls, Directions, Enrolment, EpisodeShape, Evaluation, FeatureChoice, Head, LoadedSet,
    Settings, confusion, embed_clips, evaluate_set,
};
use crate::export::inspect::Inspection;
use crate::export::{BackboneFile, Engine, ExportRequest, calibration_mix, export_run};
use crate::report::{Recognition, bytes};
use crate::train::{RunConfig, TrainRequest, Trained, train};
use anyhow::{Context, Result, anyhow, ensure};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Limits;
use sounds::Sounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PRESET: &str = "edge-s";
/// Tasks of the table of accuracies.
const TASKS: usize = 1000;

/// Train a small backbone, put it in 8 bits, teach it five sounds and test it, with nothing downloaded
///
/// Writes the models, results.json and report.html into --out.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder for everything that is made; files of an earlier demo there are overwritten
    #[arg(long, value_name = "DIR", default_value = "mtslvr-demo")]
    out: PathBuf,
    /// Your own recordings, DIR/<class>/<clip>, in place of made-up sounds: at least 2 classes of 2
    /// clips; the clips that are tested are not trained on
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long to train
    #[arg(long, default_value_t = 90.0)]
    seconds: f64,
    /// Decides everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the demo found, for the page.
struct Findings {
    sounds: Sounds,
    trained: Trained,
    exported: crate::export::Exported,
    model: Inspection,
    recognition: Recognition,
    evaluation: Evaluation,
    /// Prepared features of the tested clips, then of the strangers.
    directions: Directions,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        ensure!(
            self.seconds > 0.0 && self.seconds.is_finite(),
            "--seconds must be positive, not {}",
            self.seconds
        );
        let settings = [
            format!("train.minutes={:?}", self.seconds / 60.0),
            "train.steps=0".to_owned(),
            format!("train.seed={}", self.seed),
        ];
        let config = RunConfig::from_toml(&RunConfig::preset(PRESET)?.to_toml()?, &settings)?;
        let rate = config.frontend.sample_rate;
        let sounds = match &self.data {
            None => Sounds::made_up(rate, self.seed),
            Some(folder) => Sounds::from_folder(folder, rate, self.seed)?,
        };
        println!("A device that learns new sounds from one example each\n");
        let trained = self.learn(config, &sounds)?;
        let exported = self.export(&trained, &sounds)?;
        let model = Inspection::of_file(&exported.slvr)?;
        println!(
            "   Packed, it takes {} of flash and {} of working memory, and {:.1} million \
             multiply-accumulates a path for each second of sound.\n",
            bytes(model.file_bytes),
            bytes(model.ram.arena.unwrap_or(0) + model.ram.clip_buffer),
            page::mega_macs(&model),
        );

        // From here on it is the packed model that listens, as on the device.
        let file = BackboneFile::read(&exported.slvr, Some(Engine::Packed))?;
        let mut engines = (0..rayon::current_num_threads())
            .map(|_| file.backbone())
            .collect::<Result<Vec<_>, _>>()?;
        let (directions, recognition) = teach(&mut engines, &sounds)?;
        let evaluation = measure(&mut engines, &trained, &exported.slvr, &sounds, self.seed)?;
        let findings = Findings {
            sounds,
            trained,
            exported,
            model,
            recognition,
            evaluation,
            directions,
        };
        let report = page::report(&findings, &self);
        let [results, html] = report.write(&self.out)?;
        println!(
            "\nOpen {} to see and read it all; the same figures are in {}.",
            html.display(),
            results.display()
        );
        println!(
            "The models are {} (float) and {} (8 bits).",
            findings.exported.onnx.display(),
            findings.exported.slvr.display()
        );
        println!("{}", self.next_step(&findings.exported.slvr));
        Ok(())
    }

    fn learn(&self, config: RunConfig, sounds: &Sounds) -> Result<Trained> {
        println!(
            "1. Learning to listen. A backbone of preset {PRESET} trains for {:.0} s on {}, without labels.",
            self.seconds, sounds.training_source
        );
        let request = TrainRequest {
            config,
            clips: Arc::new(sounds.training.clone()),
            cache: DecodeCache::NONE,
            out: self.out.join("run"),
            resume: false,
        };
        let mut bar = TrainingBar::new();
        let trained = train(&request, super::interrupt::on_ctrl_c()?, &mut bar)?;
        bar.finish();
        if let (Some(first), Some(last)) = (trained.metrics.first(), trained.metrics.last()) {
            println!(
                "   {} steps. Telling which two views are of one sound: loss {:.2}, at first {:.2}. \
                 Telling which operators changed a sound: {:.0} % right, at first {:.0} %.",
                last.step,
                last.contrastive,
                first.contrastive,
                100.0 * last.label_accuracy,
                100.0 * first.label_accuracy,
            );
        }
        if trained.interrupted {
            println!("   Stopped early: the rest works with what was learned until then.");
        }
        println!();
        Ok(trained)
    }

    fn export(&self, trained: &Trained, sounds: &Sounds) -> Result<crate::export::Exported> {
        println!(
            "2. Exporting to ONNX and packing into 8 bits. The same patches go through every engine:"
        );
        let clips = calibration_mix(&trained.frontend, &sounds.training);
        let exported = export_run(&ExportRequest {
            spec: &trained.config.backbone,
            weights: &trained.weights,
            frontend: &trained.frontend,
            clips: &clips,
            name: "demo",
            provenance: &format!(
                "mtslvr {} demo, {:.0} s on {}, seed {}",
                env!("CARGO_PKG_VERSION"),
                self.seconds,
                sounds.training_source,
                self.seed
            ),
            out: &self.out,
        })?;
        for line in exported.verification.to_string().lines() {
            println!("   {line}");
        }
        Ok(exported)
    }

    fn next_step(&self, slvr: &Path) -> String {
        match &self.data {
            None => "Next, try it on your own recordings: mtslvr demo --data DIR, with a folder for each class in DIR."
                .to_owned(),
            Some(data) => format!(
                "Next, train longer: mtslvr train --data {} --minutes 20, then mtslvr export mtslvr-run, and compare: \
                 mtslvr eval --model {} --data {0}",
                data.display(),
                slvr.display()
            ),
        }
    }
}

/// Enrols the examples, then asks about clips of the same and of other sounds.
fn teach<B>(engines: &mut [B], sounds: &Sounds) -> Result<(Directions, Recognition)>
where
    B: Backbone + Send,
    B::Error: Send,
{
    let rate = engines[0].frontend().sample_rate;
    let LoadedSet { classes, clips, .. } = &sounds.set;
    let names: Vec<&str> = sounds
        .episode
        .classes
        .iter()
        .map(|&c| classes[c].as_str())
        .collect();
    println!("3. Teaching. One example each of {}.", names.join(", "));
    for (name, examples) in names.iter().zip(&sounds.episode.support) {
        for &example in examples {
            Limits::default()
                .check_levels(&clip::levels(&clips[example]), rate)
                .with_context(|| format!("an example of {name} cannot be enrolled"))?;
        }
    }
    let all: Vec<Vec<f32>> = clips.iter().chain(&sounds.strangers).cloned().collect();
    let bar = progress::files(all.len() as u64, "listening");
    let features = embed_clips(engines, &all, || bar.inc(1))
        .map_err(|(_, error)| anyhow!("a clip cannot be embedded: {error}"))?;
    bar.finish_and_clear();
    let head = Head::default();
    let Head::Runtime(kind) = head else {
        unreachable!("the default head is one of the runtime's");
    };
    let mut storage = Enrolment::storage(&sounds.episode, features.dim);
    let mut enrolment = Enrolment::new(&mut storage, kind, &features, &sounds.episode)
        .context("the sounds cannot be enrolled")?;
    let threshold = enrolment.threshold();
    let mut answers = |clips: &[usize]| -> Vec<_> {
        clips
            .iter()
            .map(|&c| enrolment.answer(features.row(c)))
            .collect()
    };
    let known: Vec<_> = names
        .iter()
        .zip(&sounds.episode.queries)
        .map(|(name, clips)| ((*name).to_owned(), answers(clips)))
        .collect();
    let strangers: Vec<usize> = (clips.len()..all.len()).collect();
    let strangers = answers(&strangers);
    let right = |label: usize| {
        known[label]
            .1
            .iter()
            .filter(|a| a.class == Some(label))
            .count()
    };
    println!("\n4. Recognising. Clips that it has never heard:");
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for (label, (name, answers)) in known.iter().enumerate() {
        println!(
            "   {name:width$}  {} of {} right",
            right(label),
            answers.len()
        );
    }
    let rejected = strangers.iter().filter(|a| a.class.is_none()).count();
    println!(
        "   {} that were never enrolled: {rejected} of {} clips answered \"unknown\".\n",
        sounds.strangers_source,
        strangers.len()
    );
    let recognition = Recognition {
        head: head.to_string(),
        threshold,
        recognised: (0..known.len()).map(right).sum(),
        known: known.iter().map(|(_, answers)| answers.len()).sum(),
        rejected,
        strangers: strangers.len(),
        confusion: confusion(&known, &strangers),
    };
    Ok((Directions::of(&features), recognition))
}

/// Few-shot accuracy on everything that was held out, beside the controls.
fn measure<B>(
    engines: &mut [B],
    trained: &Trained,
    model: &Path,
    sounds: &Sounds,
    seed: u64,
) -> Result<Evaluation>
where
    B: Backbone + Send,
    B::Error: Send,
{
    let ways = sounds.set.classes.len().min(5);
    println!(
        "5. Is that good? {TASKS} tasks of {ways} sounds and one example each, drawn from the {} held-out clips,\n   \
         beside controls that learned nothing:",
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
        features: FeatureChoice::Both,
        seed,
    };
    let mut controls = Controls::new(&trained.frontend, Some(&trained.config.backbone), seed)?;
    let steps = sounds.set.clips.len() * controls.rounds();
    let bar = progress::files(steps as u64, "measuring");
    let result = evaluate_set(engines, &mut controls, &sounds.set, &settings, &|| {
        bar.inc(1)
    })?;
    bar.finish_and_clear();
    let evaluation = Evaluation::new(
        model.display().to_string(),
        "packed".into(),
        FeatureChoice::Both.name().into(),
        settings.shape.queries,
        seed,
        vec![result],
        controls.notes,
    );
    let set = &evaluation.sets[0];
    println!(
        "   this model      {:5.1} % ± {:.1}",
        set.accuracy, set.ci95
    );
    println!(
        "   MFCC statistics {:5.1} % ± {:.1}",
        set.mfcc, set.mfcc_ci95
    );
    if let (Some(random), Some(ci95)) = (set.random, set.random_ci95) {
        println!("   random weights  {random:5.1} % ± {ci95:.1}");
    }
    println!("   chance          {:5.1} %", 100.0 / ways as f64);
    Ok(evaluation)
}
