//! Compares the engine with the same network in real numbers, and the ways of packing it with each other.

use mtslvr_pack::builder::{Activation, ModelSpec, OpKindSpec, OpSpec, OwnedPatchNorm, build};
use mtslvr_runtime::backbone::{ArenaTooSmall, Backbone, PackedBackbone};
use mtslvr_runtime::frontend::{
    BandNorm, FloorRule, Framing, FrontendForm, MelScale, PatchMean, Spectrum,
};
use mtslvr_runtime::model::wire::{OpRecord, TensorRecord};
use mtslvr_runtime::model::{Model, OpKind, Tables};
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_runtime::nn::{Layout, Window};
use std::collections::{BTreeMap, BTreeSet};

use crate::network::{Plan, every_operator, network, patches, rewire};
use crate::real_numbers::interpret;

/// Embeddings of a few patches, and their int8 values.
fn run(spec: &ModelSpec) -> (Vec<f32>, Vec<i8>) {
    let file = build(spec).unwrap();
    let model = Model::open(&file).unwrap();
    let mut backbone = PackedBackbone::new(model, vec![55i8; model.arena_len()]).unwrap();
    let (mut floats, mut integers) = (Vec::new(), Vec::new());
    for patch in patches(spec.frontend.patch_len(), 4) {
        let mut embedding = vec![0.0; model.space().dim()];
        backbone.embed(&patch, &mut embedding).unwrap();
        floats.extend(embedding);
        integers.extend(backbone.run(&patch).unwrap().flatten());
    }
    (floats, integers)
}

#[test]
fn the_engine_computes_the_described_network() {
    for seed in 1..=6 {
        let plan = Plan {
            parts: 1 + (seed % 3) as usize,
            width: 3 + seed as usize,
            split_from: (seed % 3) as usize,
            max_pool: seed % 3 == 0,
            linear: seed > 3,
            ..Plan::SMALL
        };
        // Measured: 40.7 to 43.9 dB. One wrong zero point or shift costs more than 10.
        assert_near(&network(plan, seed), 37.0);
    }
}

#[test]
fn the_engine_computes_every_kind_of_operator() {
    for seed in 1..=6 {
        let spec = every_operator(seed);
        let file = build(&spec).unwrap();
        let model = Model::open(&file).unwrap();
        let kinds: BTreeSet<u8> = model.ops().map(|op| op.kind as u8).collect();
        let all: BTreeSet<u8> = (1..=12)
            .filter(|&kind| kind != OpKind::Linear as u8)
            .collect();
        assert_eq!(kinds, all);
        let tables = model.ops().filter(|op| op.kind == OpKind::Lookup);
        let in_place: Vec<bool> = tables.map(|op| op.runs_in_place()).collect();
        assert_eq!(in_place, [true, true]);
        // Squares double the relative error.
        assert_near(&spec, 26.0);
    }
}

/// Asserts that the engine computes `spec`, with at least so many decibels between the values and their
/// errors.
fn assert_near(spec: &ModelSpec, least: f64) {
    let (floats, _) = run(spec);
    let mut expected = Vec::new();
    for patch in patches(spec.frontend.patch_len(), 4) {
        let tensors = interpret(spec, &patch);
        for part in &spec.parts {
            expected.extend(&tensors[part.tensor]);
        }
    }
    assert_eq!(floats.len(), expected.len());
    let mean = expected.iter().sum::<f64>() / expected.len() as f64;
    let power: f64 = expected.iter().map(|x| (x - mean).powi(2)).sum();
    let noise: f64 = floats
        .iter()
        .zip(&expected)
        .map(|(&x, y)| (f64::from(x) - y).powi(2))
        .sum();
    let decibels = 10.0 * (power / noise).log10();
    assert!(decibels > least, "{}: {decibels:.1} dB", spec.provenance);
}

/// Runs every kind of operator through the engine, with the kernels of every instruction set that this
/// machine has.
#[cfg(feature = "std")]
#[test]
fn every_instruction_set_gives_the_same_bytes() {
    for seed in 1..=5 {
        let plan = Plan {
            width: 4 + 6 * seed as usize,
            split_from: (seed % 3) as usize,
            max_pool: seed % 2 == 0,
            linear: seed > 2,
            ..Plan::SMALL
        };
        let spec = match seed {
            4 => every_operator(seed),
            _ => network(plan, 40 + seed),
        };
        let file = build(&spec).unwrap();
        let model = Model::open(&file).unwrap();
        let patch = &patches(model.frontend().patch_len(), 1)[0];
        let features = |set: InstructionSet| {
            let arena = vec![55i8; model.arena_len()];
            let mut backbone = PackedBackbone::with_instruction_set(model, arena, set).unwrap();
            assert_eq!(backbone.instruction_set(), set);
            let mut embedding = vec![0.0; model.space().dim()];
            backbone.embed(patch, &mut embedding).unwrap();
            let values: Vec<i8> = backbone.run(patch).unwrap().flatten().copied().collect();
            (embedding, values)
        };
        let expected = features(InstructionSet::Portable);
        for set in InstructionSet::ALL {
            if set.is_available() {
                assert_eq!(features(set), expected, "{}, {plan:?}", set.name());
            }
        }
    }
}

/// The same network with operators of its own for each part.
fn apart(spec: &ModelSpec) -> ModelSpec {
    let mut apart = spec.clone();
    apart.ops.clear();
    for part in &mut apart.parts {
        let mut needed = vec![false; spec.ops.len() + 1];
        needed[part.tensor] = true;
        for index in (0..spec.ops.len())
            .rev()
            .filter(|index| *index < part.tensor)
        {
            let (first, second) = spec.ops[index].kind.operands();
            for tensor in [Some(first), second].into_iter().flatten() {
                needed[tensor] |= needed[index + 1];
            }
        }
        let mut moved = vec![0; spec.ops.len() + 1];
        for (index, op) in spec.ops.iter().enumerate() {
            if needed[index + 1] {
                let mut op = op.clone();
                rewire(&mut op.kind, |tensor| moved[tensor]);
                apart.ops.push(op);
                moved[index + 1] = apart.ops.len();
            }
        }
        part.tensor = moved[part.tensor];
    }
    apart
}

#[test]
fn running_shared_operators_once_changes_no_byte() {
    for split_from in 0..3 {
        let plan = Plan {
            parts: 3,
            split_from,
            ..Plan::SMALL
        };
        let spec = network(plan, 11);
        let apart = apart(&spec);
        // Stem and pool, the first stage's six operators; the second's seven and the average.
        let shared = [0, 2 + 6, 2 + 6 + 7 + 1][split_from];
        assert_eq!(apart.ops.len() - spec.ops.len(), 2 * shared, "{split_from}");
        assert_eq!(run(&spec), run(&apart));
        // Tables are stored once either way; the rest is records and the filling of sections.
        let [len, apart_len] = [&spec, &apart].map(|spec| build(spec).unwrap().len());
        let records = 2 * shared * (OpRecord::LEN + TensorRecord::LEN);
        assert!(
            (len..=len + records + 16).contains(&apart_len),
            "{apart_len} {len}"
        );
    }
}

#[test]
fn fusing_an_addition_changes_no_byte() {
    let spec = network(Plan::SMALL, 12);
    // A pool that only looks at what a convolution makes keeps the addition from being fused.
    let mut apart = spec.clone();
    let mut moved = vec![0];
    apart.ops.clear();
    for op in &spec.ops {
        let mut op = op.clone();
        rewire(&mut op.kind, |tensor| moved[tensor]);
        let output = op.output;
        let convolves = matches!(op.kind, OpKindSpec::Convolution { .. });
        apart.ops.push(op);
        moved.push(apart.ops.len());
        if convolves {
            let window = Window::square(1, 1, 0);
            let kind = OpKindSpec::MaxPool {
                input: apart.ops.len(),
                window,
            };
            apart.ops.push(OpSpec {
                kind,
                activation: Activation::Linear,
                output,
            });
        }
    }
    for part in &mut apart.parts {
        part.tensor = moved[part.tensor];
    }
    let (fused, unfused) = (build(&spec).unwrap(), build(&apart).unwrap());
    let [fused, unfused] = [&fused, &unfused].map(|file| Model::open(file).unwrap());
    let additions = |model: &Model<'_>| {
        model
            .ops()
            .filter(|op| op.kind == mtslvr_runtime::model::OpKind::Add)
            .count()
    };
    // Two shared blocks, and two for each part.
    assert_eq!((additions(&fused), additions(&unfused)), (0, 6));
    assert!(fused.ops().any(|op| op.runs_in_place()));
    assert!(unfused.ops().any(|op| op.runs_in_place()));
    assert_eq!(run(&spec), run(&apart));
}

/// Bytes of all kernels, and of all adapters; what operators share counts once.
fn stored(file: &[u8]) -> (usize, usize) {
    let model = Model::open(file).unwrap();
    let tables = |table: fn(&Tables) -> (usize, usize)| {
        let all: BTreeMap<usize, usize> = model.ops().map(|op| table(&op.tables)).collect();
        all.values().sum()
    };
    (
        tables(|tables| (tables.weights.as_ptr().addr(), tables.weights.len())),
        tables(|tables| (tables.adapter.as_ptr().addr(), tables.adapter.len())),
    )
}

/// A folded model has kernels of its own for each part and no adapters.
#[test]
fn folding_adapters_changes_no_byte() {
    let mut spec = network(
        Plan {
            split_from: 0,
            ..Plan::SMALL
        },
        13,
    );
    for op in &mut spec.ops {
        if let OpKindSpec::Convolution {
            channels, window, ..
        } = &mut op.kind
        {
            // Small enough that the sums stay int8.
            channels.weights.iter_mut().for_each(|w| *w /= 2);
            channels.adapter.iter_mut().flatten().for_each(|w| *w /= 2);
            assert!(window.kernel[0] % 2 == 1);
        }
    }
    let mut folded = spec.clone();
    for op in &mut folded.ops {
        let OpKindSpec::Convolution {
            channels: rules,
            window,
            ..
        } = &mut op.kind
        else {
            continue;
        };
        let Some(adapter) = rules.adapter.take() else {
            continue;
        };
        let channels = adapter.len() / rules.scale.len();
        let row = window.area() * channels;
        for (i, w) in adapter.into_iter().enumerate() {
            let (o, c) = (i / channels, i % channels);
            rules.weights[o * row + window.area() / 2 * channels + c] += w;
        }
    }
    assert_eq!(run(&spec), run(&folded));
    let (file, folded_file) = (build(&spec).unwrap(), build(&folded).unwrap());
    let ((shared, adapters), (twice, none)) = (stored(&file), stored(&folded_file));
    assert!(adapters > 0 && none == 0);
    assert!(twice > shared + adapters);
}

#[test]
fn a_small_arena_is_refused_with_both_sizes() {
    let file = build(&network(Plan::SMALL, 14)).unwrap();
    let model = Model::open(&file).unwrap();
    let needed = model.arena_len();
    let mut arena = vec![0i8; needed - 1];
    let error = PackedBackbone::new(model, arena.as_mut_slice()).unwrap_err();
    assert_eq!(
        error,
        ArenaTooSmall {
            needed,
            available: needed - 1
        }
    );
}

#[test]
fn the_model_says_what_it_was_built_with() {
    let spec = network(Plan::SMALL, 15);
    let file = build(&spec).unwrap();
    let model = Model::open(&file).unwrap();
    assert_eq!(model.name(), spec.name);
    assert_eq!(model.provenance(), spec.provenance);
    assert_eq!(*model.frontend(), spec.frontend);
    let space = model.space();
    assert_eq!(space.backbone(), model.id());
    assert_eq!(*space.frontend(), spec.frontend);
    assert_eq!(space.base_mean(), spec.base_mean);
    let parts: Vec<_> = space.parts().ranges().collect();
    for ((part, range), (said, expected)) in
        parts.iter().zip(spec.parts.iter().zip([0..11, 11..23]))
    {
        assert_eq!((part.name, part.share), (said.name.as_str(), said.share));
        assert_eq!(*range, expected);
    }
    assert_eq!(parts.len(), 2);
    assert_eq!(Model::len_from_header(&file), Ok(file.len()));
}

/// A frontend of another form is another section, which a reader must know.
#[test]
fn the_form_of_the_features_is_in_the_model() {
    let mut spec = network(Plan::SMALL, 15);
    let plain = build(&spec).unwrap();
    spec.frontend.form = FrontendForm {
        transform: Some(512),
        spectrum: Spectrum::Magnitude,
        mel_scale: MelScale::Slaney,
        band_norm: BandNorm::Area,
        floor_rule: FloorRule::Least,
        framing: Framing::Centre,
    };
    let file = build(&spec).unwrap();
    let model = Model::open(&file).unwrap();
    assert_eq!(*model.frontend(), spec.frontend);
    assert_ne!(model.id(), Model::open(&plain).unwrap().id());
}

/// The engine sees what a network without the norm sees of patches that were normalised before.
#[test]
fn the_norm_of_a_patch_is_in_the_model() {
    let plain = network(Plan::SMALL, 15);
    let mels = usize::from(plain.frontend.mels);
    let bands = (0..mels)
        .map(|band| {
            [
                0.1 * band as f32 - 0.3,
                if band % 3 == 0 { -0.5 } else { 1.25 },
            ]
        })
        .collect();
    for norm in [
        OwnedPatchNorm {
            mean: PatchMean::None,
            bands,
        },
        OwnedPatchNorm {
            mean: PatchMean::Patch,
            bands: Vec::new(),
        },
        OwnedPatchNorm {
            mean: PatchMean::Band,
            bands: vec![[0.2, 1.5]; mels],
        },
    ] {
        let mut spec = plain.clone();
        spec.patch_norm = Some(norm.clone());
        let [file, plain] = [&spec, &plain].map(|spec| build(spec).unwrap());
        let model = Model::open(&file).unwrap();
        assert_eq!(model.patch_norm(), Some(norm.as_norm()));
        let plain = Model::open(&plain).unwrap();
        assert_ne!(model.id(), plain.id());
        let mut plain = PackedBackbone::new(plain, vec![0i8; plain.arena_len()]).unwrap();
        for patch in patches(spec.frontend.patch_len(), 3) {
            let mut normed = vec![0.0; patch.len()];
            norm.as_norm()
                .apply(&patch, mels, |at, value| normed[at] = value);
            assert_ne!(patch, normed);
            let mut expected = vec![0.0; model.space().dim()];
            plain.embed(&normed, &mut expected).unwrap();
            for set in InstructionSet::ALL {
                let arena = vec![0i8; model.arena_len()];
                let backbone = PackedBackbone::with_instruction_set(model, arena, set);
                let mut found = vec![0.0; expected.len()];
                backbone.unwrap().embed(&patch, &mut found).unwrap();
                assert_eq!(found, expected, "{set:?}");
            }
        }
    }
}

/// A weight of -128 does not fit a pair: the operator keeps its rows.
#[test]
fn the_least_weight_keeps_an_operator_in_rows() {
    let mut spec = network(Plan::SMALL, 61);
    let mut with_first_weight = |weight: i8| {
        if let OpKindSpec::Convolution { channels, .. } = &mut spec.ops[0].kind {
            channels.weights[0] = weight;
        }
        let file = build(&spec).unwrap();
        let layout = Model::open(&file).unwrap().ops().next().unwrap().layout;
        (layout, run(&spec).1)
    };
    let (layout, in_rows) = with_first_weight(-128);
    assert_eq!(layout, Layout::Rows);
    let (layout, in_pairs) = with_first_weight(-127);
    assert_eq!(layout, Layout::Pairs);
    // One weight of another size by one step moves a feature by a step or two at most.
    let apart = in_rows.iter().zip(&in_pairs).map(|(a, b)| a.abs_diff(*b));
    assert!(apart.max().unwrap() <= 2);
}
