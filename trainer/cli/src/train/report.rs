//! The report of a finished run.

use super::name_of;
use anyhow::Result;
use mtslvr_evaluate::report::{Fact, Figure, ModelFindings, Report, bytes, model_costs};
use mtslvr_pack::BackboneFile;
use mtslvr_train::export::Exported;
use mtslvr_train::report::{engine_agreements, training_curves};
use mtslvr_train::train::{RunFolder, Trained};

/// Makes the report of a run that was trained on `recordings` and is exported.
pub(super) fn report(
    folder: &RunFolder,
    trained: &Trained,
    exported: &Exported,
    recordings: &[Vec<f32>],
) -> Result<Report> {
    let inspection = BackboneFile::read(&exported.slvr, None)?.inspect()?;
    let name = name_of(folder.root());
    let (audio, length) = (audio(trained, recordings), length(trained));
    let mut notes = vec![
        "Losses say how training went, not how good the features are: mtslvr eval measures that."
            .to_owned(),
    ];
    notes.extend(exported.sharing.note().map(|note| note + "."));
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
        facts: facts(trained, &audio, &length),
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
fn audio(trained: &Trained, recordings: &[Vec<f32>]) -> String {
    let config = &trained.config;
    let rate = f64::from(config.frontend.sample_rate);
    let hours = recordings.iter().map(Vec::len).sum::<usize>() as f64 / rate / 3600.0;
    match recordings.len() {
        0 => "the built-in synthesiser's sounds".to_owned(),
        count => format!(
            "{count} recordings ({hours:.2} h), and in {:.0} % of the pairs the built-in synthesiser's sounds",
            100.0 * config.data.synth_share
        ),
    }
}

/// Says how many steps the run took.
fn length(trained: &Trained) -> String {
    let last = trained.metrics.last().copied().unwrap_or_default();
    format!(
        "{} steps of {} pairs",
        last.step, trained.config.train.batch
    )
}

/// Lists how the run was made.
fn facts(trained: &Trained, audio: &str, length: &str) -> Vec<Fact> {
    let config = &trained.config;
    let last = trained.metrics.last().copied().unwrap_or_default();
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
    if trained.stopped_early {
        facts.push(Fact::new(
            "Ended early",
            "the held-out sets gained nothing more; the weights are those of the best check",
        ));
    }
    facts
}
