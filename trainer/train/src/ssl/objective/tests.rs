use super::*;
use crate::augment::OPERATORS;
use crate::net::ops::finite_difference::random;
use crate::train::{PRESETS, RunConfig};
use candle_core::{DType, Device};

/// Views of patches shorter than any preset's own, which keeps the tests quick.
fn views() -> Views {
    let labels = random(2, &[4, OPERATORS]).ge(0.0).unwrap();
    let labels = labels.to_dtype(DType::F32).unwrap();
    Views {
        patches: random(1, &[4, 33, 64]),
        parameters: (random(3, &[4, OPERATORS]) * &labels).unwrap(),
        labels,
        predicted: None,
        lessons: Vec::new(),
    }
}

fn lesson(targets: Tensor) -> Lesson {
    Lesson {
        targets,
        counted: None,
    }
}

fn taught(name: &str, weight: f64, subject: Subject) -> Taught {
    Taught {
        name: name.into(),
        weight,
        subject,
    }
}

fn with(preset: &str, settings: &[&str]) -> RunConfig {
    let text = PRESETS.iter().find(|(name, _)| *name == preset).unwrap().1;
    let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
    RunConfig::from_toml(text, &settings).unwrap()
}

/// candle's own LayerNorm and softmax give no gradient without a word; nothing here may.
fn every_parameter_gets_a_gradient(name: &str, config: &RunConfig, teachers: &[Taught]) {
    let mut p = Parameters::new(1, &Device::Cpu);
    let (objective, backbone) = (&config.objective, &config.backbone);
    let objective = Objective::new(objective, backbone, OPERATORS, teachers, &mut p).unwrap();
    let mut views = views();
    for taught in teachers {
        let dims = match &taught.subject {
            Subject::Paths(lengths) => lengths.clone(),
            Subject::Part(part) => {
                let mut parts = backbone.parts.iter();
                vec![parts.find(|known| known.name == *part).unwrap().dim]
            }
        };
        let lessons = dims.iter().map(|&dim| lesson(random(6, &[4, dim])));
        views.lessons.extend(lessons);
    }
    let loss = objective
        .loss(&views, Mode::Train { momentum: 0.1 })
        .unwrap();
    let gradients = loss.total.backward().unwrap();
    for (parameter, variable) in p.variables() {
        let gradient = gradients.get(variable.as_tensor());
        let gradient = gradient.unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
        let length: f32 = gradient
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar()
            .unwrap();
        assert!(
            length.is_finite() && length > 0.0,
            "{name}: gradient of {parameter} is {length}"
        );
    }
}

#[test]
fn every_parameter_of_every_preset_gets_a_gradient() {
    for (name, _) in PRESETS {
        every_parameter_gets_a_gradient(name, &RunConfig::preset(name).unwrap(), &[]);
    }
}

#[test]
fn every_parameter_of_every_variant_gets_a_gradient() {
    const BOTH: &str = "objective.tasks=[\"contrastive\", \"predictive\"]";
    const TWICE: &str = "objective.tasks=[\"contrastive\", \"contrastive\"]";
    let paths = ["split", "batch-norm", "series", "parallel", "separate"];
    for contrastive in ["sim-clr", "sim-siam"] {
        let loss = format!("objective.contrastive={contrastive}");
        let with_teachers = |kind: &str, settings: &[&str], teachers: &[Taught]| {
            let kind = format!("backbone.adapters.kind={kind}");
            // Narrow: each variant is a network of its own.
            let narrow = "backbone.stages=[{ width = 5, blocks = 1, stride = 2 }, \
                          { width = 6, blocks = 1, stride = 1 }, { width = 6, blocks = 2, stride = 2 }]";
            let output = "backbone.output={ bands = 2, dim = 8, whitening = 0.5 }";
            let settings = [&[loss.as_str(), kind.as_str(), narrow, output], settings].concat();
            let config = with("edge-s", &settings);
            every_parameter_gets_a_gradient(&settings.join(" "), &config, teachers);
        };
        let check = |kind: &str, settings: &[&str]| with_teachers(kind, settings, &[]);
        let parts =
            "backbone.parts=[{ name = \"a\", dim = 5 }, { name = \"b\", dim = 4, path = 1 }]";
        let one_part = "backbone.parts=[{ name = \"a\", dim = 5 }]";
        let backbone = || taught("big", 1.0, Subject::Paths(vec![5, 3]));
        let part = |name: &str| taught(name, 2.0, Subject::Part(name.into()));
        for kind in paths {
            for from in [
                "backbone.adapters.from_stage=0",
                "backbone.adapters.from_stage=2",
            ] {
                check(kind, &[BOTH, from]);
            }
            check(kind, &[TWICE]);
            check(kind, &[BOTH, "objective.parameter_weight=0.5"]);
            with_teachers(kind, &[BOTH], &[backbone()]);
            with_teachers(kind, &[BOTH, parts], &[backbone(), part("a"), part("b")]);
        }
        for tasks in [
            BOTH,
            "objective.tasks=[\"contrastive\"]",
            "objective.tasks=[\"predictive\"]",
        ] {
            check("none", &[tasks]);
            with_teachers("none", &[tasks], &[backbone()]);
            with_teachers("none", &[tasks, one_part], &[part("a")]);
        }
    }
}

#[test]
fn parts_that_an_objective_lacks_are_not_numbers() {
    let config = with(
        "edge-s",
        &[
            "backbone.adapters.kind=none",
            "objective.tasks=[\"contrastive\"]",
        ],
    );
    let mut p = Parameters::new(1, &Device::Cpu);
    let objective =
        Objective::new(&config.objective, &config.backbone, OPERATORS, &[], &mut p).unwrap();
    let loss = objective.loss(&views(), Mode::Evaluate).unwrap();
    assert!(loss.contrastive.is_finite() && loss.spread > 0.0);
    assert!(loss.predictive.is_nan() && loss.label_accuracy.is_nan());
    assert_eq!(loss.total.to_scalar::<f32>().unwrap(), loss.contrastive);
}

/// Makes paths differ, so that lessons tell which one was asked.
fn tell_paths_apart(p: &Parameters) {
    for (index, (name, variable)) in p.variables().enumerate() {
        if name.contains("adapter.") {
            let values = random(index as u64 + 1, variable.dims());
            variable.set(&values).unwrap();
        }
    }
}

#[test]
fn views_that_do_not_count_leave_the_predictive_loss_alone() {
    let settings = [
        "backbone.adapters.kind=none",
        "objective.tasks=[\"predictive\"]",
        "objective.parameter_weight=0.5",
    ];
    let config = with("edge-s", &settings);
    let mut p = Parameters::new(1, &Device::Cpu);
    let (objective, backbone) = (&config.objective, &config.backbone);
    let objective = Objective::new(objective, backbone, OPERATORS, &[], &mut p).unwrap();
    let all = views();
    let loss = |views: &Views| {
        let loss = objective.loss(views, Mode::Evaluate).unwrap();
        let total: f32 = loss.total.to_scalar().unwrap();
        (total, loss)
    };
    let rows = Tensor::new(&[0u32, 3], &Device::Cpu).unwrap();
    let some = Views {
        predicted: Some(rows.clone()),
        ..all.clone()
    };
    let pick = |values: &Tensor| values.index_select(&rows, 0).unwrap();
    let only = Views {
        patches: pick(&all.patches),
        labels: pick(&all.labels),
        parameters: pick(&all.parameters),
        ..all.clone()
    };
    let (some, only) = (loss(&some).0, loss(&only).0);
    assert!((some - only).abs() < 1e-6 && some != loss(&all).0);
    let none = Views {
        predicted: Some(Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap()),
        ..all
    };
    let (total, none) = loss(&none);
    assert_eq!((total, none.predictive), (0.0, 0.0));
    assert!(none.total.backward().is_ok());
}

#[test]
fn a_path_learns_the_part_of_its_number_by_the_weight_given() {
    let loss = |weight: f64, parts: &[usize]| {
        let config = with("edge-s", &["backbone.adapters.kind=parallel"]);
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let teachers = [taught("big", weight, Subject::Paths(parts.to_vec()))];
        let objective = Objective::new(objective, backbone, OPERATORS, &teachers, &mut p).unwrap();
        tell_paths_apart(&p);
        let mut views = views();
        let processor = Processor {
            mode: Mode::Evaluate,
        };
        let averages = objective.trunk.averages(&views.patches, processor.mode);
        let features = objective
            .trunk
            .path_features(&processor, &averages.unwrap());
        let told = |part: usize| {
            // A third part is learned by the first path.
            let features = &features.as_ref().unwrap()[part % 2];
            let Learner::Path(linear) = &objective.pupils[0].learners[part] else {
                panic!("a part of a backbone is learnt by a path");
            };
            unit_rows(&linear.forward(&processor, features).unwrap()).unwrap()
        };
        views.lessons = (0..parts.len()).map(|part| lesson(told(part))).collect();
        let loss = objective.loss(&views, Mode::Evaluate).unwrap();
        assert_eq!(loss.teachers[0].0, "big");
        assert!(loss.teachers[0].1.abs() < 1e-5, "{:?}", loss.teachers);
        views.lessons[0] = lesson((told(0) * -1.0).unwrap());
        objective.loss(&views, Mode::Evaluate).unwrap()
    };
    let [once, thrice] = [1.0, 3.0].map(|weight| loss(weight, &[5]));
    assert!((once.teachers[0].1 - 2.0).abs() < 1e-5);
    let totals = [once, thrice].map(|loss| loss.total.to_scalar::<f32>().unwrap());
    assert!((totals[1] - totals[0] - 4.0).abs() < 1e-4, "{totals:?}");
    for parts in [&[5, 3][..], &[5, 3, 4]] {
        let distance = loss(1.0, parts).teachers[0].1;
        assert!((distance - 2.0 / parts.len() as f32).abs() < 1e-5);
    }
}

const TWO_PARTS: &str =
    "backbone.parts=[{ name = \"a\", dim = 5 }, { name = \"b\", dim = 4, path = 1 }]";

#[test]
fn a_part_learns_from_its_teacher_what_views_with_a_target_have() {
    let config = with("edge-s", &["backbone.adapters.kind=parallel", TWO_PARTS]);
    let mut p = Parameters::new(1, &Device::Cpu);
    let (objective, backbone) = (&config.objective, &config.backbone);
    let part = |name: &str, weight| taught(name, weight, Subject::Part(name.into()));
    let teachers = [part("b", 2.0), part("a", 3.0)];
    let objective = Objective::new(objective, backbone, OPERATORS, &teachers, &mut p).unwrap();
    tell_paths_apart(&p);
    let mut views = views();
    let averages = objective.trunk.averages(&views.patches, Mode::Evaluate);
    let told = |index: usize| {
        let processor = Processor {
            mode: Mode::Evaluate,
        };
        let averages = averages.as_ref().unwrap();
        let part = objective.trunk.part(&processor, index, averages);
        unit_rows(&part.unwrap()).unwrap()
    };
    // The lessons come in the teachers' order: first part 1, which reads path 1.
    let opposite = (told(0) * -1.0).unwrap();
    views.lessons = vec![lesson(told(1)), lesson(opposite)];
    let loss = objective.loss(&views, Mode::Evaluate).unwrap();
    let names: Vec<&str> = loss.teachers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["b", "a"]);
    assert!(loss.teachers[0].1.abs() < 1e-5);
    assert!((loss.teachers[1].1 - 2.0).abs() < 1e-5);
    let total = loss.total.to_scalar::<f32>().unwrap();
    // Without a view that has a target, what the part is to tell does not matter.
    views.lessons[1].counted = Some(Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap());
    let loss = objective.loss(&views, Mode::Evaluate).unwrap();
    assert_eq!(loss.teachers[1].1, 0.0);
    let without = loss.total.to_scalar::<f32>().unwrap();
    assert!((total - without - 6.0).abs() < 1e-4, "{total} {without}");
    assert!(
        Objective::new(
            &config.objective,
            backbone,
            OPERATORS,
            &[part("c", 1.0)],
            &mut Parameters::new(1, &Device::Cpu)
        )
        .is_err()
    );
}

#[test]
fn a_part_without_a_teacher_keeps_what_it_told() {
    let config = with("edge-s", &[TWO_PARTS]);
    let mut p = Parameters::new(1, &Device::Cpu);
    let (objective, backbone) = (&config.objective, &config.backbone);
    let teachers = [taught("a", 1.0, Subject::Part("a".into()))];
    let mut objective = Objective::new(objective, backbone, OPERATORS, &teachers, &mut p).unwrap();
    let mut start = p.to_weights().unwrap();
    // The part that is taught may be new.
    start.retain(|name, _| !name.starts_with("part.a."));
    objective.keep(&start, &Device::Cpu).unwrap();
    let mut views = views();
    views.lessons = vec![lesson(random(6, &[4, 5]))];
    let loss = || objective.loss(&views, Mode::Evaluate).unwrap();
    assert!(loss().kept.abs() < 1e-5);
    let (_, weight) = p
        .variables()
        .find(|(name, _)| *name == "part.b.weight")
        .unwrap();
    weight.set(&(weight.as_tensor() * -1.0).unwrap()).unwrap();
    let turned = loss();
    assert!((turned.kept - 2.0).abs() < 1e-5);
    let gradients = turned.total.backward().unwrap();
    assert!(gradients.get(weight.as_tensor()).is_some());

    start.retain(|name, _| !name.starts_with("part.b."));
    let error = objective
        .keep(&start, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("lack part.b."), "{error}");
}

#[test]
fn tasks_that_do_not_fit_the_paths_are_refused() {
    let text = PRESETS[0].1;
    for (tasks, named) in [
        ("[]", "0 entries"),
        ("[\"contrastive\"]", "learn nothing"),
        ("[\"predictive\", \"contrastive\"]", "comes first"),
    ] {
        let error = RunConfig::from_toml(text, &[format!("objective.tasks={tasks}")]);
        let message = format!("{:#}", error.unwrap_err());
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn adapters_start_as_the_shared_network_and_stay_apart() {
    let config = with("edge-s", &["backbone.adapters.kind=parallel"]);
    let mut p = Parameters::new(5, &Device::Cpu);
    let trunk = Trunk::new(&config.backbone, &mut p).unwrap();
    let patches = random(3, &[2, 33, 64]);
    let rows = |path: usize| {
        trunk.averages(&patches, Mode::Evaluate).unwrap()[path]
            .to_vec2::<f32>()
            .unwrap()
    };
    assert_eq!(rows(0), rows(1));
    let (name, adapter) = p
        .variables()
        .find(|(name, _)| name.contains("adapter.1"))
        .unwrap();
    adapter.set(&random(4, adapter.dims())).unwrap();
    let before = rows(0);
    assert_ne!(rows(1), before, "{name} changes the predictive path");
}
