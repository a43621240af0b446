use super::*;

/// A description whose values are all unlike others.
pub(in crate::metadata) fn description() -> FrontendDescription {
    FrontendDescription {
        config: FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: 40,
            frames: 61,
            f_min: 60.0,
            f_max: 7_800.1,
            floor: 1e-7,
            mean: -6.543_21,
            scale: 1.0 / 3.0,
            form: FrontendForm::PLAIN,
        },
        layout: Layout::MelTime,
        norm: None,
    }
}

/// The same in every other form.
fn foreign() -> FrontendDescription {
    let mut foreign = description();
    foreign.config.window = 400;
    foreign.config.form = FrontendForm {
        transform: Some(512),
        spectrum: Spectrum::Magnitude,
        mel_scale: MelScale::Slaney,
        band_norm: BandNorm::Area,
        floor_rule: FloorRule::Least,
        framing: Framing::Centre,
    };
    foreign
}

/// A norm of each kind.
fn normed() -> [FrontendDescription; 3] {
    let bands: Vec<[f32; 2]> = (0..40).map(|i| [0.1 * i as f32, -1.5]).collect();
    [
        (PatchMean::Patch, Vec::new()),
        (PatchMean::None, bands.clone()),
        (PatchMean::Band, bands),
    ]
    .map(|(mean, bands)| FrontendDescription {
        norm: Some(OwnedPatchNorm { mean, bands }),
        ..description()
    })
}

#[test]
fn what_is_written_reads_back_to_the_same_bits() {
    for description in [description(), foreign()].into_iter().chain(normed()) {
        let written = description.write();
        assert_eq!(FrontendDescription::parse(&written), Ok(description));
    }
    assert!(
        !description().write().contains("spectrum"),
        "a plain form is not mentioned"
    );
}

#[test]
fn a_file_with_comments_and_without_layout_is_taken() {
    let text = "[frontend]\nsample_rate = 16_000 # Hz\nwindow = 512\nhop=160\nmels = 32\n\
                frames = 50\nf_min = 0\nf_max = 8000\nfloor = 1e-6\nmean = 0\nscale = 1\n";
    let read = FrontendDescription::parse(text).unwrap();
    assert_eq!(read.layout, Layout::TimeMel);
    assert_eq!(read.config.sample_rate, 16_000);
    assert_eq!(read.config.hop, 160);
    assert_eq!(read.config.form, FrontendForm::PLAIN);
}

#[test]
fn a_list_of_bands_may_go_over_lines() {
    let list = |count: usize| "1.5, # a band\n".repeat(count);
    let with = |lines: &str| FrontendDescription::parse(&(description().write() + lines));
    let read = with(&format!("band_scale = [\n{}]\n", list(40))).unwrap();
    let bands = vec![[0.0, 1.5]; 40];
    let mean = PatchMean::None;
    assert_eq!(read.norm, Some(OwnedPatchNorm { mean, bands }));
    for (lines, said) in [
        (
            format!("band_mean = [{}]", "1,".repeat(39)),
            "`band_mean` is `a list of 39`, expected a list of 40 numbers",
        ),
        ("band_mean = 3".to_owned(), "`band_mean` is `3`"),
        ("band_mean = [1, 2".to_owned(), "is not a line of the form"),
        ("band_mean = [1, two]".to_owned(), "`band_mean` is `two`"),
        (
            format!("band_scale = [{}]", "0,".repeat(40)),
            "a scale not 0",
        ),
        (
            "patch_mean = \"median\"".to_owned(),
            "expected \"none\" or \"patch\" or \"band\"",
        ),
    ] {
        let error = with(&lines).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// A feature is the same whether a logarithm is natural or not.
#[test]
fn other_logarithms_become_natural_ones() {
    let x = 0.037_f64;
    for (log, spectrum, value) in [
        ("log10", "power", x.log10()),
        ("db", "power", 10.0 * x.log10()),
        ("db", "magnitude", 20.0 * x.log10()),
        ("ln", "magnitude", x.ln()),
    ] {
        let lines = format!("log = \"{log}\"\nspectrum = \"{spectrum}\"\n");
        let read = FrontendDescription::parse(&(description().write() + &lines)).unwrap();
        let given = description().config;
        let expected = (value - f64::from(given.mean)) * f64::from(given.scale);
        let made = (x.ln() - f64::from(read.config.mean)) * f64::from(read.config.scale);
        assert!((made - expected).abs() < 1e-6, "{log} of {spectrum}");
    }
}

#[test]
fn errors_name_key_and_value() {
    let with = |from: &str, to: &str| {
        FrontendDescription::parse(&foreign().write().replace(from, to))
            .unwrap_err()
            .to_string()
    };
    assert!(with("hop = 256\n", "").contains("`hop` is missing"));
    assert!(with("hop = 256", "hop = many").contains("`hop` is `many`"));
    assert!(with("hop = 256", "hopp = 256").contains("`hopp` is no frontend parameter"));
    assert!(with("transform = 512", "transform = 500").contains("power of two"));
    assert!(with("window = 400", "window = 401").contains("window must be even"));
    assert!(with("window = 400", "window = 514").contains("window must be even"));
    assert!(with("mean = -6.54321", "mean = nan").contains("`mean` is `nan`"));
    assert!(with("hop = 256", "hop").contains("`hop` is not a line"));
    assert!(with("mel-time", "diagonal").contains("diagonal"));
    assert!(
        with("slaney", "bark").contains("`mel_scale` is `bark`, expected \"htk\" or \"slaney\"")
    );
}
