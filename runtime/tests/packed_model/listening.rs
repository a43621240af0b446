//! Sends a stream through a packed model: listener, engine and learner together.

use mtslvr_pack::builder::build;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::listener::{Event, Listener, ListenerConfig};
use mtslvr_runtime::model::Model;

use crate::network::{Plan, network};

const RATE: f32 = 16_000.0;

/// Half a second of a sound that decays, as 16-bit samples.
fn sound(frequency: f32) -> Vec<i16> {
    let sample = |i| {
        let time = i as f32 / RATE;
        let wave = (core::f32::consts::TAU * frequency * time).sin();
        (12_000.0 * wave * (-3.0 * time).exp()) as i16
    };
    (0..8000).map(sample).collect()
}

fn as_floats(samples: &[i16]) -> Vec<f32> {
    let scaled = samples.iter().map(|sample| f32::from(*sample) / 32_768.0);
    scaled.collect()
}

#[test]
fn sounds_enrolled_from_clips_are_heard_in_a_stream() {
    let spec = network(Plan::SMALL, 3);
    let file = build(&spec).unwrap();
    let model = Model::open(&file).unwrap();
    let mut backbone = PackedBackbone::new(model, vec![0; model.arena_len()]).unwrap();
    let space = model.space();
    let mut storage = StorageVec::new(2, 2, space.dim());
    let mut learner = Learner::new(storage.lend(), HeadKind::default(), space).unwrap();
    let sounds = [sound(400.0), sound(3000.0)];
    for (name, sound) in ["low", "high"].iter().zip(&sounds) {
        let embedding = embed_clip(&mut backbone, &as_floats(sound)).unwrap();
        learner.enrol(name, &embedding).unwrap();
    }
    // No network of random weights calls a sound strange.
    learner.set_default_threshold(Some(-1.0)).unwrap();
    let mut scratch = vec![0.0; learner.scratch_len()];
    learner.fit(&mut scratch).unwrap();

    let mut stream = vec![0; 48_000];
    for nth in [1, 0, 1] {
        stream.extend(&sounds[nth]);
        stream.extend([0; 24_000]);
    }
    let mut buffer = vec![0.0; Listener::buffer_len(space.frontend(), space.dim(), 2)];
    let config = ListenerConfig::default();
    let mut listener = Listener::new(config, &space, 2, &mut buffer).unwrap();
    let mut events: Vec<Event> = Vec::new();
    for chunk in stream.chunks(333) {
        let heard = listener.push_i16(&mut learner, &mut backbone, chunk, |window| {
            events.extend(window.event);
        });
        heard.unwrap();
    }
    // The place is silent from the first sample on, so the first window holds silence.
    events.retain(|event| event.start > 0);
    let classes: Vec<u16> = events.iter().map(|event| event.class.get()).collect();
    assert_eq!(classes, [1, 0, 1], "{events:?}");
    for (event, begins) in events.iter().zip([48_000, 80_000, 112_000]) {
        assert!(event.start.abs_diff(begins) < 2_000, "{event:?}");
    }

    // As floats, and after a reset, the same to the bit.
    listener.reset();
    let mut again = Vec::new();
    let heard = listener.push(&mut learner, &mut backbone, &as_floats(&stream), |window| {
        again.extend(window.event);
    });
    heard.unwrap();
    again.retain(|event| event.start > 0);
    assert_eq!(events, again);
}
