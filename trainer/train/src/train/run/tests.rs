use super::*;
use crate::net::PartSpec;
use crate::ssl::TeacherConfig;
use crate::train::teachers::{Answers, Sounds, Teachers};
use crate::train::{MonitorConfig, PRESETS, Start, window_teacher};
use candle_core::Device;
use mtslvr_audio::synth::write_dataset;
use mtslvr_audio::{DecodeCache, Licences, Recordings, UnlabelledSet};
use std::path::Path;

struct Silent;

impl Observer for Silent {
    fn step(&mut self, _done: f64, _row: &MetricsRow) {}
    fn note(&mut self, remark: &str) {
        panic!("{remark}");
    }
}

/// Interrupts after three steps, as Ctrl-C does.
struct Interrupt<'a>(&'a AtomicBool);

impl Observer for Interrupt<'_> {
    fn step(&mut self, _done: f64, row: &MetricsRow) {
        self.0.store(row.step == 3, Ordering::Relaxed);
    }
    fn note(&mut self, remark: &str) {
        assert!(remark.contains("held-out"), "{remark}");
    }
}

fn small(steps: u64) -> RunConfig {
    let settings = [
        "frontend.frames=17",
        "frontend.mels=16",
        "backbone.stem.width=4",
        "backbone.stages=[{ width = 4, blocks = 1, stride = 2 }, { width = 6, blocks = 1, stride = 2 }]",
        "backbone.output={ bands = 2, dim = 8, whitening = 0.5 }",
        "train.batch=6",
    ];
    let mut settings = settings.map(str::to_owned).to_vec();
    settings.push(format!("train.steps={steps}"));
    RunConfig::from_toml(PRESETS[0].1, &settings).unwrap()
}

fn request(out: &Path, steps: u64, resume: bool) -> TrainRequest {
    let config = if resume {
        RunConfig::read(
            &RunFolder::new(out).config(),
            &[format!("train.steps={steps}")],
        )
        .unwrap()
    } else {
        small(steps)
    };
    TrainRequest {
        config,
        recordings: Arc::default(),
        cache: DecodeCache::NONE,
        heard: out.join("teachers"),
        out: out.to_owned(),
        resume,
        start: None,
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let go = AtomicBool::new(false);
    let straight = train(&request(whole.path(), 6, false), &go, &mut Silent).unwrap();

    let stop = AtomicBool::new(false);
    let first = train(
        &request(parts.path(), 6, false),
        &stop,
        &mut Interrupt(&stop),
    )
    .unwrap();
    assert!(first.interrupted);
    let folder = RunFolder::new(parts.path());
    assert!(
        folder.checkpoint().exists() && folder.load().is_ok(),
        "an interrupted run is usable"
    );
    let resumed = train(&request(parts.path(), 6, true), &go, &mut Silent).unwrap();
    assert_eq!(straight.weights, resumed.weights);
    assert_eq!(folder.load().unwrap().1, resumed.weights);
}

#[test]
fn a_run_with_backgrounds_and_pairs_of_one_thing_resumes_to_the_same_bits() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = tempfile::tempdir().unwrap();
    write_dataset(data.path(), 3, 3, 0.6, 1).unwrap();
    let mut manifest = "path,same\n".to_owned();
    for class in std::fs::read_dir(data.path()).unwrap() {
        let class = class.unwrap().file_name().into_string().unwrap();
        for clip in 0..3 {
            manifest += &format!("{class}/{clip:03}.wav,{class}\n");
        }
    }
    std::fs::write(data.path().join("manifest.csv"), manifest).unwrap();
    let set = UnlabelledSet::for_training(&[data.path()], Licences::Any).unwrap();
    let (recordings, _) = set.load_all(16_000, &DecodeCache::NONE, |_| ());
    assert_eq!(recordings.groups.len(), 3);
    let recordings = Arc::new(recordings);
    let request = |out: &Path, resume| {
        let mut request = request(out, 6, resume);
        request.recordings = recordings.clone();
        request.config.pairs.same = 0.5;
        let environment = &mut request.config.environment;
        environment.background.probability = 0.7;
        environment.background.predictive_snr_db = Some(15.0);
        environment.tilt.probability = 0.5;
        environment.level.probability = 0.5;
        environment.shift.probability = 0.5;
        request
    };
    let go = AtomicBool::new(false);
    let straight = train(&request(whole.path(), false), &go, &mut Silent).unwrap();
    let stop = AtomicBool::new(false);
    train(&request(parts.path(), false), &stop, &mut Interrupt(&stop)).unwrap();
    let resumed = train(&request(parts.path(), true), &go, &mut Silent).unwrap();
    assert_eq!(straight.weights, resumed.weights);
    let kept = RunConfig::read(&RunFolder::new(parts.path()).config(), &[]).unwrap();
    assert_eq!(kept.environment, straight.config.environment);
    assert_eq!(kept.pairs.same, 0.5);
}

/// Keeps what it is told.
#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn step(&mut self, _done: f64, _row: &MetricsRow) {}
    fn note(&mut self, remark: &str) {
        self.0.push(remark.to_owned());
    }
}

#[test]
fn checks_on_held_out_sets_are_logged_and_may_end_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let set = directory.path().join("set");
    write_dataset(&set, 3, 4, 0.4, 1).unwrap();
    let request = |name: &str, resume| {
        let mut request = request(&directory.path().join(name), 60, resume);
        request.config.monitor = MonitorConfig {
            sets: vec![set.clone()],
            every: 2,
            ways: 2,
            tasks: 20,
            patience: 2,
            ..MonitorConfig::default()
        };
        // The weights stay as they are and only the norms settle: soon no check is better.
        request.config.train.learning_rate = 0.0;
        request
    };
    let go = AtomicBool::new(false);
    let mut notes = Notes::default();
    let trained = train(&request("whole", false), &go, &mut notes).unwrap();
    assert!(trained.stopped_early && !trained.interrupted);
    assert!(notes.0[0].contains("step 2: "), "{:?}", notes.0);
    let last = trained.metrics.last().unwrap();
    assert!(last.step < 60 && (0.0..=100.0).contains(&last.few_shot));
    let folder = RunFolder::new(&directory.path().join("whole"));
    let best = checkpoint::load_weights(&folder.best()).unwrap();
    let name = "stem.conv.weight";
    assert_eq!(best[name], trained.weights[name]);

    // Interrupted and resumed it checks at the same steps and ends at the same one.
    let stop = AtomicBool::new(false);
    let first = train(&request("parts", false), &stop, &mut Interrupt(&stop)).unwrap();
    assert!(first.interrupted);
    let resumed = train(&request("parts", true), &go, &mut notes).unwrap();
    assert_eq!(resumed.metrics.last().unwrap().step, last.step);
    assert_eq!(resumed.weights, trained.weights);
}

#[test]
fn a_taught_run_nears_its_teacher_and_resumes_to_the_same_bits() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let request = |out: &Path, resume| {
        let mut request = request(out, 30, resume);
        let teacher = TeacherConfig {
            model: Some("edge-s".into()),
            ..TeacherConfig::default()
        };
        let teachers = &mut request.config.objective.teachers;
        teachers.insert("small".into(), teacher);
        request.config.train.batch = 8;
        request.config.train.learning_rate = 5e-3;
        request
    };
    let go = AtomicBool::new(false);
    let straight = train(&request(whole.path(), false), &go, &mut Silent).unwrap();
    let rows = &straight.metrics;
    assert!(
        rows[rows.len() - 1].teachers["small"] < rows[0].teachers["small"] - 0.02,
        "{rows:?}"
    );

    let stop = AtomicBool::new(false);
    train(&request(parts.path(), false), &stop, &mut Interrupt(&stop)).unwrap();
    let resumed = train(&request(parts.path(), true), &go, &mut Silent).unwrap();
    assert_eq!(straight.weights, resumed.weights);
}

/// A run whose parts learn from two models of waveforms, on clips of many lengths.
fn taught_request(out: &Path, steps: u64, resume: bool) -> TrainRequest {
    let mut request = request(out, steps, resume);
    if !resume {
        let teacher = out.join("teacher.onnx");
        std::fs::write(&teacher, window_teacher::tests::model(None, 4000, 24)).unwrap();
        let mut settings = Vec::new();
        for (part, dim) in [("a", 6), ("b", 9)] {
            settings.push(format!(
                "objective.teachers.{part}={{ part = {part:?}, model = {teacher:?}, weight = 2.0 }}"
            ));
            request.config.backbone.parts.push(PartSpec {
                name: part.into(),
                dim,
                learned: None,
                path: 0,
                whitening: 0.5,
            });
        }
        let text = request.config.to_toml().unwrap();
        request.config = RunConfig::from_toml(&text, &settings).unwrap();
        request.config.train.batch = 8;
        request.config.train.learning_rate = 5e-3;
    }
    let clips = window_teacher::tests::clips(12, 30_000);
    request.recordings = Arc::new(Recordings::from(clips));
    request
}

#[test]
fn parts_near_their_teachers_and_a_run_resumes_to_the_same_bits() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let go = AtomicBool::new(false);
    let mut notes = Notes::default();
    let straight = train(&taught_request(whole.path(), 60, false), &go, &mut notes).unwrap();
    assert!(
        notes.0.iter().any(|note| note.contains("teacher b: ")),
        "{:?}",
        notes.0
    );
    let rows = &straight.metrics;
    for part in ["a", "b"] {
        let [first, last] = [0, rows.len() - 1].map(|row| rows[row].teachers[part]);
        assert!(last < first - 0.05, "{part}: {first} {last}");
    }
    assert_eq!(straight.trunk.spec().embedding_dim(), 2 * 8 + 6 + 9);

    // Stopped before the teachers have heard all, then while it trains.
    let stop = AtomicBool::new(true);
    let first = train(&taught_request(parts.path(), 60, false), &stop, &mut notes).unwrap();
    assert!(first.interrupted && first.metrics.is_empty());
    let stop = AtomicBool::new(false);
    struct StopAt<'a>(&'a AtomicBool);
    impl Observer for StopAt<'_> {
        fn step(&mut self, _done: f64, row: &MetricsRow) {
            self.0.store(row.step == 3, Ordering::Relaxed);
        }
        fn note(&mut self, _remark: &str) {}
    }
    let request = |resume| taught_request(parts.path(), 60, resume);
    let second = train(&request(true), &stop, &mut StopAt(&stop)).unwrap();
    assert_eq!(second.metrics.last().unwrap().step, 3);
    let resumed = train(&request(true), &go, &mut notes).unwrap();
    assert_eq!(straight.weights, resumed.weights);
}

#[test]
fn synthesised_sounds_have_no_target_and_recordings_that_of_their_window() {
    let directory = tempfile::tempdir().unwrap();
    let request = taught_request(directory.path(), 1, false);
    let config = &request.config;
    let frontend = config.frontend.to_config();
    let sounds = Sounds {
        clips: &request.recordings.clips,
        frontend: &frontend,
        folder: &request.heard,
    };
    let go = AtomicBool::new(false);
    let opened = || Teachers::open(config, sounds, &go, &mut Notes::default()).unwrap();
    let batch = |synth_share| {
        let Teachers { teachers, rule, .. } = opened();
        let mut config = config.clone();
        config.data.synth_share = synth_share;
        let source = PairSource::new(request.recordings.clone(), &config).unwrap();
        source.with_teachers(teachers, rule).batch(3, 64).unwrap()
    };
    let mixed = batch(0.5);
    assert_eq!(mixed.answers.len(), 2);
    for Answers { dim, rows, counted } in &mixed.answers {
        let counted = counted.as_ref().unwrap();
        assert!((30.0..98.0).contains(&counted.iter().sum::<f32>()));
        // Both views of a pair are of one kind.
        assert_eq!(counted[..64], counted[64..]);
        for (row, counted) in rows.chunks(*dim).zip(counted) {
            let length: f32 = row.iter().map(|x| x * x).sum();
            assert!((length - counted).abs() < 1e-5);
        }
    }
    let answers = &batch(1.0).answers[0];
    assert!(answers.rows.iter().all(|&x| x == 0.0));
}

#[test]
fn a_run_may_start_from_trained_weights_and_keep_what_its_parts_told() {
    let directory = tempfile::tempdir().unwrap();
    let folder = |name: &str| directory.path().join(name);
    std::fs::create_dir(folder("taught")).unwrap();
    let go = AtomicBool::new(false);
    let mut notes = Notes::default();
    let taught = taught_request(&folder("taught"), 4, false);
    let taught = train(&taught, &go, &mut notes).unwrap();
    let start = Start::read(&folder("taught")).unwrap();
    assert_eq!(start.weights, taught.weights);

    let adapt = |name: &str, steps, resume| {
        let mut request = taught_request(&folder("taught"), steps, true);
        request.config = match resume {
            true => RunConfig::read(&RunFolder::new(&folder(name)).config(), &[]).unwrap(),
            false => start.adapted(),
        };
        request.config.objective.teachers.clear();
        request.config.train.steps = steps;
        request.config.train.learning_rate = 0.0;
        request.out = folder(name);
        request.resume = resume;
        request.start = (!resume).then(|| start.weights.clone());
        request
    };
    // Nothing is learned, so the parts tell what they told, up to the norms' statistics.
    let kept = train(&adapt("kept", 2, false), &go, &mut Silent).unwrap();
    assert_eq!(
        kept.weights["part.a.weight"],
        start.weights["part.a.weight"]
    );
    assert_eq!(
        kept.weights["projector.out.weight"],
        start.weights["projector.out.weight"]
    );
    let row = kept.metrics.last().unwrap();
    assert!(row.kept < 0.5 && row.teachers.is_empty(), "{row:?}");
    let mut longer = adapt("kept", 4, true);
    longer.config.train.learning_rate = 1e-3;
    let longer = train(&longer, &go, &mut Silent).unwrap();
    assert!(longer.metrics.last().unwrap().kept > 0.0);
    assert_ne!(
        longer.weights["part.a.weight"],
        start.weights["part.a.weight"]
    );

    // No step at all: another output is measured on the same weights.
    let mut measured = adapt("measured", 0, false);
    measured.config.train.minutes = 0.0;
    let output = measured.config.backbone.output.as_mut().unwrap();
    (output.dim, output.within) = (5, 1.0);
    measured.config.backbone.parts[1].learned = Some(9);
    measured.config.backbone.parts[1].dim = 4;
    let measured = train(&measured, &go, &mut Silent).unwrap();
    assert!(!measured.interrupted);
    for (name, (shape, _)) in &start.weights {
        let (found, values) = &measured.weights[name];
        let expected = match &**name {
            "whitening.0.weight" | "whitening.1.weight" => &[5, 12][..],
            "whitening.0.bias" | "whitening.1.bias" => &[5],
            "part.b.whitening.weight" => &[4, 9],
            "part.b.whitening.bias" => &[4],
            _ => shape,
        };
        assert_eq!(found, expected, "{name}");
        let is_measured = ["whitening", ".mean", ".var"]
            .iter()
            .any(|m| name.contains(m));
        assert!(is_measured || *values == start.weights[name].1, "{name}");
    }
    let mut nothing = request(&folder("nothing"), 0, false);
    nothing.config.train.minutes = 0.0;
    let error = train(&nothing, &go, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("--from"), "{error}");

    // A run of random weights has nothing to keep.
    let mut without = adapt("without", 2, false);
    without.start = None;
    let error = train(&without, &go, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("no teacher teaches the part a"), "{error}");
    // Other trunks do not fit, other heads begin anew.
    let mut wider = adapt("wider", 2, false);
    wider.config.backbone.stem.width = 6;
    let error = format!("{:#}", train(&wider, &go, &mut Silent).unwrap_err());
    assert!(error.contains("another [backbone]"), "{error}");
    let mut heads = adapt("heads", 2, false);
    heads.config.objective.projector_out = 20;
    let mut notes = Notes::default();
    train(&heads, &go, &mut notes).unwrap();
    assert!(notes.0[0].contains("projector.out"), "{:?}", notes.0);
}

#[test]
fn teachers_that_have_nothing_to_hear_or_no_file_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let go = AtomicBool::new(false);
    let error = |change: &dyn Fn(&mut TrainRequest)| {
        let mut request = taught_request(directory.path(), 1, false);
        change(&mut request);
        let trained = train(&request, &go, &mut Notes::default());
        format!("{:#}", trained.unwrap_err())
    };
    let nothing = error(&|request| request.recordings = Arc::default());
    assert!(
        nothing.contains("name folders of them with --data"),
        "{nothing}"
    );
    let teachers = |request: &mut TrainRequest| {
        let teachers = &mut request.config.objective.teachers;
        teachers.get_mut("b").unwrap().model = None;
    };
    let file = error(&teachers);
    assert!(file.contains("--teacher b=FILE"), "{file}");
    let rate = error(&|request| {
        request.config.frontend.sample_rate = 8000;
        request.config.frontend.f_max = 4000.0;
    });
    assert!(rate.contains("hears sound at 16000 Hz"), "{rate}");
}

#[test]
fn losses_that_are_not_finite_end_a_run_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let go = AtomicBool::new(false);
    train(&request(directory.path(), 2, false), &go, &mut Silent).unwrap();
    // A network that has diverged.
    let path = RunFolder::new(directory.path()).checkpoint();
    let mut state = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let weight = state.get_mut("network.projector.out.weight").unwrap();
    *weight = (weight.clone() * f64::NAN).unwrap();
    crate::train::checkpoint::write(&path, &state).unwrap();
    let request = request(directory.path(), 40, true);
    let mut notes = Notes::default();
    let error = train(&request, &go, &mut notes).unwrap_err().to_string();
    assert!(notes.0[0].contains("step 3 is left out: "), "{:?}", notes.0);
    assert!(error.contains("10 steps in a row") && error.contains("train.learning_rate"));
}

#[test]
fn training_lowers_both_losses() {
    let directory = tempfile::tempdir().unwrap();
    let go = AtomicBool::new(false);
    let mut request = request(directory.path(), 60, false);
    request.config.train.batch = 16;
    request.config.train.learning_rate = 5e-3;
    let trained = train(&request, &go, &mut Silent).unwrap();
    let (first, last) = (
        &trained.metrics[0],
        &trained.metrics[trained.metrics.len() - 1],
    );
    assert!(
        last.contrastive < first.contrastive - 0.1,
        "{first:?} {last:?}"
    );
    assert!(last.predictive < first.predictive, "{first:?} {last:?}");
}
