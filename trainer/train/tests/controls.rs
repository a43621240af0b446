//! Controls that learned nothing, beside a trunk that did not learn much.

use mtslvr_audio::synth;
use mtslvr_evaluate::{
    Candidate, Controls, EpisodeShape, FeatureChoice, Head, LoadedSet, Settings, evaluate_set,
};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_train::net::{AdapterKind, AdapterSpec, BackboneSpec, StageSpec, StemSpec};
use mtslvr_train::trunk_backbone::{TrunkBackbone, random_weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn a_synthetic_set_goes_all_the_way() {
    let rate = 8000;
    let frontend = FrontendConfig {
        sample_rate: rate,
        window: 256,
        hop: 128,
        mels: 24,
        frames: 30,
        f_min: 50.0,
        f_max: 4000.0,
        floor: 1e-4,
        mean: 0.0,
        scale: 0.3,
        form: FrontendForm::PLAIN,
    };
    let stage = |width| StageSpec {
        width,
        blocks: 1,
        stride: 2,
    };
    let spec = BackboneSpec {
        stem: StemSpec {
            width: 4,
            kernel: 3,
            stride: 2,
        },
        stages: vec![stage(8)],
        output: None,
        parts: Vec::new(),
        shares: Default::default(),
        adapters: AdapterSpec {
            kind: AdapterKind::BatchNorm,
            from_stage: 0,
        },
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let patches: Vec<_> = (0..4).map(|_| synth::Patch::random(&mut rng)).collect();
    let candidates = (0..24).map(|i| Candidate {
        class: i % 4,
        group: None,
    });
    let set = LoadedSet {
        name: "made up".into(),
        classes: (0..4).map(|c| format!("patch {c}")).collect(),
        candidates: candidates.collect(),
        clips: (0..24)
            .map(|i| patches[i % 4].render(4000, rate, &mut rng))
            .collect(),
    };
    let mut settings = Settings {
        shape: EpisodeShape {
            ways: 3,
            shots: 1,
            queries: 2,
        },
        tasks: 40,
        head: Head::default(),
        features: FeatureChoice::ALL,
        seed: 1,
    };
    let mut controls = Controls::new(&frontend, |reference| {
        random_weights(Some(&spec), &frontend, reference, 1)
    })
    .unwrap();
    let trunk = TrunkBackbone::random(&spec, frontend, &set.clips, 2).unwrap();
    let counted = std::sync::atomic::AtomicUsize::new(0);
    let count = || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let mut engines = vec![trunk.clone(), trunk];
    let result = evaluate_set(&mut engines, &mut controls, &set, &settings, &count).unwrap();
    assert_eq!(counted.into_inner(), 24 * controls.rounds());
    // Patches of one synthesiser seed differ far more than their renders.
    assert!(result.mfcc > 45.0 && result.accuracy > 45.0, "{result:?}");
    assert!(result.random.is_some());
    settings.shape.shots = 9;
    let error = evaluate_set(&mut engines, &mut controls, &set, &settings, &|| ()).unwrap_err();
    assert!(
        error.to_string().contains("6 clips, and 9 shots need 10"),
        "{error}"
    );
}
