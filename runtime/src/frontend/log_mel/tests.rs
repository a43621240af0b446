use super::*;
use crate::frontend::FrontendForm;
use proptest::prelude::*;

const CONFIG: FrontendConfig = FrontendConfig {
    sample_rate: 16_000,
    window: 256,
    hop: 96,
    mels: 32,
    frames: 8,
    f_min: 50.0,
    f_max: 7600.0,
    floor: 1e-6,
    mean: -5.0,
    scale: 0.3,
    form: FrontendForm::PLAIN,
};

fn frontend(config: FrontendConfig) -> Frontend<'static> {
    let buffer = vec![f32::NAN; config.buffer_len()].leak();
    Frontend::new(config, buffer).unwrap()
}

fn bits(frames: &[f32]) -> Vec<u32> {
    frames.iter().map(|value| value.to_bits()).collect()
}

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    (0..samples)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as u16 as i16) / 32_768.0
        })
        .collect()
}

fn features(config: FrontendConfig, samples: &[f32]) -> Vec<f32> {
    let mut frames = Vec::new();
    frontend(config).push(samples, |frame| frames.extend_from_slice(frame));
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_chunking_gives_the_same_bits(cuts in prop::collection::vec(0_usize..700, 0..12)) {
        let samples = noise(2_000);
        let mut chunked = Vec::new();
        let mut stream = frontend(CONFIG);
        let mut rest = &samples[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            stream.push(now, |frame| chunked.extend_from_slice(frame));
            rest = later;
        }
        stream.push(rest, |frame| chunked.extend_from_slice(frame));
        prop_assert_eq!(bits(&chunked), bits(&features(CONFIG, &samples)));
    }
}

#[test]
fn integer_samples_are_the_same_samples() {
    let samples: Vec<i16> = noise(1_000).iter().map(|s| (s * 32_768.0) as i16).collect();
    let mut frames = Vec::new();
    frontend(CONFIG).push_i16(&samples, |frame| frames.extend_from_slice(frame));
    assert_eq!(bits(&frames), bits(&features(CONFIG, &noise(1_000))));
}

#[test]
fn frames_begin_every_hop() {
    let samples = noise(1_000);
    let frames = features(CONFIG, &samples);
    assert_eq!(frames.len(), 32 * ((1_000 - 256) / 96 + 1));
    let third = features(CONFIG, &samples[2 * 96..2 * 96 + 256]);
    assert_eq!(bits(&frames[64..96]), bits(&third));
}

#[test]
fn what_is_not_a_sound_is_silence_and_counted() {
    let mut samples = noise(600);
    let mut silenced = samples.clone();
    let bad = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        -65_537.0,
    ];
    for (i, value) in bad.into_iter().enumerate() {
        samples[100 * i] = value;
        silenced[100 * i] = 0.0;
    }
    let mut frames = Vec::new();
    let mut stream = frontend(CONFIG);
    stream.push(&samples, |frame| frames.extend_from_slice(frame));
    assert_eq!(stream.invalid_samples(), 5);
    assert_eq!(bits(&frames), bits(&features(CONFIG, &silenced)));

    let loudest = features(CONFIG, &[SAMPLE_LIMIT; 600]);
    assert!(loudest.iter().all(|value| value.is_finite()));
    let silence = features(CONFIG, &[0.0; 300]);
    let floor = (1e-6_f32.ln() + 5.0) * 0.3;
    assert!(silence.iter().all(|value| (*value - floor).abs() < 1e-6));
}

#[test]
fn flush_pads_what_is_pending_and_starts_anew() {
    let samples = noise(300);
    let mut stream = frontend(CONFIG);
    let mut frames = Vec::new();
    stream.push(&samples, |frame| frames.extend_from_slice(frame));
    assert_eq!((frames.len(), stream.pending()), (32, 300 - 256));
    stream.flush(|frame| frames.extend_from_slice(frame));
    assert_eq!((frames.len(), stream.pending()), (64, 0));
    let mut padded = samples[96..].to_vec();
    padded.resize(256, 0.0);
    assert_eq!(bits(&frames[32..]), bits(&features(CONFIG, &padded)));
    stream.flush(|_| panic!("nothing is pending"));

    frames.clear();
    stream.push(&samples, |frame| frames.extend_from_slice(frame));
    assert_eq!(bits(&frames), bits(&features(CONFIG, &samples)));
}

#[test]
fn a_hop_of_a_whole_window_leaves_nothing_behind() {
    let config = FrontendConfig { hop: 256, ..CONFIG };
    let mut stream = frontend(config);
    let mut count = 0;
    stream.push(&noise(512), |_| count += 1);
    assert_eq!((count, stream.pending()), (2, 0));
}

#[test]
fn what_cannot_work_is_refused() {
    let mut buffer = [0.0; CONFIG.buffer_len() - 1];
    assert_eq!(
        Frontend::new(CONFIG, &mut buffer).unwrap_err(),
        FrontendError::BufferTooShort {
            needed: CONFIG.buffer_len(),
            found: CONFIG.buffer_len() - 1
        }
    );
    let config = FrontendConfig {
        window: 300,
        ..CONFIG
    };
    assert_eq!(
        Frontend::new(config, &mut []).unwrap_err(),
        FrontendError::Config(FrontendConfigError::Window)
    );
}
