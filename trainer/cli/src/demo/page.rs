//! The demo's findings as a report.

use super::sounds::Sounds;
use super::tested::Tested;
use super::{Args, Findings, PRESET, advice, tested};
use mtslvr_evaluate::report::{
    EmbeddingMap, Fact, Figure, MapPoint, Recognition, Report, Spectrogram, bytes,
    principal_components, spectrogram_data_uri,
};
use mtslvr_runtime::frontend::{Frontend, FrontendConfig};
use mtslvr_train::report::{engine_agreements, training_curves};
use mtslvr_train::train::Trained;

/// Most clips of sounds never enrolled on the map: more would hide the rest.
const MAP_STRANGERS: usize = 60;

/// A count of enrolled sounds as a word.
fn in_words(count: usize) -> &'static str {
    match count {
        2 => "two",
        3 => "three",
        4 => "four",
        5 => "five",
        _ => "several",
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Makes the report of the demo.
pub(super) fn report(findings: &Findings, args: &Args) -> Report {
    let Findings { sounds, tested, .. } = findings;
    let Tested {
        model,
        recognition,
        evaluation,
        ..
    } = findings.first();
    let enrolled = in_words(sounds.episode.classes.len());
    let set = &evaluation.sets[0];
    let percent =
        |part: usize, whole: usize| format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64);
    let figure = |value: String, name: &str, context: String| Figure {
        value,
        name: name.into(),
        context,
    };
    let controls = match set.random {
        Some(random) => format!(
            "± {:.1}; MFCC {:.1} %, random weights {random:.1} %",
            set.ci95, set.mfcc
        ),
        None => format!("± {:.1}; MFCC {:.1} %", set.ci95, set.mfcc),
    };
    let flash = bytes(model.file_bytes);
    Report {
        title: format!("{} sounds from one example each", capitalised(enrolled)),
        summary: summary(findings, args, enrolled),
        headline: vec![
            figure(
                percent(recognition.recognised, recognition.known),
                "recognised",
                format!(
                    "{} of {} unseen clips",
                    recognition.recognised, recognition.known
                ),
            ),
            false_alarms(recognition),
            figure(
                format!("{:.1} %", set.accuracy),
                &format!("{}-way 1-shot accuracy", set.ways),
                controls,
            ),
            figure(
                flash,
                "flash",
                format!(
                    "{} of working memory",
                    bytes(model.ram.arena.unwrap_or(0) + model.ram.clip_buffer)
                ),
            ),
        ],
        facts: facts(findings, args),
        models: tested.iter().map(Tested::findings).collect(),
        map: Some(map(findings)),
        spectrograms: spectrograms(findings),
        curves: findings
            .trained
            .as_ref()
            .map_or(Vec::new(), |trained| training_curves(&trained.metrics)),
        engines: engine_agreements(&findings.exported.verification),
        notes: notes(findings, args),
    }
}

/// Returns the figure that tells a user how often a strange sound will be taken for one of the enrolled.
fn false_alarms(recognition: &Recognition) -> Figure {
    let accepted = recognition.strangers - recognition.rejected;
    let clips = format!(
        "{accepted} of {} strange clips accepted",
        recognition.strangers
    );
    match recognition.false_alarms {
        Some(found) => Figure {
            value: format!("{:.1} an hour", found.per_hour),
            name: "false alarms to expect".into(),
            context: format!(
                "{:.1} to {:.1} (95 %): {clips}, {:.0} strange sounds an hour",
                found.ci95[0], found.ci95[1], found.sounds
            ),
        },
        None => Figure {
            value: "–".into(),
            name: "false alarms to expect".into(),
            context: clips,
        },
    }
}

/// Says what was done with which backbones.
fn summary(findings: &Findings, args: &Args, enrolled: &str) -> String {
    let others = findings.tested[1..].iter();
    let others: Vec<&str> = others
        .map(|tested| tested.evaluation.model.as_str())
        .collect();
    let others = match &others[..] {
        [] => String::new(),
        others => format!(
            " These are its figures; for comparison, the shipped {} did the same.",
            others.join(" and ")
        ),
    };
    match &findings.trained {
        Some(_) => format!(
            "A backbone of preset {PRESET} learned for {:.0} seconds from {}, without labels. Packed into int8, it \
             was shown one example each of {enrolled} sounds that it had not been trained on, and then asked about \
             other clips.{others}",
            args.seconds, findings.sounds.training_source
        ),
        None => format!(
            "The backbone {} that ships with the program, packed into int8, was shown one example each of \
             {enrolled} sounds, and then asked about other clips.{others}",
            findings.first().evaluation.model
        ),
    }
}

/// Lists the limits of the figures.
fn notes(findings: &Findings, args: &Args) -> Vec<String> {
    let mut notes = vec![advice::verdict(&findings.standings(), args.data.is_none())];
    if findings.trained.is_some() {
        notes.push(format!(
            "{:.0} seconds of training are a beginning. The published kind of backbone trains for hours; \
             `mtslvr train` takes as long as you give it.",
            args.seconds
        ));
        notes.push(
            "The enrolled clips, the clips asked about and the clips behind the accuracies were held out of the \
             training here, of the calibration of the int8 values and of the statistics that embeddings are \
             centred with."
                .into(),
        );
    }
    notes.push(
        "The shipped backbones were trained beforehand, on freely licensed recordings and on synthetic sounds of \
         other parameters; their model cards list the sources. None of the clips asked about was among them, \
         unless your recordings are from one of these sources."
            .into(),
    );
    notes.push(format!(
        "The thresholds for “unknown” are calibrated by training audio for as many sounds as are enrolled, and by \
         their examples; {}. The sounds never enrolled are {}. Alarms in streams of recordings, in noise, are \
         measured in models/reports/stream.md of the project.",
        tested::AIM,
        findings.sounds.strangers_source
    ));
    notes
}

fn facts(findings: &Findings, args: &Args) -> Vec<Fact> {
    let mut facts = match &findings.trained {
        Some(trained) => training_facts(trained, &findings.sounds),
        None => vec![Fact::new("Backbone", &findings.first().label)],
    };
    facts.push(Fact::new("Seed", args.seed));
    let version = format!("mtslvr {}", env!("CARGO_PKG_VERSION"));
    facts.push(Fact::new("Made by", version));
    facts
}

fn training_facts(trained: &Trained, sounds: &Sounds) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("Preset", PRESET),
        Fact::new("Trained on", &sounds.training_source),
    ];
    if let Some(last) = trained.metrics.last() {
        let length = format!("{:.0} s, {} steps", last.seconds, last.step);
        let speed = format!("{:.0} patches/s", last.images_per_second);
        facts.push(Fact::new("Trained for", length));
        facts.push(Fact::new("Pairs a step", trained.config.train.batch));
        facts.push(Fact::new("Training speed", speed));
    }
    if trained.interrupted {
        facts.push(Fact::new("Training", "stopped early"));
    }
    facts
}

/// Maps the clips of the enrolled classes, and some of the strangers.
fn map(findings: &Findings) -> EmbeddingMap {
    let sounds = &findings.sounds;
    let directions = &findings.first().directions;
    let mut clips: Vec<(usize, Option<usize>, bool)> = Vec::new();
    for label in 0..sounds.episode.classes.len() {
        let of = |clips: &[usize], enrolled: bool| -> Vec<_> {
            clips
                .iter()
                .map(|&clip| (clip, Some(label), enrolled))
                .collect()
        };
        clips.extend(of(&sounds.episode.support[label], true));
        clips.extend(of(&sounds.episode.queries[label], false));
    }
    let first = sounds.set.clips.len();
    let step = sounds.strangers.len().div_ceil(MAP_STRANGERS).max(1);
    clips.extend(
        (first..directions.len())
            .step_by(step)
            .map(|clip| (clip, None, false)),
    );
    let rows: Vec<Vec<f32>> = clips
        .iter()
        .map(|&(clip, ..)| directions.unit_vector(clip))
        .collect();
    let projection = principal_components(&rows);
    let points = clips.iter().zip(&projection.points);
    EmbeddingMap {
        model: findings.first().label.clone(),
        classes: sounds.enrolled().into_iter().map(str::to_owned).collect(),
        points: points
            .map(|(&(_, class, enrolled), &[x, y])| MapPoint {
                x,
                y,
                class,
                enrolled,
            })
            .collect(),
        explained: projection.explained,
    }
}

/// Shows the example of each enrolled class, then a clip of each that was asked about.
fn spectrograms(findings: &Findings) -> Vec<Spectrogram> {
    let Findings {
        sounds, frontend, ..
    } = findings;
    let episode = &sounds.episode;
    let picture = |class: usize, what: &str, clips: &[usize]| {
        let frames = frames(frontend, &sounds.set.clips[*clips.first()?])?;
        Some(Spectrogram {
            title: format!("{}, {what}", sounds.set.classes[class]),
            image: spectrogram_data_uri(&frames, frontend.mels.into()),
        })
    };
    let rows = [("enrolled", &episode.support), ("asked", &episode.queries)];
    let pictures = rows.into_iter().flat_map(|(what, clips)| {
        let classes = episode.classes.iter().zip(clips);
        classes.filter_map(move |(&class, clips)| picture(class, what, clips))
    });
    pictures.collect()
}

/// Returns the log-mel frames of a clip, one after the other; `None` if the frontend refuses it.
fn frames(frontend: &FrontendConfig, clip: &[f32]) -> Option<Vec<f32>> {
    let mut buffer = vec![0.0; frontend.buffer_len()];
    let mut frames = Vec::new();
    Frontend::new(*frontend, &mut buffer)
        .ok()?
        .push(clip, |frame| frames.extend_from_slice(frame));
    Some(frames)
}
