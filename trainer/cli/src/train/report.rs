//! The report of a finished run.

use super::super::recordings::describe;
use super::name_of;
use anyhow::Result;
use mtslvr_audio::Recordings;
use mtslvr_evaluate::report::{Fact, Figure, ModelFindings, Report, bytes, model_costs};
use mtslvr_pack::BackboneFile;
use mtslvr_train::augment::EnvironmentConfig;
use mtslvr_train::export::Exported;
use mtslvr_train::report::{engine_agreements, training_curves};
use mtslvr_train::train::{RunFolder, Trained};

/// Makes the report of a run that was trained on `recordings` and is exported.
pub(super) fn report(
    folder: &RunFolder,
    trained: &Trained,
    exported: &Exported,
    recordings: &Recordings,
) -> Result<Report> {
    let inspection = BackboneFile::read(&exported.slvr, None)?.inspect()?;
    let name = name_of(folder.root());
    let (audio, length) = (audio(trained, recordings), length(trained));
    let notes = vec![
        "Losses say how training went, not how good the features are: mtslvr eval measures that."
            .to_owned(),
    ];
    // The packed engine is compared last, and int8 is what a user wants to know about.
    let packed = exported.verification.engines.last();
    let headline = packed.map(|packed| Figure {
        value: format!("{:.4}", packed.cosine),
        name: "least cosine of int8 and float embeddings".into(),
        context: format!("{} of flash", bytes(inspection.file_bytes)),
    });
    Ok(Report {
        title: format!("Training run {name}"),
        summary: format!("A backbone trained on {audio}: {length}."),
        headline: headline.into_iter().collect(),
        facts: facts(trained, recordings, &audio, &length),
        curves: training_curves(&trained.metrics),
        engines: engine_agreements(&exported.verification),
        models: vec![ModelFindings {
            label: name,
            costs: model_costs(&inspection),
            ..ModelFindings::default()
        }],
        notes,
        ..Report::default()
    })
}

/// Describes the sounds that the run was trained on.
fn audio(trained: &Trained, recordings: &Recordings) -> String {
    let config = &trained.config;
    if recordings.clips.is_empty() {
        return "the built-in synthesiser's sounds".to_owned();
    }
    format!(
        "{}, and in {:.0} % of the pairs the built-in synthesiser's sounds",
        describe(recordings, config.frontend.sample_rate),
        100.0 * config.data.synth_share
    )
}

/// Says how many steps the run took.
fn length(trained: &Trained) -> String {
    let last = trained.metrics.last().cloned().unwrap_or_default();
    format!(
        "{} steps of {} pairs",
        last.step, trained.config.train.batch
    )
}

/// Lists how the run was made.
fn facts(trained: &Trained, recordings: &Recordings, audio: &str, length: &str) -> Vec<Fact> {
    let config = &trained.config;
    let last = trained.metrics.last().cloned().unwrap_or_default();
    let mut facts = vec![
        Fact::new("Trained on", audio),
        Fact::new("Trained for", format!("{:.0} s, {length}", last.seconds)),
        Fact::new(
            "Training speed",
            format!("{:.0} patches/s", last.images_per_second),
        ),
        Fact::new(
            "Waiting for data",
            format!("{:.1} % of the time", 100.0 * last.waiting),
        ),
        Fact::new("Tasks", format!("{:?}", config.objective.tasks)),
        Fact::new(
            "Contrastive loss",
            format!("{:?}", config.objective.contrastive),
        ),
        Fact::new(
            "Adapters",
            format!(
                "{:?} from stage {}",
                config.backbone.adapters.kind, config.backbone.adapters.from_stage
            ),
        ),
        Fact::new("Seed", config.train.seed),
        Fact::new("Made by", format!("mtslvr {}", env!("CARGO_PKG_VERSION"))),
    ];
    if config.pairs.same > 0.0 && !recordings.groups.is_empty() {
        let share = format!("{:.1} % of all pairs", 100.0 * config.pairs.same);
        facts.push(Fact::new("Pairs of two recordings of one thing", share));
    }
    if !config.environment.is_off() {
        facts.push(Fact::new("Environment", environment(&config.environment)));
    }
    if trained.stopped_early {
        facts.push(Fact::new(
            "Ended early",
            "the held-out sets gained nothing more; the weights are those of the best check",
        ));
    }
    facts
}

/// Describes what the views sound in and through, for a sentence.
fn environment(config: &EnvironmentConfig) -> String {
    let EnvironmentConfig {
        background,
        level,
        tilt,
        shift,
    } = config;
    let percent = |probability: f32| format!("{:.0} % of the views", 100.0 * probability);
    let range = |[low, high]: [f32; 2]| format!("{low} to {high} dB");
    let parts = [
        (
            background.probability,
            format!(
                "a background at an SNR of {}, {:.0} % of them noise",
                range(background.snr_db),
                100.0 * background.noise_share
            ),
        ),
        (
            tilt.probability,
            format!(
                "a spectrum tilted by {} an octave",
                range(tilt.db_per_octave)
            ),
        ),
        (
            level.probability,
            match level.peak {
                true => format!("a peak of {}", range(level.range_db)),
                false => format!("a gain of {}", range(level.range_db)),
            },
        ),
        (
            shift.probability,
            format!("a beginning up to {} s earlier or later", shift.seconds),
        ),
    ];
    let parts = parts
        .into_iter()
        .filter(|(probability, _)| *probability > 0.0);
    let parts: Vec<String> = parts
        .map(|(probability, part)| format!("{part} in {}", percent(probability)))
        .collect();
    parts.join("; ")
}
