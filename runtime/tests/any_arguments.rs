//! Checks that no call panics, whatever its arguments are: lengths that do not fit together, numbers out of range,
//! classes that are not there.

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::{ClipEmbedder, ClipError, PatchCutter};
use mtslvr_runtime::fewshot::persist::{SnapshotHeader, export, import};
use mtslvr_runtime::fewshot::{
    Calibration, ClassId, HeadKind, Learner, Limits, Metric, Reference, Role, StorageVec,
    Strangers, best_score, direction, dot, fit, fit_scratch_len, scores, softmax,
};
use mtslvr_runtime::frontend::{Frontend, FrontendConfig, FrontendForm};
use mtslvr_runtime::listener::{Judgement, Listener, ListenerConfig, Trigger};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
use proptest::prelude::*;
use std::convert::Infallible;

const FRONTEND: FrontendConfig = FrontendConfig {
    sample_rate: 8000,
    window: 64,
    hop: 32,
    mels: 4,
    frames: 5,
    f_min: 100.0,
    f_max: 3900.0,
    floor: 1e-5,
    mean: -4.0,
    scale: 0.25,
    form: FrontendForm::PLAIN,
};
const DIM: usize = 4;

fn space(frontend: FrontendConfig) -> EmbeddingSpace<'static> {
    let part = |name| Part {
        name,
        len: DIM / 2,
        share: 0.5,
    };
    let parts = Parts::new([part("a"), part("b")]).unwrap();
    let (id, reference) = (BackboneId::new([1; 32]), Reference::assumed(0.5));
    EmbeddingSpace::new(id, frontend, parts, &[0.0; DIM], reference).unwrap()
}

/// Gives the first values of a patch as its embedding.
struct First(FrontendConfig);

impl Backbone for First {
    type Error = Infallible;
    fn space(&self) -> EmbeddingSpace<'_> {
        space(self.0)
    }
    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Infallible> {
        let values = embedding.iter_mut().zip(patch);
        values.for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

/// Numbers of all kinds.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -3.0_f32..3.0,
        1 => any::<f32>(),
        1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(0.0)],
    ]
}

fn numbers(most: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(number(), 0..most)
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<i8>> {
    let byte = prop_oneof![any::<i8>(), Just(127), Just(-127)];
    prop::collection::vec(byte, 0..most)
}

fn kind() -> impl Strategy<Value = HeadKind> {
    prop_oneof![
        Just(HeadKind::NearestMean),
        number().prop_map(|lambda| HeadKind::Ridge { lambda }),
        number().prop_map(|c| HeadKind::Logistic { c }),
    ]
}

fn class() -> impl Strategy<Value = ClassId> {
    (0..6_u16).prop_map(ClassId::new)
}

fn frontend() -> impl Strategy<Value = FrontendConfig> {
    let counts = (0..200_u16, 0..200_u16, 0..40_u16, 0..40_u16);
    let edges = (number(), number(), any::<u32>());
    (counts, edges, any::<bool>()).prop_map(|(counts, (f_min, f_max, rate), sensible)| {
        let (window, hop, mels, frames) = counts;
        let any = FrontendConfig {
            sample_rate: rate,
            window,
            hop,
            mels,
            frames,
            f_min,
            f_max,
            ..FRONTEND
        };
        if sensible { FRONTEND } else { any }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn heads_and_directions(
        kind in kind(),
        labels in prop::collection::vec(0..5_u8, 0..7),
        [gram, dual, bias, scratch] in [numbers(60), numbers(40), numbers(7), numbers(300)],
        [a, b] in [bytes(7), bytes(7)],
        [embedding, mean] in [numbers(6), numbers(6)],
        fits in any::<bool>(),
    ) {
        let (mut gram, mut dual, mut bias) = (gram, dual, bias);
        if fits {
            gram.resize(labels.len() * labels.len(), 1.0);
            dual.resize(labels.len() * bias.len(), 0.0);
        }
        let (mut scratch, mut out) = (scratch, bias.clone());
        let _ = fit(kind, &mut gram, &labels, &mut dual, &mut bias, &mut scratch);
        let _ = scores(&dual, &bias, gram.iter().copied(), &mut out);
        let _ = best_score(&out);
        softmax(&mut out);
        let _ = dot(&gram, &dual);
        let space = space(FRONTEND);
        let metric = Metric::new(space.parts());
        let _ = metric.similarity(&a, &b);
        let _ = metric.gram([&a[..], &b[..]].into_iter(), &mut gram);
        let mut to = a;
        let _ = direction(&embedding, &mean, space.parts(), &mut to);
    }

    #[test]
    fn learners(
        kind in kind(),
        (classes, examples) in (0..5_usize, 0..9_usize),
        embeddings in prop::collection::vec(numbers(6), 1..12),
        query in bytes(6),
        [class, other] in [class(), class()],
        threshold in prop::option::of(number()),
        rate in number(),
        [scratch, mut room] in [numbers(400), numbers(6)],
        snapshot in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut storage = StorageVec::new(classes, examples, DIM);
        let mut learner = Learner::new(storage.lend(), kind, space(FRONTEND)).unwrap();
        let limits = Limits::default();
        for (number, embedding) in embeddings.iter().enumerate() {
            let mut embedding = embedding.clone();
            if number % 3 > 0 {
                embedding.resize(DIM, 1.0);
            }
            let name = ["a", "b", "", "a name of more than thirty-two bytes"][number % 4];
            let _ = limits.check_example(&mut learner, name, &embedding);
            let _ = learner.enrol(name, &embedding);
            let _ = learner.enrol_role([Role::Negatives, Role::Sound][number % 2], &embedding);
        }
        let support = learner.support_mut();
        let _ = support.enrol("c", &query);
        let _ = support.add_example(class, &query);
        let _ = support.remove_example(other, examples);
        let _ = support.rename(class, "a");
        let _ = support.set_enabled(other, false);
        let _ = support.set_threshold(class, threshold);
        let _ = support.set_default_threshold(threshold);
        let _ = support.remove(other);
        prop_assert_eq!(support.examples(other).len(), 0);
        learner.set_calibration(Calibration {
            false_acceptance: rate,
            strangers: Strangers::Related,
            raised: threshold.unwrap_or(0.0),
        });
        let _ = learner.threshold(ClassId::new(0));
        let mut enough = vec![0.0; learner.scratch_len()];
        for scratch in [&mut enough, &mut scratch.clone()] {
            let _ = learner.fit(scratch);
            let _ = learner.classify(&embeddings[0], &mut room);
            let _ = learner.classify_direction(&query, &mut room);
        }
        let _ = export(&learner, &mut vec![0; snapshot.len()]);
        let _ = import(&mut learner, &snapshot);
        let _ = SnapshotHeader::read(&snapshot);
    }

    #[test]
    fn frontends_clips_and_listeners(
        config in frontend(),
        other in frontend(),
        len in 0..900_usize,
        samples in numbers(600),
        room in 0..7_usize,
        settings in [number(), number(), number(), number(), number(), number()],
        [smoothing, agreeing] in [0..4_u16, 0..4_u16],
        classes in 0..5_usize,
    ) {
        let _ = (config.buffer_len(), config.patch_samples(), config.frames_per_second());
        let enough = Listener::buffer_len(&config, DIM, classes)
            .max(ClipEmbedder::buffer_len(&config, DIM));
        let mut backbone = First(config);
        for len in [len, enough] {
            let mut buffer = vec![0.0; len];
            if let Ok(mut frontend) = Frontend::new(config, &mut buffer) {
                frontend.push(&samples, |_| ());
                frontend.flush(|_| ());
            }
            if let Ok(mut cutter) = PatchCutter::new(config, &mut buffer) {
                cutter.push(&samples, |_| ());
                cutter.finish(|_| ());
            }
            if let Ok(mut clip) = ClipEmbedder::new(config, &mut buffer) {
                let _ = clip.push(&mut backbone, &samples);
                let _ = clip.push(&mut First(other), &samples);
                let finished = clip.finish(&mut backbone, &mut vec![0.0; room]);
                if len == enough && room != DIM {
                    let (expected, found) = (DIM, room);
                    prop_assert_eq!(finished, Err(ClipError::Embedding { expected, found }));
                }
            }
            let [hop, margin, hysteresis, refractory, gate, hold] = settings;
            let any = ListenerConfig {
                hop,
                smoothing,
                margin,
                hysteresis,
                agreeing,
                refractory,
                gate,
                hold,
            };
            for settings in [any, ListenerConfig::DEFAULT] {
                let mut storage = StorageVec::new(2, 2, DIM);
                let kind = HeadKind::default();
                let mut learner = Learner::new(storage.lend(), kind, space(FRONTEND)).unwrap();
                let space = backbone.space();
                let Ok(mut listener) = Listener::new(settings, &space, classes, &mut buffer) else {
                    continue;
                };
                let _ = listener.push(&mut learner, &mut backbone, &samples, |_| ());
                let _ = learner.enrol("a", &[1.0, 2.0, 3.0, 4.0]);
                let _ = listener.push(&mut learner, &mut backbone, &samples, |_| ());
                let _ = learner.fit(&mut [0.0; 100]);
                let _ = listener.push(&mut learner, &mut First(other), &samples, |_| ());
                let _ = listener.finish(&mut learner, &mut backbone, |_| ());
            }
        }
    }

    #[test]
    fn triggers(
        times in prop::collection::vec(any::<u64>(), 0..9),
        refractory in any::<u64>(),
        class in class(),
        similarity in number(),
    ) {
        let mut trigger = Trigger::new(&ListenerConfig::DEFAULT, refractory);
        for now in times {
            let judgement = Judgement {
                class,
                similarity,
                threshold: 0.0,
                confidence: 1.0,
            };
            trigger.step((now % 3 > 0).then_some(judgement), now);
        }
    }
}

/// Lengths that do not fit into a number stop at the largest one.
#[test]
fn lengths_do_not_overflow() {
    let huge = usize::MAX;
    for kind in [
        HeadKind::Ridge { lambda: 1.0 },
        HeadKind::Logistic { c: 1.0 },
    ] {
        assert_eq!(fit_scratch_len(kind, huge, huge), huge);
        assert_eq!(Learner::scratch_len_for(kind, huge, huge), huge);
    }
    let config = FrontendConfig {
        frames: u16::MAX,
        mels: u16::MAX,
        ..FRONTEND
    };
    assert_eq!(ClipEmbedder::buffer_len(&config, huge), huge);
    assert_eq!(Listener::buffer_len(&config, huge, huge), huge);
}
