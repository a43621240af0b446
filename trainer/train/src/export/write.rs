//! Writes a trained backbone as ONNX.
//!
//! Both paths' convolutions refer to the same initialiser; adapters and per-path norms are nodes of
//! their own. What both paths share whole (the stem's convolution, stages before
//! `adapters.from_stage`) is one node feeding both, so that the sharing survives the exchange. A
//! backbone with one path has the output `features`. Each part that is learnt from a teacher is one
//! more output, a linear layer on the averages of its path's last map.

use crate::net::{AdapterKind, BackboneSpec, NORM_EPS, PATH_OUTPUTS, PATHS, Weights};
use mtslvr_pack::EmbeddingStatistics;
use mtslvr_pack::engine::INPUT;
use mtslvr_pack::onnx::{file, int, ints, pb, value_info};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::space::PartsError;
use ndarray::{Array1, Array2};
use std::collections::BTreeSet;

/// Why weights cannot be written as the backbone they are said to be.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WriteError {
    /// A tensor that the backbone needs is not among the weights.
    #[error("the weights lack `{0}`, which this backbone needs; are they from another preset?")]
    Missing(String),
    /// A tensor has another shape than the backbone gives it.
    #[error("`{name}` has shape {found:?}, but this backbone needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What the backbone needs.
        expected: Vec<usize>,
    },
    /// A tensor holds a value that is not finite.
    #[error("`{0}` holds a value that is not finite; the training has diverged")]
    NotFinite(String),
    /// The backbone's parts cannot make up an embedding.
    #[error("the backbone's parts cannot be written: {0}")]
    Parts(#[from] PartsError),
}

/// Serialises a backbone: input `log_mel` `[batch, 1, frames, mels]`, an output `[batch, dim]` for each
/// part of the embedding, in order and of its name (`invariant` and `equivariant`, or `features` where
/// there is one path, then the others), and in the metadata all that an engine needs to feed it.
///
/// `weights` may hold more than the backbone needs (heads); the rest is left out.
pub fn write(
    spec: &BackboneSpec,
    weights: &Weights,
    frontend: &FrontendConfig,
    statistics: &EmbeddingStatistics,
    provenance: &str,
) -> Result<Vec<u8>, WriteError> {
    let parts = spec.embedding_parts()?;
    let mut writer = Writer {
        weights,
        graph: pb::GraphProto {
            name: "backbone".into(),
            doc_string:
                "Outputs: invariant (contrastive path) and equivariant (predictive path), or \
                         features (one path), then parts learnt from teachers. Patches are normalised \
                         log-mel values, time by mel."
                    .into(),
            input: vec![value_info(
                INPUT,
                &[1, frontend.frames as i64, frontend.mels as i64],
            )],
            output: parts
                .as_slice()
                .iter()
                .map(|part| value_info(part.name, &[part.len as i64]))
                .collect(),
            ..Default::default()
        },
        written: BTreeSet::new(),
        patch: [frontend.frames, frontend.mels].map(usize::from),
    };
    writer.backbone(spec)?;
    let parts = parts.as_slice().iter();
    let parts = parts.map(|part| (part.name.to_owned(), part.share));
    let parts = parts.collect();
    Ok(file(writer.graph, frontend, parts, statistics, provenance))
}

/// The names of a value in both paths; equal where the paths share it.
type Paths = [String; PATHS];

struct Writer<'w> {
    weights: &'w Weights,
    graph: pb::GraphProto,
    /// Initialisers already in the graph.
    written: BTreeSet<String>,
    /// Frames and mels of a patch.
    patch: [usize; 2],
}

/// Width and position of one convolution with its norm.
struct Unit<'n> {
    conv: String,
    norm: String,
    /// `[out, in, kernel, kernel]`
    shape: [usize; 4],
    stride: usize,
    kind: AdapterKind,
    input: &'n Paths,
}

impl<'w> Writer<'w> {
    fn backbone(&mut self, spec: &BackboneSpec) -> Result<(), WriteError> {
        let input: Paths = [INPUT.into(), INPUT.into()];
        let (stem, kernel) = (spec.stem, spec.stem.kernel);
        let value = self.unit(&Unit {
            conv: "stem.conv".into(),
            norm: "stem.norm".into(),
            shape: [stem.width, 1, kernel, kernel],
            stride: stem.stride,
            kind: spec.stem_kind(),
            input: &input,
        })?;
        let mut value = self.each("Relu", "stem.relu", &[&value], vec![]);
        let mut width = stem.width;
        for (s, stage) in spec.stages.iter().enumerate() {
            let kind = spec.stage_kind(s);
            for b in 0..stage.blocks {
                let block = format!("stages.{s}.{b}");
                let stride = if b == 0 { stage.stride } else { 1 };
                let unit = |index: usize, input, width: usize, stride: usize| Unit {
                    conv: format!("{block}.conv{index}"),
                    norm: format!("{block}.norm{index}"),
                    shape: [stage.width, width, 3, 3],
                    stride,
                    kind,
                    input,
                };
                let first = self.unit(&unit(1, &value, width, stride))?;
                let first = self.each("Relu", &format!("{block}.relu1"), &[&first], vec![]);
                let second = self.unit(&unit(2, &first, stage.width, 1))?;
                let shortcut = if stride != 1 || width != stage.width {
                    self.unit(&Unit {
                        conv: format!("{block}.shortcut"),
                        norm: format!("{block}.shortcut_norm"),
                        shape: [stage.width, width, 1, 1],
                        stride,
                        kind: kind.without_adapters(),
                        input: &value,
                    })?
                } else {
                    value
                };
                let sum = self.each(
                    "Add",
                    &format!("{block}.add"),
                    &[&second, &shortcut],
                    vec![],
                );
                value = self.each("Relu", &format!("{block}.relu2"), &[&sum], vec![]);
                width = stage.width;
            }
        }
        self.output(spec, &value)
    }

    /// From the last map to the outputs: averages, and for each path the linear layers behind them as
    /// one.
    fn output(&mut self, spec: &BackboneSpec, map: &Paths) -> Result<(), WriteError> {
        let pooled = if spec.bands() == 1 {
            self.each("GlobalAveragePool", "pool", &[map], vec![])
        } else {
            let (height, width) = spec.last_map(self.patch[0], self.patch[1]);
            let window = [height as i64, (width / spec.bands()) as i64];
            let attributes = vec![ints("kernel_shape", &window), ints("strides", &window)];
            self.each("AveragePool", "pool", &[map], attributes)
        };
        // The split variant's layer, and whitening.
        let features = spec.feature_dim();
        let layers = |path: usize| {
            let split = (spec.adapters.kind == AdapterKind::Split)
                .then_some(("output", [features, features]));
            let whitening = [spec.path_dim(path), features];
            let whitening = spec.output.map(|_| ("whitening", whitening));
            split.into_iter().chain(whitening)
        };
        let flatten = vec![int("axis", 1)];
        let flat = if layers(0).next().is_none() && spec.parts.is_empty() {
            None
        } else {
            Some(self.each("Flatten", "flatten", &[&pooled], flatten.clone()))
        };
        for (path, output) in spec.path_outputs().iter().enumerate() {
            let layers =
                layers(path).map(|(layer, shape)| self.linear(&format!("{layer}.{path}"), shape));
            let layers = layers.collect::<Result<Vec<_>, _>>()?;
            match (layers.into_iter().reduce(Affine::then), &flat) {
                (Some(layer), Some(flat)) => {
                    self.gemm(output, &flat[path], &format!("embedding.{path}"), &layer);
                }
                // Each output is a value of its own even where the paths share everything.
                _ => {
                    let input = vec![pooled[path].clone()];
                    self.node("Flatten", output, input, output, flatten.clone());
                }
            }
        }
        let parts = flat
            .iter()
            .flat_map(|flat| spec.parts.iter().map(move |part| (part, flat)));
        for (part, flat) in parts {
            let name = format!("part.{}", part.name);
            let layer = self
                .linear(&name, [part.dim, features])?
                .then(self.linear(&format!("{name}.whitening"), [part.dim; 2])?);
            self.gemm(&part.name, &flat[part.path], &name, &layer);
        }
        Ok(())
    }

    /// The output `output` by a linear layer, whose tensors are called `NAME.weight` and `NAME.bias`.
    fn gemm(&mut self, output: &str, input: &str, name: &str, layer: &Affine) {
        let Affine { weight, bias } = layer;
        let [rows, columns] = weight.dim().into();
        let [weight_name, bias_name] = ["weight", "bias"].map(|kind| format!("{name}.{kind}"));
        let values: Vec<f32> = weight.iter().map(|&w| w as f32).collect();
        self.add(&weight_name, &[rows, columns], &values);
        let values: Vec<f32> = bias.iter().map(|&b| b as f32).collect();
        self.add(&bias_name, &[rows], &values);
        let inputs = vec![input.to_owned(), weight_name, bias_name];
        self.node("Gemm", output, inputs, output, vec![int("transB", 1)]);
    }

    /// The linear layer `NAME`, `[out, in]`.
    fn linear(&self, name: &str, shape: [usize; 2]) -> Result<Affine, WriteError> {
        let weight = self.tensor(&format!("{name}.weight"), &shape)?;
        let bias = self.tensor(&format!("{name}.bias"), &shape[..1])?;
        Ok(Affine {
            weight: Array2::from_shape_fn(shape, |(r, c)| f64::from(weight[r * shape[1] + c])),
            bias: bias.iter().map(|&b| f64::from(b)).collect(),
        })
    }

    /// One convolution with what the paths have of their own in it, see [`AdapterKind`].
    fn unit(&mut self, unit: &Unit) -> Result<Paths, WriteError> {
        let [out, inputs, kernel, _] = unit.shape;
        let separate = unit.kind == AdapterKind::Separate;
        let weight = |path: usize| match separate {
            true => format!("{}.{path}.weight", unit.conv),
            false => format!("{}.weight", unit.conv),
        };
        for path in 0..PATHS {
            self.initialiser(&weight(path), &unit.shape)?;
        }
        let mut sum = self.each_with(
            "Conv",
            &unit.conv,
            &[unit.input],
            |path| vec![weight(path)],
            convolution(kernel, unit.stride),
            separate,
        );
        let name = format!("{}.adapter", unit.conv);
        let adapter = match unit.kind {
            AdapterKind::Parallel => {
                let shape = [out, inputs, 1, 1];
                Some(self.adapter(&name, shape, unit.stride, unit.input)?)
            }
            AdapterKind::Series => {
                let norm = |path: usize| format!("{name}.{path}.norm");
                let normed = self.norm(&format!("{name}.norm"), norm, out, &sum, true)?;
                Some(self.adapter(&name, [out, out, 1, 1], 1, &normed)?)
            }
            _ => None,
        };
        if let Some(adapter) = adapter {
            let name = format!("{}.add", unit.conv);
            sum = self.each("Add", &name, &[&sum, &adapter], vec![]);
        }
        let per_path = unit.kind != AdapterKind::None;
        let norm = |path: usize| match per_path {
            true => format!("{}.{path}", unit.norm),
            false => format!("{}.shared", unit.norm),
        };
        self.norm(&unit.norm, norm, out, &sum, per_path)
    }

    /// A 1x1 convolution of each path's own.
    fn adapter(
        &mut self,
        name: &str,
        shape: [usize; 4],
        stride: usize,
        input: &Paths,
    ) -> Result<Paths, WriteError> {
        let weight = |path: usize| format!("{name}.{path}.weight");
        for path in 0..PATHS {
            self.initialiser(&weight(path), &shape)?;
        }
        let attributes = convolution(1, stride);
        let weights = |path: usize| vec![weight(path)];
        Ok(self.each_with("Conv", name, &[input], weights, attributes, true))
    }

    /// A batch norm called `name`, whose parameters for a path begin with `parameters(path)`.
    fn norm(
        &mut self,
        name: &str,
        parameters: impl Fn(usize) -> String,
        channels: usize,
        input: &Paths,
        per_path: bool,
    ) -> Result<Paths, WriteError> {
        let names = |path: usize| -> Vec<String> {
            let start = parameters(path);
            ["weight", "bias", "mean", "var"]
                .map(|kind| format!("{start}.{kind}"))
                .to_vec()
        };
        for path in 0..PATHS {
            for name in names(path) {
                self.initialiser(&name, &[channels])?;
            }
        }
        let epsilon = pb::AttributeProto {
            name: "epsilon".into(),
            r#type: pb::attribute_proto::AttributeType::Float as i32,
            f: NORM_EPS,
            ..Default::default()
        };
        let op = "BatchNormalization";
        Ok(self.each_with(op, name, &[input], names, vec![epsilon], per_path))
    }

    /// A node without weights for each path, or one for both where the inputs are shared.
    fn each(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&Paths],
        attributes: Vec<pb::AttributeProto>,
    ) -> Paths {
        self.each_with(op, name, inputs, |_| vec![], attributes, false)
    }

    /// A node for each path, or one for both where inputs and weights are shared.
    fn each_with(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&Paths],
        weights: impl Fn(usize) -> Vec<String>,
        attributes: Vec<pb::AttributeProto>,
        per_path_weights: bool,
    ) -> Paths {
        let shared = !per_path_weights && inputs.iter().all(|input| input[0] == input[1]);
        let mut node = |path: usize, name: String| {
            let mut all: Vec<String> = inputs.iter().map(|input| input[path].clone()).collect();
            all.extend(weights(path));
            let output = format!("{name}:out");
            self.node(op, &name, all, &output, attributes.clone());
            output
        };
        if shared {
            let output = node(0, format!("shared/{name}"));
            [output.clone(), output]
        } else {
            [0, 1].map(|path| node(path, format!("{}/{name}", PATH_OUTPUTS[path])))
        }
    }

    fn node(
        &mut self,
        op: &str,
        name: &str,
        input: Vec<String>,
        output: &str,
        attribute: Vec<pb::AttributeProto>,
    ) {
        self.graph.node.push(pb::NodeProto {
            op_type: op.into(),
            name: name.into(),
            input,
            output: vec![output.into()],
            attribute,
            ..Default::default()
        });
    }

    /// Puts a tensor among the initialisers, once.
    fn initialiser(&mut self, name: &str, shape: &[usize]) -> Result<(), WriteError> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let values = self.tensor(name, shape)?;
        self.add(name, shape, values);
        Ok(())
    }

    /// The values of a tensor, which has to have `shape`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'w [f32], WriteError> {
        let (found, values) = self
            .weights
            .get(name)
            .ok_or_else(|| WriteError::Missing(name.to_owned()))?;
        if found != shape || values.len() != shape.iter().product::<usize>() {
            return Err(WriteError::Shape {
                name: name.to_owned(),
                found: found.clone(),
                expected: shape.to_vec(),
            });
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(WriteError::NotFinite(name.to_owned()));
        }
        Ok(values)
    }

    /// Adds an initialiser.
    fn add(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            dims: shape.iter().map(|&dim| dim as i64).collect(),
            data_type: pb::tensor_proto::DataType::Float as i32,
            raw_data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            ..Default::default()
        });
    }
}

/// `weight x + bias`
struct Affine {
    /// `[out, in]`
    weight: Array2<f64>,
    bias: Array1<f64>,
}

impl Affine {
    /// This layer and then `next`, as one layer: nothing lies between them that could not be folded.
    fn then(self, next: Self) -> Self {
        Self {
            bias: next.weight.dot(&self.bias) + &next.bias,
            weight: next.weight.dot(&self.weight),
        }
    }
}

/// Attributes of a square convolution padded by half its kernel.
fn convolution(kernel: usize, stride: usize) -> Vec<pb::AttributeProto> {
    let (kernel, stride, pad) = (kernel as i64, stride as i64, kernel as i64 / 2);
    vec![
        ints("kernel_shape", &[kernel; 2]),
        ints("strides", &[stride; 2]),
        ints("pads", &[pad; 4]),
    ]
}

#[cfg(test)]
mod tests {
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
                panic!(
                    "this test needs {ORT_LIBRARY_VARIABLE} (`cargo xtask test` sets it): {error}"
                )
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
        });
        let part = |name: &str, dim, path| PartSpec {
            name: name.into(),
            dim,
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
}
