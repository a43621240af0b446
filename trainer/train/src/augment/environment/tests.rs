use super::super::level::power;
use super::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn parse(text: &str) -> EnvironmentConfig {
    toml::from_str(text).unwrap()
}

fn environment(text: &str) -> Environment {
    Environment::new(parse(text), 16_000).unwrap()
}

/// A tone with a pause, `peak` loud.
fn sound(hz: f32, peak: f32) -> Vec<f32> {
    (0..16_000)
        .map(|n| match n % 4_000 {
            0..3_000 => peak * (n as f32 * hz / 16_000.0 * std::f32::consts::TAU).sin(),
            _ => 0.0,
        })
        .collect()
}

fn decibels(ratio: f32) -> f32 {
    10.0 * ratio.log10()
}

#[test]
fn the_snr_of_the_mix_is_the_one_that_was_drawn() {
    let mut environment =
        environment("background = { probability = 1, snr_db = [-5, 35], noise_share = 0.5 }");
    let (clip, other) = (sound(440.0, 0.05), sound(1_111.0, 0.9));
    let mut generator = rng(1);
    let (mut noises, mut range) = (0, [f32::MAX, f32::MIN]);
    for _ in 0..60 {
        let drawn = environment.draw(&mut generator);
        let wanted = drawn.background.unwrap();
        let mut view = clip.clone();
        let snr = environment.surround(&mut view, &drawn, Some(other.clone()));
        assert_eq!(snr, Some(wanted.snr_db));
        let added: Vec<f32> = view.iter().zip(&clip).map(|(x, y)| x - y).collect();
        let measured = decibels(power(&clip) / power(&added));
        assert!(
            (measured - wanted.snr_db).abs() < 0.1,
            "{measured} {wanted:?}"
        );
        // What was added is the other sound, or is not like it.
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let alike = dot(&added, &other) / (dot(&added, &added) * dot(&other, &other)).sqrt();
        assert_eq!(alike > 0.99, !wanted.noise, "{alike}");
        noises += usize::from(wanted.noise);
        range = [range[0].min(wanted.snr_db), range[1].max(wanted.snr_db)];
    }
    assert!((15..45).contains(&noises), "{noises} of 60 are noise");
    assert!(range[0] < 0.0 && range[1] > 30.0, "{range:?}");
}

#[test]
fn noise_stands_in_where_no_recording_can_be_had_and_silence_stays_silent() {
    let mut environment = environment("background = { probability = 1, noise_share = 0 }");
    let drawn = environment.draw(&mut rng(2));
    let mut view = sound(440.0, 0.1);
    let snr = environment.surround(&mut view, &drawn, None);
    assert!(snr.is_some() && view != sound(440.0, 0.1));
    let mut silence = vec![0.0; 500];
    let other = vec![0.5; 500];
    let snr = environment.surround(&mut silence, &drawn, Some(other));
    assert_eq!((snr, silence), (None, vec![0.0; 500]));
}

#[test]
fn levels_are_of_the_peak_or_of_the_gain() {
    let peak = |view: &[f32]| view.iter().fold(0.0f32, |p, x| p.max(x.abs()));
    let surrounded = |text: &str, clip: &[f32], seed: u64| {
        let mut environment = environment(text);
        let drawn = environment.draw(&mut rng(seed));
        let mut view = clip.to_vec();
        environment.surround(&mut view, &drawn, None);
        (view, drawn.level.unwrap())
    };
    for seed in 0..20 {
        let clip = sound(500.0, 0.02);
        let text = "level = { probability = 1, range_db = [-30, 0] }";
        let (view, db) = surrounded(text, &clip, seed);
        assert!((-30.0..=0.0).contains(&db));
        assert!((20.0 * peak(&view).log10() - db).abs() < 0.01);
        let text = "level = { probability = 1, range_db = [-20, 10], peak = false }";
        let (view, db) = surrounded(text, &clip, seed);
        let gain = 20.0 * (peak(&view) / peak(&clip)).log10();
        assert!((gain - db).abs() < 0.01, "{gain} for {db}");
    }
    let text = "level = { probability = 1, range_db = [0, 0] }";
    let faint = peak(&surrounded(text, &sound(500.0, 1e-5), 1).0);
    assert!((faint - 0.01).abs() < 1e-4, "60 dB and no more: {faint}");
    assert_eq!(surrounded(text, &[0.0; 9], 1).0, [0.0; 9]);
    // Nothing goes beyond full scale.
    let loud = "level = { probability = 1, range_db = [20, 20], peak = false }";
    assert_eq!(peak(&surrounded(loud, &sound(500.0, 0.9), 1).0), 1.0);
}

#[test]
fn parts_happen_as_often_as_asked_and_do_not_change_each_others_draws() {
    let all = "background = { probability = 0.7 }\nlevel = { probability = 0.2 }\n\
               tilt = { probability = 0.5 }\nshift = { probability = 0.9, seconds = 0.2 }";
    let (all, one) = (
        environment(all),
        environment("tilt = { probability = 0.5 }"),
    );
    let mut counts = [0; 4];
    const VIEWS: u64 = 2_000;
    for seed in 0..VIEWS {
        let drawn = all.draw(&mut rng(seed));
        let only = one.draw(&mut rng(seed));
        assert_eq!(drawn.tilt, only.tilt);
        assert_eq!((only.shift, only.background, only.level), (0.0, None, None));
        assert!(drawn.shift.abs() <= 0.2);
        let happened = [
            drawn.background.is_some(),
            drawn.level.is_some(),
            drawn.tilt.is_some(),
            drawn.shift != 0.0,
        ];
        for (count, happened) in counts.iter_mut().zip(happened) {
            *count += usize::from(happened);
        }
    }
    for (count, probability) in counts.into_iter().zip([0.7, 0.2, 0.5, 0.9]) {
        let share = count as f64 / VIEWS as f64;
        assert!(
            (share - probability).abs() < 0.04,
            "{share} for {probability}"
        );
    }
}

#[test]
fn everything_is_off_by_default_and_wrong_values_are_named() {
    let off = EnvironmentConfig::default();
    assert!(off.is_off() && off.check().is_ok());
    assert!(!parse("shift = { probability = 0.1 }").is_off());
    let view = sound(300.0, 0.2);
    let mut environment = Environment::new(off, 16_000).unwrap();
    let drawn = environment.draw(&mut rng(1));
    let mut same = view.clone();
    assert_eq!(environment.surround(&mut same, &drawn, None), None);
    assert_eq!((same, drawn.shift), (view, 0.0));

    let written = toml::to_string(&parse("tilt = { probability = 0.5 }")).unwrap();
    assert_eq!(parse(&written).tilt.probability, 0.5);
    assert!(toml::from_str::<EnvironmentConfig>("background = { snr = [3, 30] }").is_err());
    for (text, named) in [
        (
            "background = { probability = 1.5 }",
            "environment.background.probability is 1.5",
        ),
        (
            "background = { snr_db = [30, 3] }",
            "background.snr_db is [30, 3]",
        ),
        ("background = { noise_share = -1 }", "noise_share is -1"),
        (
            "background = { noise_decay = [0, 9] }",
            "noise_decay is [0, 9]",
        ),
        (
            "background = { predictive_snr_db = 99 }",
            "predictive_snr_db is 99",
        ),
        (
            "level = { range_db = [-30, 3] }",
            "level.range_db is [-30, 3]",
        ),
        ("level = { range_db = [0, 99], peak = false }", "-60 and 60"),
        (
            "tilt = { db_per_octave = [-9, 9] }",
            "tilt.db_per_octave is [-9, 9]",
        ),
        ("shift = { seconds = nan }", "shift.seconds is NaN"),
    ] {
        let error = parse(text).check().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
