use super::*;
use crate::train::Start;

#[test]
fn every_preset_is_valid_and_survives_a_round_trip() {
    for (name, _) in PRESETS {
        let preset = RunConfig::preset(name).unwrap();
        assert_eq!(
            RunConfig::from_toml(&preset.to_toml().unwrap(), &[]).unwrap(),
            preset,
            "{name}"
        );
    }
}

#[test]
fn the_configuration_of_the_shipped_edge_s_is_that_of_its_weights() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/edge-s");
    let config = RunConfig::read(&folder.join("train.toml"), &[]).unwrap();
    let trained = Start::read(Path::new("edge-s")).unwrap().config;
    // The run's own has the measured normalisation, too.
    assert_eq!(config.backbone, trained.backbone);
    assert_eq!(config.environment, trained.environment);
    assert_eq!((config.data, config.pairs), (trained.data, trained.pairs));
    let parts = config.backbone.embedding_parts().unwrap();
    let parts = parts.as_slice().iter().map(|part| (part.name, part.len));
    let expected = [
        ("invariant", 96),
        ("equivariant", 48),
        ("events", 64),
        ("speech", 64),
        ("timbre", 80),
    ];
    assert_eq!(parts.collect::<Vec<_>>(), expected);
    assert!(!config.environment.is_off());
}

#[test]
fn overrides_reach_their_keys_and_wrong_ones_are_named() {
    let text = PRESETS[0].1;
    let set = |s: &str| RunConfig::from_toml(text, &[s.to_owned()]);
    assert_eq!(set("train.minutes=5").unwrap().train.minutes, 5.0);
    let loud = set("environment.background.probability=0.7").unwrap();
    assert_eq!(loud.environment.background.probability, 0.7);
    assert!(set("train.minutes=5").unwrap().environment.is_off());
    assert_eq!(set("pairs.same=0.375").unwrap().pairs.same, 0.375);
    assert_eq!(
        set("backbone.adapters.kind=none")
            .unwrap()
            .backbone
            .adapters
            .kind,
        crate::net::AdapterKind::None
    );
    for (setting, named) in [
        ("train.minuts=5", "minuts"),
        ("train.batch=1", "train.batch is 1"),
        ("frontend.window=500", "power of two"),
        ("pairs.same=1.2", "pairs.same is 1.2"),
        ("pairs.same=0.8", "data.synth_share 0.3"),
        ("pairs.kind_power=-1", "pairs.kind_power is -1"),
        (
            "environment.background.probability=7",
            "environment.background.probability is 7",
        ),
        ("environment.backgrounds.probability=0.7", "backgrounds"),
        ("nonsense", "table.key=value"),
        ("backbone.parts=[{ name = \"a b\", dim = 3 }]", "\"a b\""),
        ("objective.teachers.x.part=events", "none of backbone.parts"),
        (
            "objective.teachers.x.weight=-1.0",
            "teachers.x.weight is -1",
        ),
        ("data.window_hop=0.0", "data.window_hop is 0"),
    ] {
        let message = format!("{:#}", set(setting).unwrap_err());
        assert!(message.contains(named), "{message}");
    }
}
#[test]
fn teachers_are_tables_and_their_files_arguments() {
    let settings = [
        "backbone.parts=[{ name = \"events\", dim = 96 }]",
        "objective.teachers.yamnet={ part = \"events\", weight = 2.0 }",
    ];
    let text = PRESETS[0].1;
    let settings = settings.map(str::to_owned);
    let mut config = RunConfig::from_toml(text, &settings).unwrap();
    let models = ["yamnet=a=b.onnx".to_owned()];
    config.name_teachers(&models).unwrap();
    let set = [
        &settings[..],
        &["objective.teachers.yamnet.model=\"a=b.onnx\"".to_owned()],
    ];
    assert_eq!(RunConfig::from_toml(text, &set.concat()).unwrap(), config);
    let kept = RunConfig::from_toml(&config.to_toml().unwrap(), &[]).unwrap();
    assert_eq!(kept, config);

    let mut error = |model: &str| {
        let named = config.name_teachers(&[model.to_owned()]);
        named.unwrap_err().to_string()
    };
    assert!(error("events=x.onnx").contains("its teachers are: yamnet"));
    assert!(error("x.onnx").contains("NAME=FILE"));
    let second = "objective.teachers.other={ part = \"events\" }".to_owned();
    let both = RunConfig::from_toml(text, &[&settings[..], &[second]].concat());
    let message = format!("{:#}", both.unwrap_err());
    assert!(
        message.contains("other and yamnet teach the same part"),
        "{message}"
    );
}

/// Each would take hours or more memory than there is, or end in a panic.
#[test]
fn configurations_beyond_the_budget_name_their_key() {
    let wide = "{ width = 2048, blocks = 64, stride = 1 }";
    for (setting, named) in [
        (
            format!("backbone.stages=[{wide}, {wide}, {wide}, {wide}]"),
            "weights, expected at most 268435456",
        ),
        (
            "backbone.stages=[{ width = 512, blocks = 8, stride = 1 }]".to_owned(),
            "multiply-accumulates a patch, expected at most 30000000000",
        ),
        (
            "backbone.stages=[{ width = 16, blocks = 1, stride = 0 }]".to_owned(),
            "stride 0",
        ),
        (
            "backbone.stem.width=9223372036854775807".to_owned(),
            "width 9223372036854775807",
        ),
        (
            "objective.projector_hidden=100000000".to_owned(),
            "projector_hidden",
        ),
    ] {
        let message = RunConfig::from_toml(PRESETS[0].1, std::slice::from_ref(&setting));
        let message = format!("{:#}", message.expect_err(&setting));
        assert!(message.contains(named), "{setting}: {message}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.toml");
    std::fs::write(&path, "# long\n".repeat(200_000)).unwrap();
    let message = format!("{:#}", RunConfig::read(&path, &[]).unwrap_err());
    assert!(message.contains("at most 1048576"), "{message}");
}

/// A byte of a preset is another: the text is refused or can be used.
#[test]
fn damaged_configurations_never_panic() {
    const BYTES: &[u8] = b"0123456789-.e=[]\"\n a";
    let mut state = 5_u64;
    // Knuth's linear congruential generator; the upper bits are the random ones.
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    for _ in 0..500 {
        let mut text = PRESETS[0].1.as_bytes().to_vec();
        for _ in 0..=below(3) {
            let at = below(text.len());
            text[at] = BYTES[below(BYTES.len())];
        }
        let Ok(text) = String::from_utf8(text) else {
            continue;
        };
        if let Ok(config) = RunConfig::from_toml(&text, &[]) {
            config.check().unwrap();
        }
    }
}
