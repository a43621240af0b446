//! A teacher that hears the clean windows of all clips once, before training.

use super::heard::{ClipId, Heard, Origin, hash_of};
use super::run::Observer;
use super::targets::{Reduction, Targets};
use super::teachers::WAVEFORM_RATE;
use super::windows::WindowRule;
use anyhow::{Context, Result, bail, ensure};
use half::f16;
use mtslvr_audio::Samples;
use mtslvr_pack::engine::{WaveformModel, waveform_output};
use mtslvr_pack::{BackboneFile, ModelSource, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use rayon::prelude::*;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

/// Windows that go through a teacher at once. Only windows of one clip do, so that what is said of a
/// clip does not depend on which others there are.
const AT_ONCE: usize = 32;

/// The windows of all clips, and where what teachers say of them is kept.
#[derive(Debug)]
pub(super) struct Lessons<'s> {
    clips: &'s [Samples],
    ids: Vec<ClipId>,
    rule: WindowRule,
    folder: &'s Path,
}

impl<'s> Lessons<'s> {
    pub(super) fn new(clips: &'s [Samples], rule: WindowRule, folder: &'s Path) -> Self {
        Self {
            clips,
            ids: clips.par_iter().map(ClipId::of).collect(),
            rule,
            folder,
        }
    }

    fn windows(&self, clip: usize) -> usize {
        self.rule.count(self.clips[clip].len())
    }

    /// Clips that have windows of which `heard` does not know.
    fn missing(&self, heard: &Heard) -> Vec<usize> {
        let unknown = |&clip: &usize| {
            let windows = self.windows(clip);
            windows > 0 && !heard.knows(&self.ids[clip], windows)
        };
        (0..self.clips.len()).filter(unknown).collect()
    }
}

/// A model of waveforms, and what is learnt of it.
#[derive(Debug)]
pub(super) struct WindowTeacher<'t> {
    /// Its name in the configuration.
    pub(super) name: &'t str,
    /// Its file.
    pub(super) model: &'t str,
    /// Its output.
    pub(super) output: &'t str,
    /// How what it says becomes targets.
    pub(super) reduction: Reduction,
}

impl WindowTeacher<'_> {
    /// Targets of all windows; `None` where `stop` came before all were heard. What was heard is kept.
    ///
    /// # Errors
    /// If the model cannot be opened, fails, or says fewer values than are to be learnt, or the folder
    /// cannot be written.
    pub(super) fn targets(
        &self,
        lessons: &Lessons<'_>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Targets>> {
        let name = self.name;
        let mut heard = self.hear(lessons, stop, observer)?;
        if !lessons.missing(&heard).is_empty() {
            ensure!(
                stop.load(Ordering::Relaxed),
                "the teacher {name} has not heard all windows"
            );
            return Ok(None);
        }
        let lengths = lessons.clips.iter().map(Samples::len);
        let clips: Vec<(usize, ClipId)> = lengths.zip(lessons.ids.iter().copied()).collect();
        let (targets, carried) = Targets::new(&mut heard, &clips, lessons.rule, self.reduction)
            .with_context(|| format!("the teacher {name}"))?;
        observer.note(&format!(
            "teacher {name}: {} windows, {} values reduced to {} that carry {:.0} % of the variance",
            targets.windows(),
            heard.dim(),
            targets.dim(),
            100.0 * carried
        ));
        Ok(Some(targets))
    }

    /// Hears, on all cores, the windows that are not in the folder yet, until `stop`.
    fn hear(
        &self,
        lessons: &Lessons<'_>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Heard> {
        let Lessons {
            clips,
            ids,
            rule,
            folder,
        } = lessons;
        let (name, file) = (self.name, self.model);
        let file = TeacherFile::read(file, self.output, rule.samples)
            .with_context(|| format!("the teacher {name}"))?;
        let open = || file.open();
        let named = |error: anyhow::Error| error.context(format!("the teacher {name}"));
        let origin = Origin {
            teacher: file.hash.clone(),
            output: self.output.to_owned(),
            dim: open().map_err(named)?.dim(),
            rule: *rule,
        };
        ensure!(
            self.reduction.dim <= origin.dim,
            "the teacher {name} says {} values of a window, but the part that learns from it has dim = {}; \
             expected at most as many",
            origin.dim,
            self.reduction.dim
        );
        let mut heard = Heard::open(folder, &origin)?;
        let count = |clip: usize| lessons.windows(clip);
        let mut missing = lessons.missing(&heard);
        // Clips that are the same are heard once; the longest come first, so that all cores end at the
        // same time.
        missing.sort_by_key(|&clip| (std::cmp::Reverse(count(clip)), ids[clip], clip));
        missing.dedup_by_key(|clip| ids[*clip]);
        if missing.is_empty() {
            return Ok(heard);
        }
        let windows: usize = missing.iter().map(|&clip| count(clip)).sum();
        let started = Instant::now();
        let mut done = 0;
        observer.hearing(name, done, windows);
        let next = AtomicUsize::new(0);
        let abandoned = AtomicBool::new(false);
        let ended = || stop.load(Ordering::Relaxed) || abandoned.load(Ordering::Relaxed);
        let work = |sender: SyncSender<Result<(usize, Vec<f16>)>>| {
            let result = open().and_then(|mut model| {
                while let Some(&clip) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = listen(&mut model, &clips[clip], *rule, &ended)?;
                    // Nobody listens any more if the receiver is gone.
                    if said.is_none_or(|values| sender.send(Ok((clip, values))).is_err()) {
                        break;
                    }
                }
                Ok(())
            });
            if let Err(error) = result {
                let _ = sender.send(Err(error));
            }
        };
        let threads = rayon::current_num_threads().min(missing.len());
        let outcome = std::thread::scope(|scope| {
            // Nobody hears ahead of what is written.
            let (sender, receiver) = sync_channel(0);
            for _ in 0..threads {
                let (sender, work) = (sender.clone(), &work);
                scope.spawn(move || work(sender));
            }
            drop(sender);
            let outcome = receiver.iter().try_for_each(|said| {
                let (clip, values) = said.map_err(named)?;
                if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                    bail!(
                        "the teacher {name} says {} of a window, expected a number of at most 65504; does its \
                         input want another range than -1 to 1?",
                        values[at]
                    );
                }
                heard.append(ids[clip], &values)?;
                done += count(clip);
                observer.hearing(name, done, windows);
                Ok(())
            });
            abandoned.store(true, Ordering::Relaxed);
            outcome
        });
        outcome?;
        if done > 0 {
            let milliseconds = started.elapsed().as_secs_f64() * 1e3 / done as f64;
            observer.note(&format!(
                "teacher {name}: {done} windows heard, {milliseconds:.1} ms each on {threads} threads"
            ));
        }
        Ok(heard)
    }
}

/// The file of a teacher, from which each thread opens a model of its own.
#[derive(Debug)]
struct TeacherFile<'t> {
    model: &'t str,
    output: &'t str,
    /// Samples of a window.
    samples: usize,
    /// Hexadecimal digits of the SHA-256 of the contents.
    hash: String,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    Waveforms(Vec<u8>),
    Backbone(BackboneFile),
}

/// A teacher that hears windows.
#[derive(Debug)]
enum WindowModel {
    Waveforms(WaveformModel),
    Backbone(Box<OpenedBackbone>),
}

impl<'t> TeacherFile<'t> {
    /// Reads what `--model` takes: an ONNX file of waveforms, or a backbone.
    fn read(model: &'t str, output: &'t str, samples: usize) -> Result<Self> {
        let source = ModelSource::from(OsString::from(model));
        let of_waveforms = match &source {
            ModelSource::Path(path) if path.extension().is_some_and(|ending| ending == "onnx") => {
                let bytes =
                    std::fs::read(path).with_context(|| format!("{model} cannot be read"))?;
                waveform_output(&bytes).map(|_| bytes)
            }
            _ => None,
        };
        let (hash, contents) = match of_waveforms {
            Some(bytes) => (hash_of(&bytes), Contents::Waveforms(bytes)),
            None => {
                let file = BackboneFile::open(&source, None)?;
                let backbone = file.backbone()?;
                let space = backbone.space();
                let rate = space.frontend().sample_rate;
                ensure!(
                    rate == WAVEFORM_RATE,
                    "{model} hears sound at {rate} Hz, expected {WAVEFORM_RATE}"
                );
                let id = space.backbone();
                (hash_of(id.as_bytes()), Contents::Backbone(file))
            }
        };
        Ok(Self {
            model,
            output,
            samples,
            hash,
            contents,
        })
    }

    fn open(&self) -> Result<WindowModel> {
        Ok(match &self.contents {
            Contents::Waveforms(bytes) => WindowModel::Waveforms(WaveformModel::from_bytes(
                bytes,
                self.model,
                self.output,
                self.samples,
            )?),
            Contents::Backbone(file) => WindowModel::Backbone(Box::new(file.backbone()?)),
        })
    }
}

impl WindowModel {
    /// Number of values that it says of a window.
    fn dim(&self) -> usize {
        match self {
            Self::Waveforms(model) => model.dim(),
            Self::Backbone(backbone) => backbone.space().dim(),
        }
    }

    /// Says what it hears in windows of `samples` samples, one after the other.
    fn hear(&mut self, windows: &[f32], samples: usize) -> Result<Vec<f32>> {
        match self {
            Self::Waveforms(model) => Ok(model.hear(windows)?),
            Self::Backbone(backbone) => {
                let embed = |window| embed_clip(backbone.as_mut(), window);
                let said = windows.chunks_exact(samples).map(embed);
                Ok(said.collect::<Result<Vec<_>, _>>()?.concat())
            }
        }
    }
}

/// What a teacher says of all windows of a clip; `None` where that ended before.
fn listen(
    model: &mut WindowModel,
    clip: &Samples,
    rule: WindowRule,
    ended: &impl Fn() -> bool,
) -> Result<Option<Vec<f16>>> {
    let count = rule.count(clip.len());
    let mut said = Vec::with_capacity(count * model.dim());
    let mut windows = Vec::with_capacity(AT_ONCE.min(count) * rule.samples);
    for first in (0..count).step_by(AT_ONCE) {
        if ended() {
            return Ok(None);
        }
        windows.clear();
        for window in first..count.min(first + AT_ONCE) {
            rule.append(clip, window, &mut windows);
        }
        said.extend(
            model
                .hear(&windows, rule.samples)?
                .into_iter()
                .map(f16::from_f32),
        );
    }
    Ok(Some(said))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::train::MetricsRow;
    use crate::train::windows::Cut;
    use mtslvr_pack::SHIPPED;
    use mtslvr_pack::engine::fitted;
    use mtslvr_pack::onnx::pb;
    use prost::Message;

    /// A model of waveforms: the magnitudes of `values` products of the samples with sines, its input
    /// called `sound`. Sizes that are `None` are free.
    pub(crate) fn model(batch: Option<i64>, samples: usize, values: usize) -> Vec<u8> {
        use pb::tensor_shape_proto::{Dimension, dimension::Value};
        let float = pb::tensor_proto::DataType::Float as i32;
        let info = |name: &str, last: usize| {
            let rows = batch.map_or(Value::DimParam("batch".into()), Value::DimValue);
            let dim = [rows, Value::DimValue(last as i64)].map(|value| Dimension {
                value: Some(value),
                ..Default::default()
            });
            pb::ValueInfoProto {
                name: name.into(),
                r#type: Some(pb::TypeProto {
                    value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                        elem_type: float,
                        shape: Some(pb::TensorShapeProto { dim: dim.to_vec() }),
                    })),
                    ..Default::default()
                }),
                ..Default::default()
            }
        };
        let node = |op: &str, input: &[&str], output: &str| pb::NodeProto {
            op_type: op.into(),
            input: input.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        };
        let sines = (0..samples).flat_map(|i| {
            (0..values).map(move |d| (0.003 * ((d + 1) * (i + 7 * d)) as f32).sin() * 0.05)
        });
        let graph = pb::GraphProto {
            name: "a teacher".into(),
            node: vec![
                node("MatMul", &["sound", "sines"], "products"),
                node("Abs", &["products"], "embedding"),
            ],
            initializer: vec![pb::TensorProto {
                name: "sines".into(),
                dims: vec![samples as i64, values as i64],
                data_type: float,
                raw_data: sines.flat_map(f32::to_le_bytes).collect(),
                ..Default::default()
            }],
            input: vec![info("sound", samples)],
            output: vec![info("embedding", values)],
            ..Default::default()
        };
        let model = pb::ModelProto {
            ir_version: 8,
            opset_import: vec![pb::OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(graph),
            ..Default::default()
        };
        model.encode_to_vec()
    }

    /// Clips of many lengths, all different.
    pub(crate) fn clips(count: usize, longest: usize) -> Vec<Vec<f32>> {
        let clip = |index: usize| -> Vec<f32> {
            let length = 1 + longest * (index + 1) / count;
            let pitch = 0.02 * (1.0 + index as f32);
            let sample =
                |i: usize| 0.5 * (i as f32 * pitch).sin() * (1.0 + (i % 501) as f32 / 501.0);
            (0..length).map(sample).collect()
        };
        (0..count).map(clip).collect()
    }

    fn samples(clips: Vec<Vec<f32>>) -> Vec<Samples> {
        clips.into_iter().map(Samples::from).collect()
    }

    const RULE: WindowRule = WindowRule {
        samples: 400,
        hop: 150,
    };

    /// Counts what is heard, and sets `stop` when it is more than it may.
    struct Listening<'s> {
        heard: usize,
        windows: usize,
        stop: &'s AtomicBool,
        most: usize,
    }

    impl Observer for Listening<'_> {
        fn step(&mut self, _done: f64, _row: &MetricsRow) {}
        fn hearing(&mut self, _teacher: &str, heard: usize, windows: usize) {
            (self.heard, self.windows) = (heard, windows);
            self.stop.fetch_or(heard > self.most, Ordering::Relaxed);
        }
        fn note(&mut self, remark: &str) {
            assert!(remark.contains("teacher sines"), "{remark}");
        }
    }

    fn teacher<'t>(model: &'t str, output: &'t str, dim: usize) -> WindowTeacher<'t> {
        WindowTeacher {
            name: "sines",
            model,
            output,
            reduction: Reduction {
                dim,
                whitening: 0.5,
            },
        }
    }

    fn written(folder: &Path, bytes: &[u8]) -> String {
        let path = folder.join("teacher.onnx");
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn batches_fixed_or_free_and_inputs_of_other_lengths_say_the_same() {
        let windows = clips(5, 10_000).concat()[..400 * 7].to_vec();
        let hear = |batch, samples| {
            let bytes = model(batch, samples, 6);
            let mut model = WaveformModel::from_bytes(&bytes, "test", "embedding", 400).unwrap();
            assert_eq!(model.dim(), 6);
            model.hear(&windows).unwrap()
        };
        let near = |a: &[f32], b: &[f32]| {
            assert_eq!(a.len(), b.len());
            assert!(
                a.iter()
                    .zip(b)
                    .all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + a.abs()))
            );
        };
        let free = hear(None, 400);
        near(&hear(Some(1), 400), &free);
        near(&hear(Some(3), 400), &free);
        for samples in [300, 500] {
            let bytes = model(None, samples, 6);
            let mut exact =
                WaveformModel::from_bytes(&bytes, "test", "embedding", samples).unwrap();
            let fitted: Vec<f32> = windows
                .chunks(400)
                .flat_map(|window| fitted(window, samples).into_owned())
                .collect();
            near(&exact.hear(&fitted).unwrap(), &hear(Some(2), samples));
        }
    }

    /// Two threads, so that few clips are heard when the third is interrupted.
    #[test]
    fn an_interrupted_hearing_goes_on_and_ends_with_the_same_targets() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        pool.unwrap().install(interrupt_and_go_on);
    }

    fn interrupt_and_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let file = written(directory.path(), &model(None, 380, 12));
        let teacher = teacher(&file, "embedding", 5);
        let mut clips = clips(20, 3000);
        // A clip that is there twice is heard once; an empty one is not heard.
        clips.extend([clips[19].clone(), Vec::new()]);
        let clips = samples(clips);
        let listening = |stop, most| Listening {
            heard: 0,
            windows: 0,
            stop,
            most,
        };
        let go = AtomicBool::new(false);
        let folders = ["whole", "parts"].map(|name| directory.path().join(name));
        let lessons = folders
            .each_ref()
            .map(|folder| Lessons::new(&clips, RULE, folder));
        let mut whole = listening(&go, usize::MAX);
        let expected = teacher
            .targets(&lessons[0], &go, &mut whole)
            .unwrap()
            .unwrap();
        let windows: usize = (0..20).map(|clip| lessons[0].windows(clip)).sum();
        assert_eq!((whole.heard, whole.windows), (windows, windows));
        assert_eq!(expected.windows(), windows + lessons[0].windows(19));

        let stop = AtomicBool::new(false);
        let mut first = listening(&stop, 30);
        assert!(
            teacher
                .targets(&lessons[1], &stop, &mut first)
                .unwrap()
                .is_none()
        );
        assert!((30..windows).contains(&first.heard), "{}", first.heard);
        let mut second = listening(&go, usize::MAX);
        let found = teacher
            .targets(&lessons[1], &go, &mut second)
            .unwrap()
            .unwrap();
        assert_eq!(second.windows, windows - first.heard);
        for (clip, samples) in clips.iter().enumerate() {
            for window in 0..RULE.count(samples.len()) {
                let cut = Cut { clip, window };
                assert_eq!(found.of(cut), expected.of(cut));
                let length: f32 = found.of(cut).iter().map(|x| x * x).sum();
                assert!((length - 1.0).abs() < 1e-5);
            }
        }
        // The third time nothing is heard, and other clips are all that is heard.
        let mut third = listening(&go, usize::MAX);
        teacher
            .targets(&lessons[1], &go, &mut third)
            .unwrap()
            .unwrap();
        assert_eq!(third.windows, 0);
        let other = [clips[3].clone(), Samples::from(vec![0.25; 100])];
        let mut fourth = listening(&go, usize::MAX);
        let lessons = Lessons::new(&other, RULE, &folders[1]);
        teacher
            .targets(&lessons, &go, &mut fourth)
            .unwrap()
            .unwrap();
        assert_eq!(fourth.windows, 1);
    }

    #[test]
    fn a_model_that_cannot_teach_a_part_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        let clips = samples(clips(3, 1000));
        let go = AtomicBool::new(false);
        let error = |file: &str, output: &str, dim: usize| {
            let lessons = Lessons::new(&clips, RULE, folder);
            let mut listening = Listening {
                heard: 0,
                windows: 0,
                stop: &go,
                most: usize::MAX,
            };
            let targets = teacher(file, output, dim).targets(&lessons, &go, &mut listening);
            format!("{:#}", targets.unwrap_err())
        };
        let file = written(folder, &model(None, 400, 4));
        let output = error(&file, "logits", 3);
        assert!(output.contains("outputs are embedding"), "{output}");
        let dim = error(&file, "embedding", 5);
        assert!(
            dim.contains("says 4 values") && dim.contains("dim = 5"),
            "{dim}"
        );
        let missing = error("gone.onnx", "embedding", 3);
        assert!(missing.contains("gone.onnx cannot be read"), "{missing}");
        let backbone = SHIPPED[0].onnx.unwrap();
        let file = written(folder, backbone);
        let backbone = error(&file, "invariant", 3);
        assert!(
            backbone.contains("expected a waveform") && backbone.contains("teaches paths"),
            "{backbone}"
        );
        let file = written(folder, b"no model");
        assert!(error(&file, "embedding", 3).contains("teacher.onnx"));
    }
}
