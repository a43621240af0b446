//! Compares the frontend with librosa's definition of a log-mel spectrogram, computed in double
//! precision by `tests/reference/golden_frontend.py`.

use mtslvr_runtime::frontend::{
    BandNorm, FloorRule, Framing, Frontend, FrontendConfig, FrontendForm, MelScale, Spectrum,
};
use serde_json::Value;

/// Largest difference in amplitude (square root of mel power plus floor), relative to the loudest
/// band of the frame: a single-precision transform leaves rounding noise of about 1e-7 of the
/// loudest bin in every bin, and the rounding of the features themselves adds to it.
const AMPLITUDE_TOLERANCE: f64 = 5e-6;

/// Largest difference in nepers of mel power (a feature before `scale`), in bands that are less
/// than 60 dB below the loudest of their frame.
const LEVEL_TOLERANCE: f64 = 1e-4;

/// Returns the form of a case; a plain one is not in the file.
fn form(case: &Value) -> FrontendForm {
    fn chosen<T: Copy>(case: &Value, key: &str, all: &[T], name: fn(T) -> &'static str) -> T {
        let named = case[key].as_str();
        let of_name = |&it: &T| Some(name(it)) == named;
        named.map_or(all[0], |_| all.iter().copied().find(of_name).unwrap())
    }
    FrontendForm {
        transform: case["transform"].as_u64().map(|len| len as u16),
        spectrum: chosen(case, "spectrum", Spectrum::ALL, Spectrum::name),
        mel_scale: chosen(case, "mel_scale", MelScale::ALL, MelScale::name),
        band_norm: chosen(case, "band_norm", BandNorm::ALL, BandNorm::name),
        floor_rule: chosen(case, "floor_rule", FloorRule::ALL, FloorRule::name),
        framing: chosen(case, "framing", Framing::ALL, Framing::name),
    }
}

#[test]
fn features_match_librosa() {
    let pcm: Vec<i16> = include_bytes!("golden/frontend.i16")
        .chunks_exact(2)
        .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
        .collect();
    let golden: Value = serde_json::from_str(include_str!("golden/frontend.json")).unwrap();
    let (mut worst_amplitude, mut worst_level) = (0.0_f64, 0.0_f64);
    for case in golden["cases"].as_array().unwrap() {
        let whole = |name: &str| case[name].as_u64().unwrap() as u16;
        let real = |name: &str| case[name].as_f64().unwrap() as f32;
        let config = FrontendConfig {
            sample_rate: 16_000,
            window: whole("window"),
            hop: whole("hop"),
            mels: whole("mels"),
            frames: 1,
            f_min: real("f_min"),
            f_max: real("f_max"),
            floor: real("floor"),
            mean: real("mean"),
            scale: real("scale"),
            form: form(case),
        };
        let mut buffer = vec![0.0; config.buffer_len()];
        let mut frames = Vec::new();
        let mut frontend = Frontend::new(config, &mut buffer).unwrap();
        frontend.push_i16(&pcm, |frame| frames.push(frame.to_vec()));
        if config.form.framing == Framing::Centre {
            frontend.flush(|frame| frames.push(frame.to_vec()));
        }
        assert_eq!(frames.len(), usize::from(whole("frames")), "{config:?}");
        let kept = frames.iter().step_by(whole("kept_every").into());
        for (made, expected) in kept.zip(case["features"].as_array().unwrap()) {
            let expected = expected.as_array().unwrap();
            assert_eq!(made.len(), expected.len());
            let (mean, scale) = (f64::from(config.mean), f64::from(config.scale));
            let level = |feature: f64| feature / scale + mean;
            let expected: Vec<f64> = expected
                .iter()
                .map(|value| level(value.as_f64().unwrap()))
                .collect();
            let loudest = expected.iter().copied().fold(f64::MIN, f64::max);
            // Logarithm of an amplitude over that of the level.
            let root = match config.form.spectrum {
                Spectrum::Power => 0.5,
                Spectrum::Magnitude => 1.0,
            };
            for (made, expected) in made.iter().zip(expected) {
                let made = level(f64::from(*made));
                let amplitude = (made * root).exp() - (expected * root).exp();
                worst_amplitude = worst_amplitude.max(amplitude.abs() / (loudest * root).exp());
                if (expected - loudest) * root > -6.9 {
                    worst_level = worst_level.max((made - expected).abs());
                }
            }
        }
    }
    println!("amplitude {worst_amplitude:.2e}, level {worst_level:.2e} nepers");
    assert!(worst_amplitude < AMPLITUDE_TOLERANCE, "{worst_amplitude:e}");
    assert!(worst_level < LEVEL_TOLERANCE, "{worst_level:e} nepers");
}
