use super::*;

fn spec(kind: AdapterKind, from_stage: usize) -> BackboneSpec {
    let stage = StageSpec {
        width: 32,
        blocks: 2,
        stride: 2,
    };
    BackboneSpec {
        stem: StemSpec {
            width: 16,
            kernel: 5,
            stride: 2,
        },
        stages: vec![stage; 3],
        adapters: AdapterSpec { kind, from_stage },
        output: None,
        parts: Vec::new(),
        shares: BTreeMap::new(),
    }
}

#[test]
fn work_counts_what_is_shared_once() {
    let macs = |kind, from_stage| spec(kind, from_stage).forward_macs(61, 64);
    let once = macs(AdapterKind::None, 0);
    // By hand: the stem makes a map of 31 x 32, the stages 16 x 16, 8 x 8 and 4 x 4.
    let stem = 25 * 16 * 31 * 32;
    let first = (9 * (16 + 32 + 32 + 32) + 16) * 32 * 16 * 16;
    let later = (9 * 4 * 32 + 32) * 32 * (8 * 8 + 4 * 4);
    assert_eq!(once, stem + first + later);
    assert_eq!(macs(AdapterKind::Split, 0), once);
    assert_eq!(macs(AdapterKind::Separate, 0), 2 * once);
    assert_eq!(macs(AdapterKind::Parallel, 0), 2 * once - stem);
    assert_eq!(macs(AdapterKind::BatchNorm, 1), once + later);
    let adapters = 2 * 4 * 32 * 32 * (16 * 16 + 8 * 8 + 4 * 4);
    assert_eq!(macs(AdapterKind::Series, 0), 2 * once - stem + adapters);
}

#[test]
fn an_output_must_fit_the_last_map() {
    let mut spec = spec(AdapterKind::Parallel, 0);
    assert_eq!(spec.last_map(61, 64), (4, 4));
    assert_eq!((spec.feature_dim(), spec.path_dim(0)), (32, 32));
    let with = |bands, dim, whitening| OutputSpec {
        bands,
        dim,
        equivariant_dim: None,
        whitening,
        within: 0.0,
    };
    spec.output = Some(with(2, 48, 0.5));
    let dims = |spec: &BackboneSpec| [0, 1].map(|path| spec.path_dim(path));
    assert_eq!((spec.feature_dim(), dims(&spec)), (64, [48, 48]));
    assert_eq!(spec.check(61, 64), Ok(()));
    let equivariant = |dim| OutputSpec {
        equivariant_dim: Some(dim),
        ..with(2, 48, 0.5)
    };
    spec.output = Some(equivariant(20));
    assert_eq!((dims(&spec), spec.embedding_dim()), ([48, 20], 68));
    assert_eq!(spec.check(61, 64), Ok(()));
    spec.adapters.kind = AdapterKind::None;
    let error = spec.check(61, 64).unwrap_err();
    assert!(error.contains("there is one path"), "{error}");
    spec.adapters.kind = AdapterKind::Parallel;
    for (output, said) in [
        (with(3, 48, 0.5), "bands is 3"),
        (with(0, 48, 0.5), "bands is 0"),
        (with(2, 0, 0.5), "dim is 0"),
        (equivariant(0), "equivariant_dim is 0"),
        (with(2, 48, 1.5), "whitening is 1.5"),
        (
            OutputSpec {
                within: -0.5,
                ..with(2, 48, 0.5)
            },
            "backbone.output.within is -0.5",
        ),
    ] {
        spec.output = Some(output);
        let error = spec.check(61, 64).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

fn taught(name: &str, dim: usize) -> PartSpec {
    PartSpec {
        name: name.into(),
        dim,
        learned: None,
        path: 0,
        whitening: 0.5,
    }
}

fn shares(spec: &BackboneSpec) -> Vec<(String, usize, f32)> {
    let parts = spec.embedding_parts().unwrap();
    let parts = parts.as_slice().iter();
    parts.map(|p| (p.name.to_owned(), p.len, p.share)).collect()
}

#[test]
fn parts_follow_the_paths_and_share_what_is_left() {
    let mut spec = spec(AdapterKind::Split, 0);
    assert_eq!(spec.embedding_dim(), 64);
    let own = [
        ("invariant".into(), 32, 0.7),
        ("equivariant".into(), 32, 0.3),
    ];
    assert_eq!(shares(&spec), own);
    spec.parts = vec![taught("events", 96), taught("speech", 40)];
    assert_eq!(spec.check(61, 64), Ok(()));
    assert_eq!(spec.embedding_dim(), 64 + 136);
    let near = |spec: &BackboneSpec, expected: [f32; 4]| {
        for ((name, _, share), expected) in shares(spec).iter().zip(expected) {
            assert!((share - expected).abs() < 1e-6, "{name}: {share}");
        }
    };
    near(&spec, [0.35, 0.15, 0.25, 0.25]);
    spec.shares.insert("speech".into(), 0.4);
    near(&spec, [0.28, 0.12, 0.2, 0.4]);
    spec.adapters.kind = AdapterKind::None;
    let single = shares(&spec);
    assert_eq!(single[0], ("features".into(), 32, 0.3));
    assert_eq!(single[1], ("events".into(), 96, 0.3));
}

#[test]
fn parts_that_cannot_be_are_named() {
    let error = |change: &dyn Fn(&mut BackboneSpec)| {
        let mut spec = spec(AdapterKind::Parallel, 0);
        spec.parts = vec![taught("events", 96)];
        change(&mut spec);
        spec.check(61, 64).unwrap_err()
    };
    let renamed = |name: &str| error(&|spec| spec.parts.push(taught(name, 8)));
    assert!(renamed("").contains("1 to 32 letters"));
    assert!(renamed("a.b").contains("\"a.b\""));
    assert!(renamed("events").contains("taken"));
    assert!(renamed("invariant").contains("taken"));
    assert!(renamed("log_mel").contains("taken"));
    assert!(error(&|spec| spec.parts[0].dim = 0).contains("dim = 0"));
    assert!(error(&|spec| spec.parts[0].path = 2).contains("path = 2"));
    assert!(error(&|spec| spec.parts[0].whitening = 2.0).contains("whitening is 2"));
    let said = error(&|spec| spec.parts[0].learned = Some(1));
    assert!(said.contains("learned = 1"), "{said}");
    let seven = |spec: &mut BackboneSpec| {
        spec.parts = (0..7).map(|i| taught(&format!("p{i}"), 8)).collect();
    };
    assert!(error(&seven).contains("at most 6"));
    let share = |name: &'static str, share: f64| {
        move |spec: &mut BackboneSpec| {
            spec.shares.insert(name.into(), share);
        }
    };
    assert!(error(&share("event", 0.1)).contains("invariant, equivariant, events"));
    assert!(error(&share("events", 1.5)).contains("events is 1.5"));
    let two = |spec: &mut BackboneSpec| {
        share("events", 0.8)(spec);
        share("invariant", 0.4)(spec);
    };
    assert!(error(&two).contains("at most 1"));
    let three = |spec: &mut BackboneSpec| {
        share("events", 0.3)(spec);
        share("invariant", 0.3)(spec);
        share("equivariant", 0.3)(spec);
    };
    assert!(error(&three).contains("expected 1"));
}

#[test]
fn provenance_keeps_the_shape() {
    let spec = spec(AdapterKind::Parallel, 1);
    let text = spec.add_to_provenance("mtslvr 0.1.0, seed 3");
    assert!(text.starts_with("mtslvr 0.1.0, seed 3\n"));
    assert_eq!(BackboneSpec::from_provenance(&text), Some(spec));
    assert_eq!(BackboneSpec::from_provenance("made elsewhere"), None);
}
