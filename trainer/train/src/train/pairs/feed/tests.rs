//! Views that an emulated device makes against those of the processor.

use super::super::tests::config;
use super::*;
use crate::device::{Element, Emulated};
use mtslvr_audio::synth::Patch;
use mtslvr_audio::{Noise, Recordings};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Sounds of the synthesiser over a little noise, short and long ones.
fn source(settings: &[&str]) -> PairSource {
    let sounds = (0..7).map(|seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let length = [9_000, 40_000, 700][seed as usize % 3];
        let mut sound = Patch::random(&mut rng).render(length, 16_000, &mut rng);
        let mut noise = Noise::from_seed(seed);
        for sample in &mut sound {
            *sample = 0.9 * *sample + 0.01 * noise.normal();
        }
        sound
    });
    let recordings = Recordings::from(sounds.collect::<Vec<_>>());
    PairSource::new(Arc::new(recordings), &config(settings)).unwrap()
}

/// Distance of two patches, as a share of how far the second is from its mean.
fn apart(got: &[f32], wanted: &[f32]) -> f64 {
    let mean = wanted.iter().map(|&x| f64::from(x)).sum::<f64>() / wanted.len() as f64;
    let square = |x: f64| x * x;
    let difference = got.iter().zip(wanted);
    let difference: f64 = difference.map(|(a, b)| square(f64::from(a - b))).sum();
    let whole: f64 = wanted.iter().map(|&x| square(f64::from(x) - mean)).sum();
    (difference / whole.max(1e-12)).sqrt()
}

/// Compares a step's views; returns how often each operator and each kind of background ran.
fn compare(settings: &[&str], pairs: usize, step: u64) -> ([usize; OPERATORS], [usize; 3]) {
    let mut all = vec!["data.synth_share=0"];
    all.extend(settings);
    let source = source(&all);
    let wanted = source.batch(step, pairs).unwrap();
    let device = Emulated::new(Element::F32);
    let (got, _) = source.batch_on(&device, step, pairs).unwrap();
    let feed = source.feed(&source.feeder(step, pairs), step);
    let length = source.frontend.patch_len();
    let mut ran = [0; OPERATORS];
    for view in 0..2 * pairs {
        let here = view * OPERATORS..(view + 1) * OPERATORS;
        let kinds: Vec<i32> = feed.views[view].operations.iter().map(|o| o.kind).collect();
        assert_eq!(
            got.labels[here.clone()],
            wanted.labels[here.clone()],
            "{kinds:?}"
        );
        for (a, b) in got.parameters[here.clone()]
            .iter()
            .zip(&wanted.parameters[here.clone()])
        {
            assert!((a - b).abs() < 1e-5, "{kinds:?}: {a} {b}");
        }
        assert_eq!(got.snr_db[view], wanted.snr_db[view], "{kinds:?}");
        let patch = view * length..(view + 1) * length;
        let error = apart(&got.patches[patch.clone()], &wanted.patches[patch]);
        assert!(error < 1e-2, "{error} after {:?}", feed.views[view]);
        for (ran, label) in ran.iter_mut().zip(&wanted.labels[here]) {
            *ran += *label as usize;
        }
    }
    let mut backgrounds = [0; 3];
    for view in &feed.views {
        backgrounds[view.background as usize] += 1;
    }
    (ran, backgrounds)
}

#[test]
fn a_device_makes_each_operator_as_the_processor_does() {
    let all = "pitch_shift fade white_noise coloured_noise time_masking time_stretch time_shift";
    for (index, operator) in all.split(' ').enumerate() {
        let mut settings = vec![
            "augment.clean=0.0".to_owned(),
            "frontend.frames=17".to_owned(),
        ];
        settings.extend(
            all.split(' ')
                .filter(|other| *other != operator)
                .map(|other| format!("augment.{other}.enabled=false")),
        );
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let (ran, backgrounds) = compare(&settings, 8, 5);
        assert!(ran[index] >= 3, "{operator}: {ran:?}");
        assert_eq!(backgrounds, [16, 0, 0]);
    }
}

#[test]
fn a_device_makes_views_of_many_operators_and_surroundings() {
    let settings = [
        "environment.background.probability=0.7",
        "environment.tilt.probability=0.5",
        "environment.level.probability=0.5",
        "environment.shift.probability=0.5",
        "frontend.frames=17",
    ];
    let (ran, backgrounds) = compare(&settings, 12, 7);
    assert!(ran.iter().all(|&ran| ran >= 3), "{ran:?}");
    assert!(
        backgrounds.iter().all(|&count| count >= 3),
        "{backgrounds:?}"
    );
}

#[test]
fn made_sounds_are_used_several_times_and_depend_on_the_step_alone() {
    let made = |clips: bool| -> (PairSource, usize) {
        let settings = ["frontend.frames=5", "data.synth_uses=4"];
        let source = match clips {
            true => source(&settings),
            false => PairSource::new(Arc::default(), &config(&settings)).unwrap(),
        };
        let pool = source.pool(8);
        assert_eq!(pool.held, LIFE * pool.new);
        (source, pool.held)
    };
    for (clips, held) in [(true, 64), (false, 128)] {
        let (source, found) = made(clips);
        assert_eq!(found, held);
        let feeder = source.feeder(0, 8);
        let mut sounds = vec![None; 2 * held];
        let mut feeds = Vec::new();
        for step in 0..4 {
            let feed = source.feed(&feeder, step);
            let new = if step == 0 { held } else { held / LIFE };
            assert_eq!(feed.made.len(), 2 * new);
            for (place, sound) in &feed.made {
                assert_eq!(sound.len(), source.frontend.patch_samples());
                sounds[*place] = Some(sound.clone());
            }
            // Every view that is made names a place that holds a sound, with its step.
            let first = *feeder.places.last().unwrap();
            let mut drawn = Vec::new();
            for view in &feed.views {
                let from = u64::from(view.sound.from[0]) | u64::from(view.sound.from[1]) << 32;
                let Some(offset) = from.checked_sub(first) else {
                    continue;
                };
                let place = offset as usize / source.frontend.patch_samples();
                assert_eq!(view.sound.step, sounds[place].as_ref().unwrap().step());
                drawn.push(place);
            }
            let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
            assert_eq!(distinct.len(), drawn.len());
            assert!(clips || drawn.len() == 16);
            feeds.push(feed);
        }
        // A run that goes on has the same feeds, and the same sounds.
        let again = source.feed(&source.feeder(3, 8), 3);
        assert_eq!(again.views, feeds[3].views);
        for (place, sound) in &again.made {
            assert_eq!(Some(sound), sounds[*place].as_ref());
        }
        assert_eq!(again.made.len(), 2 * held);
    }
}

#[test]
fn what_a_device_cannot_make_is_named() {
    let obstacle = |settings: &[&str]| {
        PairSource::new(Arc::default(), &config(settings))
            .unwrap()
            .obstacle()
    };
    assert_eq!(obstacle(&[]), None);
    let rate = obstacle(&["frontend.sample_rate=32000"]).unwrap();
    assert!(rate.contains("sample_rate is 32000"), "{rate}");
    let long = obstacle(&["frontend.frames=400"]).unwrap();
    assert!(long.contains("6.4 s long"), "{long}");
    let window = obstacle(&["frontend.window=2048"]).unwrap();
    assert!(window.contains("window is 2048"), "{window}");
}
