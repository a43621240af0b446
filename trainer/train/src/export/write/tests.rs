use super::*;
use crate::export::random;
use crate::net::{OutputSpec, Parameters, PartSpec, Trunk};
use candle_core::Device;
use mtslvr_pack::engine::{ORT_LIBRARY_VARIABLE, OrtBackbone, TractBackbone};
use mtslvr_pack::{interpret, onnx};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Reference;
use prost::Message;

fn model(kind: AdapterKind, from_stage: usize) -> Vec<u8> {
    let spec = random::spec(kind, from_stage);
    let weights = random::weights(&spec, 7);
    let statistics = random::statistics(&spec);
    write(&spec, &weights, &random::frontend(), &statistics, "a test").unwrap()
}

fn embed<B: Backbone>(backbone: &mut B, patch: &[f32]) -> Vec<f32> {
    let mut embedding = vec![0.0; backbone.space().dim()];
    backbone.embed(patch, &mut embedding).unwrap();
    embedding
}

#[test]
fn tract_and_onnx_runtime_take_every_form_and_agree() {
    for (kind, from_stage) in [
        (AdapterKind::None, 0),
        (AdapterKind::Split, 0),
        (AdapterKind::BatchNorm, 0),
        (AdapterKind::Series, 0),
        (AdapterKind::Series, 1),
        (AdapterKind::Parallel, 0),
        (AdapterKind::Parallel, 1),
        (AdapterKind::Separate, 0),
        (AdapterKind::Separate, 1),
    ] {
        let bytes = model(kind, from_stage);
        let dim = 12 * random::spec(kind, from_stage).paths();
        let mut tract = TractBackbone::from_bytes(&bytes, "test", None).unwrap();
        let mut ort = OrtBackbone::from_bytes(&bytes, "test", None).unwrap_or_else(|error| {
            panic!("this test needs {ORT_LIBRARY_VARIABLE} (`cargo xtask test` sets it): {error}")
        });
        assert_eq!(tract.space().frontend(), &random::frontend());
        assert_eq!(tract.space().base_mean(), vec![0.25; dim]);
        assert_eq!(*tract.space().reference(), Reference::assumed(0.5));
        assert_eq!(tract.space(), ort.space());
        let patches = random::patches(&random::frontend(), 3, 1);
        let mut batch = vec![0.0; 3 * dim];
        ort.embed_batch(&patches.concat(), &mut batch).unwrap();
        for (patch, batched) in patches.iter().zip(batch.chunks_exact(dim)) {
            let expected = embed(&mut tract, patch);
            assert_eq!(tract.space().dim(), dim);
            for other in [&embed(&mut ort, patch)[..], batched] {
                for (a, b) in expected.iter().zip(other) {
                    assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} {b}");
                }
            }
            assert!(expected[..12] != expected[12..], "{kind:?}");
        }
    }
}

/// Two parts beside those of the paths; the second reads the last path.
fn with_parts(kind: AdapterKind, output: bool) -> BackboneSpec {
    let mut spec = random::spec(kind, 0);
    spec.output = output.then_some(OutputSpec {
        bands: 5,
        dim: 10,
        equivariant_dim: (spec.paths() == 2).then_some(6),
        whitening: 0.5,
        within: 0.0,
    });
    let part = |name: &str, dim, path| PartSpec {
        name: name.into(),
        dim,
        learned: Some(dim + 2),
        path,
        whitening: 0.5,
    };
    spec.parts = vec![part("events", 7, 0), part("speech", 30, spec.paths() - 1)];
    spec.shares.insert("speech".into(), 0.4);
    spec
}

#[test]
fn every_part_is_an_output_and_agrees_with_the_network() {
    let frontend = random::frontend();
    let (frames, mels) = (usize::from(frontend.frames), usize::from(frontend.mels));
    for kind in [AdapterKind::None, AdapterKind::Split, AdapterKind::Parallel] {
        for output in [false, true] {
            let spec = with_parts(kind, output);
            assert_eq!(spec.check(frames, mels), Ok(()));
            let weights = random::weights(&spec, 9);
            let statistics = random::statistics(&spec);
            let bytes = write(&spec, &weights, &frontend, &statistics, "a test").unwrap();
            let mut parameters = Parameters::new(0, &Device::Cpu);
            let trunk = Trunk::new(&spec, &mut parameters).unwrap();
            parameters.load(&weights).unwrap();
            let patches = random::patches(&frontend, 3, 1);
            let batch = trunk.batch(&patches, frames, mels).unwrap();
            let expected = trunk.forward(&batch).unwrap();

            let parts = spec.embedding_parts().unwrap();
            let mut tract = TractBackbone::from_bytes(&bytes, "test", None).unwrap();
            assert_eq!(tract.space().parts(), &parts);
            let graph = onnx::read(&bytes, None).unwrap();
            let held = graph.outputs.iter().map(|o| (o.name.as_str(), o.share));
            let named = parts.as_slice().iter().map(|part| (part.name, part.share));
            assert_eq!(held.collect::<Vec<_>>(), named.collect::<Vec<_>>());
            for (row, patch) in patches.iter().enumerate() {
                let found = [embed(&mut tract, patch), interpret::embed(&graph, patch)];
                for ((part, range), expected) in parts.ranges().zip(&expected) {
                    let expected = expected.get(row).unwrap().to_vec1::<f32>().unwrap();
                    assert_eq!(expected.len(), part.len);
                    let greatest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                    for found in &found {
                        for (a, b) in found[range.clone()].iter().zip(&expected) {
                            assert!(
                                (a - b).abs() <= 1e-4 * greatest,
                                "{kind:?}, {}: {a} {b}",
                                part.name
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn paths_share_initialisers_and_whole_stages() {
    let count = |kind, from_stage| {
        let model = pb::ModelProto::decode(&model(kind, from_stage)[..]).unwrap();
        let graph = model.graph.unwrap();
        let convs = graph.node.iter().filter(|n| n.op_type == "Conv").count();
        let weights = graph
            .initializer
            .iter()
            .filter(|t| t.dims.len() == 4)
            .count();
        (convs, weights)
    };
    // Convolutions: stem, 3 blocks of 2, one shortcut; adapters: one per path and 3x3.
    assert_eq!(count(AdapterKind::None, 0), (8, 8));
    assert_eq!(count(AdapterKind::BatchNorm, 0), (15, 8));
    assert_eq!(count(AdapterKind::Parallel, 0), (15 + 12, 8 + 12));
    // The stem and the first stage (2 convolutions) are shared whole; stage 1's first block
    // reads a shared value with two convolutions and two adapters, the rest is doubled.
    assert_eq!(count(AdapterKind::Parallel, 1), (3 + 4 + 4 + 8, 8 + 8));
    assert_eq!(count(AdapterKind::Split, 0), (8, 8));
    assert_eq!(count(AdapterKind::Series, 0), (15 + 12, 8 + 12));
    assert_eq!(count(AdapterKind::Separate, 0), (16, 16));
}

#[test]
fn errors_name_the_tensor() {
    let spec = random::spec(AdapterKind::Parallel, 0);
    let complete = random::weights(&spec, 7);
    let error = |change: &dyn Fn(&mut Weights)| {
        let mut weights = complete.clone();
        change(&mut weights);
        let statistics = random::statistics(&spec);
        write(&spec, &weights, &random::frontend(), &statistics, "").unwrap_err()
    };
    let name = "stages.1.0.conv2.adapter.1.weight".to_string();
    let missing = error(&|weights| {
        weights.remove(&name);
    });
    assert_eq!(missing, WriteError::Missing(name.clone()));
    let shape = error(&|weights| weights.get_mut(&name).unwrap().0 = vec![12, 12]);
    assert!(shape.to_string().contains("[12, 12, 1, 1]"), "{shape}");
    let nan = error(&|weights| weights.get_mut(&name).unwrap().1[3] = f32::NAN);
    assert_eq!(nan, WriteError::NotFinite(name.clone()));
}
