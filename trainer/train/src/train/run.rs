//! The training loop: a run folder in, trained weights out.

use super::averages::Averages;
use super::checkpoint::{self, Progress};
use super::config::RunConfig;
use super::folder::RunFolder;
use super::metrics::{MetricsLog, MetricsRow};
use super::monitor::Monitor;
use super::optimiser::AdamW;
use super::pairs::{Batch, PairSource, normalisation};
use super::schedule::warmup_cosine;
use super::teachers::{Answers, Sounds, Teachers};
use super::tensorboard::EventLog;
use crate::augment::OPERATORS;
use crate::net::{Mode, Parameters, Trunk, Weights, keep_freed_memory};
use crate::ssl::{Lesson, Loss, Objective, Views};
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_audio::{DecodeCache, Recordings};
use mtslvr_runtime::frontend::FrontendConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// Patches that the features' mean and deviation are measured on.
const NORMALISATION_PATCHES: usize = 1024;
/// Clean patches that batch norm's statistics are taken from after training.
const STATISTICS_PATCHES: usize = 2048;
/// Batches made ahead of the step that needs them.
const PREFETCH: usize = 3;
/// Losses in a row that are not finite before a run gives up.
const PATIENCE: u32 = 10;
/// Clean patches whose mean embedding the checks on held-out sets centre by.
const REFERENCE_PATCHES: usize = 256;

/// What to train, on what, and where to.
#[derive(Clone, Debug)]
pub struct TrainRequest {
    /// Configuration; its normalisation is measured where it is left open.
    pub config: RunConfig,
    /// Recordings at the frontend's sample rate; may be empty.
    pub recordings: Arc<Recordings>,
    /// For the recordings of the held-out sets.
    pub cache: DecodeCache,
    /// Folder for what teachers say of the recordings, made if it is needed.
    pub heard: PathBuf,
    /// The run folder, made if it is not there.
    pub out: PathBuf,
    /// Go on from the folder's checkpoint.
    pub resume: bool,
    /// Weights to start from, in place of random ones; not looked at where `resume` is set.
    pub start: Option<Weights>,
}

/// What the loop tells its caller.
pub trait Observer {
    /// Called after every step with the share of the run that is done (0 to 1) and the newest
    /// averages.
    fn step(&mut self, done: f64, row: &MetricsRow);
    /// Called as a teacher hears the recordings before training, with how many of the windows that it
    /// has not heard in an earlier run are done.
    fn hearing(&mut self, _teacher: &str, _heard: usize, _windows: usize) {}
    /// A remark worth a line: a skipped batch, a written checkpoint that failed.
    fn note(&mut self, remark: &str);
}

/// How a run ended, and what it left.
#[derive(Debug)]
pub struct Trained {
    /// The configuration with measured normalisation.
    pub config: RunConfig,
    /// The same as the runtime takes it.
    pub frontend: FrontendConfig,
    /// The trunk, for embedding with candle.
    pub trunk: Arc<Trunk>,
    /// All weights by name.
    pub weights: Weights,
    /// Every row of `metrics.csv`.
    pub metrics: Vec<MetricsRow>,
    /// Whether `stop` ended the run before its time.
    pub interrupted: bool,
    /// Whether the checks on held-out sets did, and the weights are those of the best one.
    pub stopped_early: bool,
}

/// Trains until the configured length is reached or `stop` is set. Either way a checkpoint and the
/// weights so far are in the run folder afterwards.
pub fn train(
    request: &TrainRequest,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    let folder = RunFolder::new(&request.out);
    std::fs::create_dir_all(&request.out)
        .with_context(|| format!("cannot make the folder {}", request.out.display()))?;
    let mut config = request.config.clone();
    config.check()?;
    let seed = config.train.seed;
    let source = PairSource::new(request.recordings.clone(), &config)?;
    if let Some(remark) = source.remark() {
        observer.note(&remark);
    }
    let source = if config.frontend.mean.is_none() || config.frontend.scale.is_none() {
        (config.frontend.mean, config.frontend.scale) = (None, None);
        let plain = source.with_frontend(config.frontend.to_config());
        let (mean, scale) = normalisation(&plain.clean_patches(NORMALISATION_PATCHES));
        (config.frontend.mean, config.frontend.scale) = (Some(mean), Some(scale));
        plain
    } else {
        source
    };
    let frontend = config.frontend.to_config();
    let sounds = Sounds {
        clips: &request.recordings.clips,
        frontend: &frontend,
        folder: &request.heard,
    };
    let Teachers {
        taught,
        teachers,
        rule,
    } = Teachers::open(&config, sounds, stop, observer)?;
    let source = source.with_frontend(frontend);
    let source = Arc::new(source.with_teachers(teachers, rule));
    keep_freed_memory();
    let device = config.train.device.open()?;
    let mut parameters = Parameters::new(config.train.seed, &device);
    let mut objective = Objective::new(
        &config.objective,
        &config.backbone,
        OPERATORS,
        &taught,
        &mut parameters,
    )?;
    let start = if !request.resume {
        request.start.clone()
    } else if folder.start().exists() {
        Some(checkpoint::load_weights(&folder.start())?)
    } else {
        None
    };
    if start.is_none() {
        check_taught(&config)?;
    }
    let (mut optimiser, mut progress) = if request.resume {
        checkpoint::load(&folder.checkpoint(), &parameters)?
    } else {
        if let Some(start) = &start {
            start_from(start, &parameters, observer)?;
            checkpoint::save_weights(&folder.start(), start.clone())?;
        }
        (AdamW::default(), Progress::default())
    };
    if let Some(start) = &start {
        objective.keep(start, &device)?;
    }
    write_bytes(&folder.config(), config.to_toml()?.as_bytes())
        .with_context(|| format!("cannot write {}", folder.config().display()))?;
    let mut log = MetricsLog::open(
        &folder.metrics(),
        config.objective.teachers.keys().map(String::as_str),
        request.resume.then_some(progress.step),
    )?;
    let mut events = EventLog::open(&folder.events(), log.rows())?;
    let monitor = Monitor::open(
        &config.monitor,
        frontend,
        &request.cache,
        source.clean_patches(REFERENCE_PATCHES),
        seed,
    )?;
    let patience = config.monitor.patience;
    let exhausted = |progress: Progress| patience > 0 && progress.stale >= patience;

    let batches = prefetch(source.clone(), progress.step, config.train.batch);
    let mut averages = Averages::default();
    let (mut last_checkpoint, mut failures) = (progress.seconds, 0);
    let mut clock = Instant::now();
    while done(&config, progress) < 1.0 && !exhausted(progress) && !stop.load(Ordering::Relaxed) {
        let batch = batches
            .recv()
            .context("the thread that makes batches has ended")??;
        let waited = clock.elapsed().as_secs_f64();
        let rate = config.train.learning_rate
            * warmup_cosine(done(&config, progress), config.train.warmup);
        let taken = in_pool(|| {
            step(
                &config,
                &objective,
                &parameters,
                &mut optimiser,
                &batch,
                rate,
            )
        });
        match taken {
            Ok((loss, norm)) => {
                failures = 0;
                averages.add(&loss, norm, config.train.batch);
            }
            Err(Skipped(reason)) => {
                failures += 1;
                observer.note(&format!("step {} is left out: {reason}", progress.step + 1));
                if failures >= PATIENCE {
                    bail!(
                        "{failures} steps in a row failed, the last one because {reason}; try a lower \
                         train.learning_rate (now {})",
                        config.train.learning_rate
                    );
                }
            }
        }
        progress.step += 1;
        let seconds = clock.elapsed().as_secs_f64();
        clock = Instant::now();
        progress.seconds += seconds;
        averages.time(seconds, waited);
        let due =
            progress.step.is_multiple_of(config.monitor.every) || done(&config, progress) >= 1.0;
        if let Some(monitor) = monitor.as_ref().filter(|_| due) {
            let accuracy = monitor.accuracy(&objective.trunk)?;
            averages.measured(accuracy);
            observer.note(&format!(
                "step {}: {accuracy:.1} % on the held-out sets",
                progress.step
            ));
            progress.stale += 1;
            if accuracy > progress.best {
                (progress.best, progress.stale) = (accuracy, 0);
                if patience > 0 {
                    checkpoint::save_weights(&folder.best(), parameters.to_weights()?)?;
                }
            }
            // Checks are no training: they do not count where its length is given in minutes.
            clock = Instant::now();
        }
        let row = averages.row(progress, rate);
        observer.step(done(&config, progress), &row);
        if averages.is_full() {
            events.add(&row)?;
            log.add(row)?;
            averages = Averages::default();
        }
        if progress.seconds - last_checkpoint >= config.train.checkpoint_seconds {
            last_checkpoint = progress.seconds;
            // A full disk may have room again before the run ends: the checkpoint before is whole.
            if let Err(error) =
                checkpoint::save(&folder.checkpoint(), &parameters, &optimiser, progress)
            {
                observer.note(&format!("{error:#}"));
            }
        }
    }
    drop(batches);
    if !averages.is_empty() {
        let row = averages.row(progress, 0.0);
        events.add(&row)?;
        log.add(row)?;
    }
    checkpoint::save(&folder.checkpoint(), &parameters, &optimiser, progress)?;
    let stopped_early = exhausted(progress) && done(&config, progress) < 1.0;
    let interrupted = done(&config, progress) < 1.0 && !stopped_early;
    if patience > 0 && progress.best > 0.0 && !interrupted {
        parameters.load(&checkpoint::load_weights(&folder.best())?)?;
    }

    // The running statistics of training are those of augmented views; in use the network meets
    // clean sounds.
    let clean = source.clean_patches(STATISTICS_PATCHES);
    let size = (2 * config.train.batch).min(clean.len());
    let (frames, mels) = (usize::from(frontend.frames), usize::from(frontend.mels));
    let batches = clean
        .chunks_exact(size)
        .map(|patches| objective.trunk.batch(patches, frames, mels));
    let batches: Vec<Tensor> = batches.collect::<candle_core::Result<_>>()?;
    objective.trunk.settle(&batches)?;
    let weights = parameters.to_weights()?;
    checkpoint::save_weights(&folder.weights(), weights.clone())?;
    Ok(Trained {
        frontend,
        trunk: objective.trunk,
        weights,
        metrics: log.rows().to_vec(),
        interrupted,
        stopped_early,
        config,
    })
}

/// Refuses a part that nothing would teach.
fn check_taught(config: &RunConfig) -> Result<()> {
    let taught = |name: &str| {
        let mut teachers = config.objective.teachers.values();
        teachers.any(|teacher| teacher.part.as_deref() == Some(name))
    };
    match config
        .backbone
        .parts
        .iter()
        .find(|part| !taught(&part.name))
    {
        None => Ok(()),
        Some(part) => bail!(
            "no teacher teaches the part {name}; add [objective.teachers.{name}] with part = {name:?}, or leave the \
             part out",
            name = part.name
        ),
    }
}

/// Sets `parameters` from the weights of another run. Heads and parts that it lacks begin anew, with a
/// remark; what the paths are made of has to be there.
fn start_from(start: &Weights, parameters: &Parameters, observer: &mut dyn Observer) -> Result<()> {
    let missing = parameters.load_known(start)?;
    let needed = |name: &&String| {
        let trunk = ["stem.", "stages.", "output.", "whitening."];
        trunk.iter().any(|start| name.starts_with(start))
    };
    if let Some(name) = missing.iter().find(needed) {
        bail!(
            "the weights to start from lack {name}, or have another shape of it: they are of another [backbone]"
        );
    }
    let mut layers: Vec<&str> = missing
        .iter()
        .map(|name| {
            name.rsplit_once('.')
                .map_or(name.as_str(), |(layer, _)| layer)
        })
        .collect();
    layers.dedup();
    if !layers.is_empty() {
        observer.note(&format!(
            "the weights to start from lack these layers, which begin anew: {}",
            layers.join(", ")
        ));
    }
    Ok(())
}

/// Why a step was not taken.
struct Skipped(String);

impl<E: std::fmt::Display> From<E> for Skipped {
    fn from(error: E) -> Self {
        Self(format!("{error:#}"))
    }
}

/// Does `work` on a thread of the pool, where the operators of a step share theirs out: handing each of
/// them over from outside takes a twentieth of a step. A pool of one thread is left to who makes the
/// next batch meanwhile.
pub fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() > 1 {
        rayon::scope(|_| work())
    } else {
        work()
    }
}

/// One optimiser step; returns the loss and the gradient's length.
fn step(
    config: &RunConfig,
    objective: &Objective,
    parameters: &Parameters,
    optimiser: &mut AdamW,
    batch: &Batch,
    rate: f64,
) -> Result<(Loss, f64), Skipped> {
    let (frames, mels) = (
        usize::from(config.frontend.frames),
        usize::from(config.frontend.mels),
    );
    let views = 2 * config.train.batch;
    let device = parameters.device();
    let lesson = |answers: &Answers| -> candle_core::Result<Lesson> {
        let counted = answers.counted.as_ref();
        Ok(Lesson {
            targets: Tensor::from_slice(&answers.rows, (views, answers.dim), device)?,
            counted: counted
                .map(|counted| Tensor::from_slice(counted, views, device))
                .transpose()?,
        })
    };
    let background = config.environment.background;
    let predicted = background.predictive_snr_db.map(|least| {
        let snrs = (0u32..).zip(&batch.snr_db);
        let rows: Vec<u32> = snrs
            .filter(|(_, snr)| **snr >= least)
            .map(|(view, _)| view)
            .collect();
        Tensor::from_slice(&rows, rows.len(), device)
    });
    let lessons = batch.answers.iter().map(lesson);
    let by_operator = |values: &[f32]| Tensor::from_slice(values, (views, OPERATORS), device);
    let views = Views {
        patches: Tensor::from_slice(&batch.patches, (views, frames, mels), device)?,
        labels: by_operator(&batch.labels)?,
        parameters: by_operator(&batch.parameters)?,
        predicted: predicted.transpose()?,
        lessons: lessons.collect::<candle_core::Result<_>>()?,
    };
    let mode = Mode::Train {
        momentum: config.train.norm_momentum,
    };
    let loss = objective.loss(&views, mode)?;
    let total: f32 = loss.total.to_scalar()?;
    if !total.is_finite() {
        return Err(Skipped(format!("the loss is {total}")));
    }
    let gradients = loss.total.backward()?;
    let norm = optimiser.update(
        parameters,
        &gradients,
        rate,
        config.train.weight_decay,
        config.train.clip_norm,
    )?;
    Ok((loss, norm))
}

/// Share of the run that is done, by steps or by minutes.
fn done(config: &RunConfig, progress: Progress) -> f64 {
    let done = match config.train.steps {
        0 => progress.seconds / (config.train.minutes * 60.0),
        steps => progress.step as f64 / steps as f64,
    };
    done.min(1.0)
}

/// Makes batches from number `first` on, in order, on a thread of their own.
fn prefetch(source: Arc<PairSource>, first: u64, pairs: usize) -> Receiver<Result<Batch>> {
    let (sender, receiver) = sync_channel(PREFETCH);
    std::thread::spawn(move || {
        // Ends when the receiver is gone.
        (first..).all(|step| sender.send(source.batch(step, pairs)).is_ok())
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PartSpec;
    use crate::ssl::TeacherConfig;
    use crate::train::{MonitorConfig, PRESETS, Start, window_teacher};
    use candle_core::Device;
    use mtslvr_audio::synth::write_dataset;
    use mtslvr_audio::{Licences, UnlabelledSet};
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
        let request = taught_request(&folder("taught"), 4, false);
        let taught = train(&request, &go, &mut notes).unwrap();
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
        // Nothing is learnt, so the parts tell what they told, up to the norms' statistics.
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
        candle_core::safetensors::save(&state, &path).unwrap();
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
}
