use super::*;
use crate::train::MetricsRow;
use crate::train::windows::Cut;
use mtslvr_pack::SHIPPED;
use mtslvr_pack::engine::{WaveformModel, fitted};
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
        let sample = |i: usize| 0.5 * (i as f32 * pitch).sin() * (1.0 + (i % 501) as f32 / 501.0);
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

fn listening(stop: &AtomicBool, most: usize) -> Listening<'_> {
    Listening {
        heard: 0,
        windows: 0,
        stop,
        most,
    }
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
        let mut exact = WaveformModel::from_bytes(&bytes, "test", "embedding", samples).unwrap();
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
        let mut listening = listening(&go, usize::MAX);
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
    assert!(
        missing.contains("gone.onnx: it cannot be read: No such file"),
        "{missing}"
    );
    let file = written(folder, b"no model");
    assert!(error(&file, "embedding", 3).contains("teacher.onnx"));
}

#[test]
fn a_backbone_teaches_a_part_by_its_name_or_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let clips = samples(clips(4, 1000));
    let go = AtomicBool::new(false);
    let shipped = &SHIPPED[0];
    let packed = folder.join("backbone.slvr");
    std::fs::write(&packed, shipped.slvr).unwrap();
    let heard = |file: &str| {
        let lessons = Lessons::new(&clips, RULE, folder);
        let mut listening = listening(&go, usize::MAX);
        let targets = teacher(file, "embedding", 3).targets(&lessons, &go, &mut listening);
        (targets.unwrap().unwrap(), listening.heard)
    };
    let (named, windows) = heard(shipped.name);
    assert_eq!(named.dim(), 3);
    assert_eq!(windows, named.windows());
    // The same backbone has said it already, whatever it is called.
    let (from_file, again) = heard(packed.to_str().unwrap());
    assert_eq!((from_file.windows(), again), (named.windows(), 0));
}
