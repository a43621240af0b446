use super::*;
use crate::augment::EnvironmentConfig;
use crate::train::PRESETS;
use mtslvr_audio::{DecodeCache, Licences, UnlabelledSet, write_wav};
use std::collections::BTreeSet;
use std::path::Path;

/// Frequency of recording `clip` of group `group`, Hz: each its own.
fn hertz(group: usize, clip: usize) -> f32 {
    200.0 + 450.0 * group as f32 + 70.0 * clip as f32
}

/// Groups of tones, `sizes` of them in each, the first half of the groups drums and the others
/// words; long and short ones take turns.
fn write_groups(dir: &Path, sizes: &[usize]) {
    let mut manifest = "path,kind,same\n".to_owned();
    for (group, &size) in sizes.iter().enumerate() {
        let kind = if 2 * group < sizes.len() {
            "drum"
        } else {
            "word"
        };
        for clip in 0..size {
            let length = [9_000, 40_000][(group + clip) % 2];
            let step = hertz(group, clip) * std::f32::consts::TAU / 16_000.0;
            let tone: Vec<f32> = (0..length).map(|n| 0.3 * (n as f32 * step).sin()).collect();
            let name = format!("{group}-{clip}.wav");
            write_wav(&dir.join(&name), &tone, 16_000).unwrap();
            manifest += &format!("{name},{kind},thing {group}\n");
        }
    }
    std::fs::write(dir.join("manifest.csv"), manifest).unwrap();
}

fn load(dir: &Path) -> Arc<Recordings> {
    let set = UnlabelledSet::for_training(&[dir], Licences::Any).unwrap();
    let (recordings, skipped) = set.load_all(16_000, &DecodeCache::NONE, |_| ());
    assert!(skipped.is_empty());
    Arc::new(recordings)
}

pub(super) fn config(settings: &[&str]) -> RunConfig {
    let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
    RunConfig::from_toml(PRESETS[0].1, &settings).unwrap()
}

fn source(recordings: &Arc<Recordings>, settings: &[&str]) -> PairSource {
    PairSource::new(recordings.clone(), &config(settings)).unwrap()
}

const EVERYWHERE: [&str; 6] = [
    "environment.background.probability=0.7",
    "environment.tilt.probability=0.5",
    "environment.level.probability=0.5",
    "environment.shift.probability=0.5",
    "pairs.same=0.375",
    "frontend.frames=17",
];

#[test]
fn pairs_of_one_thing_are_two_recordings_of_one_group() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[2, 3, 9, 4]);
    let recordings = load(directory.path());
    let source = source(&recordings, &["pairs.same=0.375", "data.synth_share=0.25"]);
    let (mut same, mut made, mut drawn) = (0, 0, BTreeSet::new());
    const PAIRS: u64 = 4_000;
    for index in 0..PAIRS {
        match source.sounds(&mut source.rng(1, index)) {
            [Sound::Recorded(first), Sound::Recorded(second)] => {
                let groups = [first, second].map(|window| source.group_of[window.clip]);
                assert!(groups[0].is_some() && groups[0] == groups[1]);
                if first.clip != second.clip {
                    same += 1;
                    drawn.insert((first.clip, second.clip));
                }
            }
            [Sound::Made(first), Sound::Made(second)] => {
                assert!(first.seed == second.seed && !first.second && second.second);
                made += 1;
            }
            _ => panic!("a pair of two kinds"),
        }
    }
    let share = |count: i32| f64::from(count) / PAIRS as f64;
    assert!((share(same) - 0.375).abs() < 0.025, "{same}");
    assert!((share(made) - 0.25).abs() < 0.025, "{made}");
    // Every ordered pair of different recordings of a group turns up.
    let all: usize = [2, 3, 9, 4].iter().map(|size| size * (size - 1)).sum();
    assert_eq!(drawn.len(), all);
}

/// The patch of a tone is the same wherever its window begins, but for its phase.
#[test]
fn pairs_as_a_device_hears_them_are_of_one_group_and_not_augmented() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[2, 3, 4]);
    let recordings = load(directory.path());
    let settings = ["pairs.same=1", "data.synth_share=0", "frontend.frames=17"];
    let alone = source(&recordings, &settings);
    let known: Vec<Vec<f32>> = (0..recordings.clips.len())
        .map(|clip| {
            let mut patch = vec![0.0; alone.frontend.patch_len()];
            let samples = recordings.clips[clip].cut(0, alone.frontend.patch_samples());
            alone.features(&samples, &mut patch);
            patch
        })
        .collect();
    let distance = |a: &[f32], b: &[f32]| {
        let square = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
        square.sum::<f32>() / a.len() as f32
    };
    let nearest = |patch: &[f32]| {
        let all = known.iter().map(|known| distance(known, patch));
        let (clip, least) = all.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        (alone.group_of[clip], least)
    };
    let pairs = alone.heard_pairs(200);
    for pair in &pairs {
        let [(a, near_a), (b, near_b)] = [0, 1].map(|side| nearest(&pair[side]));
        assert!(a.is_some() && a == b);
        assert!(near_a < 0.5 && near_b < 0.5, "{near_a} {near_b}");
    }
    assert!(pairs.iter().any(|[a, b]| distance(a, b) > 0.5));

    // With an environment the same sounds are heard in it.
    let noise = "environment.background={probability=1.0,snr_db=[3.0,3.0],noise_share=1.0}";
    let among: Vec<&str> = settings.into_iter().chain([noise]).collect();
    let noisy = source(&recordings, &among).heard_pairs(200);
    let changed = pairs.iter().flatten().zip(noisy.iter().flatten());
    assert!(
        changed
            .into_iter()
            .all(|(clean, noisy)| distance(clean, noisy) > 0.5)
    );
}

#[test]
fn groups_are_drawn_by_size_and_kind_as_configured() {
    let directory = tempfile::tempdir().unwrap();
    // Drums: groups of 4 and 2 recordings; words: of 9 and 9.
    write_groups(directory.path(), &[4, 2, 9, 9]);
    let recordings = load(directory.path());
    let weights = |settings: &[&str]| -> Vec<f64> {
        let weights = group_weights(&recordings, config(settings).pairs);
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    };
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(close(&weights(&["pairs.size_power=0"]), &[0.25; 4]));
    let by_size = weights(&["pairs.size_power=1"]);
    assert!(close(&by_size, &[4.0, 2.0, 9.0, 9.0].map(|n| n / 24.0)));
    let root = 2.0 + 2f64.sqrt() + 6.0;
    let expected = [2.0, 2f64.sqrt(), 3.0, 3.0].map(|n| n / root);
    assert!(close(&weights(&[]), &expected));
    let even = weights(&["pairs.size_power=1", "pairs.kind_power=0"]);
    assert!(close(&even, &[2.0 / 6.0, 1.0 / 6.0, 0.25, 0.25]));
    // They are drawn as they weigh.
    let source = source(&recordings, &["pairs.size_power=1", "pairs.kind_power=0"]);
    let mut counts = [0.0; 4];
    let mut rng = source.rng(0, 0);
    for _ in 0..4_000 {
        counts[source.groups.draw(&mut rng)] += 1.0 / 4_000.0;
    }
    for (count, weight) in counts.iter().zip(even) {
        assert!((count - weight).abs() < 0.03, "{counts:?}");
    }
}

#[test]
fn pairs_that_cannot_be_had_are_an_error_or_a_remark() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[1, 1]);
    let make = |same: &str| PairSource::new(load(directory.path()), &config(&[same]));
    let error = make("pairs.same=0.375").unwrap_err().to_string();
    let manifest = directory.path().join("manifest.csv");
    for named in [
        "pairs.same is 0.375",
        manifest.to_str().unwrap(),
        "column `same`",
    ] {
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(make("pairs.same=0").unwrap().remark(), None);
    std::fs::write(&manifest, "path,kind\n0-0.wav,word\n").unwrap();
    let remark = make("pairs.same=0.375").unwrap().remark().unwrap();
    assert!(
        remark.contains("manifest.csv has no column `same`"),
        "{remark}"
    );
    std::fs::remove_file(&manifest).unwrap();
    let source = make("pairs.same=0.375").unwrap();
    let remark = source.remark().unwrap();
    assert!(
        remark.contains("no folder of recordings has a manifest.csv"),
        "{remark}"
    );
    // They are then two views of one recording.
    for index in 0..50 {
        let sounds = source.sounds(&mut source.rng(1, index));
        if let [Sound::Recorded(first), Sound::Recorded(second)] = sounds {
            assert_eq!(first.clip, second.clip);
        }
    }
    let none = PairSource::new(Arc::default(), &config(&["pairs.same=0.5"])).unwrap();
    assert!(none.remark().unwrap().contains("there are no recordings"));
}

#[test]
fn an_environment_changes_patches_and_neither_labels_nor_parameters() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[3, 3]);
    let recordings = load(directory.path());
    let plain = source(&recordings, &["frontend.frames=17"])
        .batch(3, 24)
        .unwrap();
    assert!(plain.snr_db.iter().all(|snr| *snr == f32::INFINITY));
    let settings = [
        "frontend.frames=17",
        "environment.background={ probability = 0.5, snr_db = [0, 20] }",
        "environment.level.probability=0.5",
        "environment.tilt.probability=0.5",
    ];
    let around = source(&recordings, &settings).batch(3, 24).unwrap();
    assert_eq!(plain.labels, around.labels);
    assert_eq!(plain.parameters, around.parameters);
    let mixed = around.snr_db.iter().filter(|snr| snr.is_finite());
    let count = mixed.clone().count();
    assert!(
        (12..36).contains(&count),
        "{count} of 48 views have a background"
    );
    assert!(mixed.clone().all(|snr| (0.0..=20.0).contains(snr)));
    let length = plain.patches.len() / 48;
    let patches = plain
        .patches
        .chunks(length)
        .zip(around.patches.chunks(length));
    let same = patches.filter(|(a, b)| a == b).count();
    assert!(
        (1..20).contains(&same),
        "{same} of 48 views have no environment"
    );
    // Off is off.
    let off = "environment.background={ probability = 0, snr_db = [0, 20] }";
    let off = source(&recordings, &["frontend.frames=17", off]);
    assert_eq!(off.batch(3, 24).unwrap(), plain);
}

#[test]
fn a_background_is_another_thing() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[2, 2, 2]);
    let recordings = load(directory.path());
    let source = source(&recordings, &[]);
    let mut heard = BTreeSet::new();
    for seed in 0..200 {
        // Of a pair of two recordings of the first group.
        let sound = source.background([Some(0), Some(1)], &mut source.rng(9, seed));
        let samples = source.samples(sound.expect("tones are no pause"), 0);
        assert_eq!(samples.len(), source.frontend.patch_samples());
        let crossings = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
        let hz = crossings.count() as f32 * 16_000.0 / samples.len() as f32;
        let tones = (0..3).flat_map(|group| (0..2).map(move |clip| (group, clip)));
        let nearest = tones.min_by_key(|&(g, c)| (hertz(g, c) - hz).abs() as u32);
        heard.insert(nearest.unwrap());
    }
    let others: Vec<_> = heard.into_iter().collect();
    assert_eq!(others, [(1, 0), (1, 1), (2, 0), (2, 1)]);
    // Where there is nothing else, nothing is drawn, and noise stands in.
    let alone = Recordings::from(vec![vec![0.1; 5_000]]);
    let alone = PairSource::new(Arc::new(alone), &config(&EVERYWHERE)).unwrap();
    assert_eq!(
        alone.background([Some(0), None], &mut alone.rng(1, 1)),
        None
    );
    let silent = Recordings::from(vec![vec![0.1; 5_000], vec![1e-5; 5_000]]);
    let silent = PairSource::new(Arc::new(silent), &config(&EVERYWHERE)).unwrap();
    assert_eq!(
        silent.background([Some(0), None], &mut silent.rng(1, 1)),
        None
    );
    let batch = alone.batch(1, 12).unwrap();
    assert!(batch.snr_db.iter().any(|snr| snr.is_finite()));
    // The synthesiser alone mixes its own sounds.
    let made = PairSource::new(Arc::default(), &config(&EVERYWHERE)).unwrap();
    let sound = made.background([None; 2], &mut made.rng(1, 1)).unwrap();
    assert!(matches!(sound, Sound::Made(_)));
    let samples = made.samples(sound, 0);
    assert_eq!(samples.len(), made.frontend.patch_samples());
}

#[test]
fn where_teachers_have_heard_windows_views_are_those() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[3, 2, 4]);
    let recordings = load(directory.path());
    let source = source(&recordings, &["pairs.same=0.5", "data.synth_share=0.0"]);
    let rule = WindowRule {
        samples: source.frontend.patch_samples(),
        hop: 5_000,
    };
    let source = source.with_teachers(Vec::new(), Some(rule));
    let (mut apart, mut near, mut numbers) = (0, 0, BTreeSet::new());
    for index in 0..500 {
        let sounds = source.sounds(&mut source.rng(1, index));
        let windows = sounds.each_ref().map(|sound| match sound {
            Sound::Recorded(window) => *window,
            Sound::Made(_) => panic!("nothing is synthesised"),
        });
        for (sound, window) in sounds.iter().zip(windows) {
            let number = window.number.expect("all windows are heard");
            assert_eq!(
                sound.cut(),
                Some(Cut {
                    clip: window.clip,
                    window: number
                })
            );
            let length = recordings.clips[window.clip].len();
            assert!(number < rule.count(length));
            if !source.repeats(window.clip) {
                assert_eq!(window.start, rule.start(length, number));
                numbers.insert(number);
            }
        }
        let [first, second] = windows;
        if first.clip != second.clip {
            apart += 1;
        } else if !source.repeats(first.clip) {
            assert!(first.start.abs_diff(second.start) <= 8_000);
            near += usize::from(first.start != second.start);
        }
    }
    assert!((200..300).contains(&apart) && near > 10, "{apart}, {near}");
    assert_eq!(numbers, (0..rule.count(40_000)).collect::<BTreeSet<_>>());
    let batch = source.batch(2, 8).unwrap();
    assert!(batch.answers.is_empty());
}

#[test]
fn a_shift_moves_the_window_within_its_recording() {
    let ramp = |length: usize| -> Vec<f32> { (0..length).map(|n| n as f32 / 32_768.0).collect() };
    let recordings = Recordings::from(vec![ramp(20_000), ramp(100)]);
    let source = source(&Arc::new(recordings), &[]);
    let samples = source.frontend.patch_samples();
    let first = |clip, start, shift| -> usize {
        let number = None;
        let window = Window {
            clip,
            start,
            number,
        };
        let cut = source.samples(Sound::Recorded(window), shift);
        assert_eq!(cut.len(), samples);
        (cut[0] * 32_768.0) as usize
    };
    assert_eq!(first(0, 500, 30), 530);
    assert_eq!(first(0, 500, -501), 0);
    assert_eq!(first(0, 500, 19_000), 20_000 - samples);
    assert_eq!(first(1, 90, 30), 20);
    assert_eq!(first(1, 10, -30), 80);
    let made = Sound::Made(Made {
        seed: 5,
        second: true,
    });
    let (made, moved) = (source.samples(made, 0), source.samples(made, -1));
    assert_eq!(moved[0], made[samples - 1]);
    assert_eq!(moved[1..], made[..samples - 1]);
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    write_groups(directory.path(), &[3, 2, 4]);
    let recordings = load(directory.path());
    let source = source(&recordings, &EVERYWHERE);
    let batch = |threads: usize, step: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| source.batch(step, 16)).unwrap()
    };
    let one = batch(1, 7);
    assert_eq!(one, batch(2, 7));
    assert_eq!(one, batch(5, 7));
    assert_ne!(one.patches, batch(1, 8).patches);
    // A pair does not depend on how many there are.
    let more = source.batch(7, 20).unwrap();
    let length = source.frontend.patch_len();
    assert_eq!(one.patches[..16 * length], more.patches[..16 * length]);
    assert_eq!(one.snr_db[..16], more.snr_db[..16]);
    let other_seed = PairSource::new(
        recordings.clone(),
        &config(&[&EVERYWHERE[..], &["train.seed=43"]].concat()),
    );
    assert_ne!(other_seed.unwrap().batch(7, 16).unwrap().snr_db, one.snr_db);
    assert!(!EnvironmentConfig::is_off(source.environment.config()));
}
