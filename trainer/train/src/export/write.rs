//! Writes a trained backbone as ONNX.
//!
//! Both paths' convolutions refer to the same initialiser; adapters and per-path norms are nodes of
//! their own. A layer that both paths share whole (the stem's convolution, stages before
//! `adapters.from_stage`) is one node feeding both, so that the sharing survives the exchange. A
//! backbone with one path has the output `features`. Each part that is learned from a teacher is one
//! more output, a linear layer on the averages of its path's last map.

mod error;
mod graph;

pub use error::WriteError;

use crate::net::{AdapterKind, BackboneSpec, NORM_EPS, PATHS, Weights};
use graph::{Affine, Paths, Writer};
use mtslvr_pack::EmbeddingStatistics;
use mtslvr_pack::engine::{FrontendDescription, INPUT};
use mtslvr_pack::onnx::{file, int, ints, pb, value_info};
use mtslvr_runtime::frontend::FrontendConfig;
use ndarray::Array2;
use std::collections::BTreeSet;

/// Serialises a backbone: input `log_mel` `[batch, 1, frames, mels]`, an output `[batch, dim]` for each
/// part of the embedding, in order and of its name (`invariant` and `equivariant`, or `features` where
/// there is one path, then the others), and in the metadata all that an engine needs to feed it.
///
/// `weights` may hold more than the backbone needs (heads); the rest is left out.
///
/// # Errors
/// If a tensor is missing, has another shape or holds a value that is not finite, or the parts cannot make
/// up an embedding.
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
    Ok(file(
        writer.graph,
        FrontendDescription::plain(*frontend),
        parts,
        statistics,
        provenance,
    ))
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

impl Writer<'_> {
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

    /// Writes the nodes from the last map to the outputs: averages, and for each path the linear layers behind them as
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
                .linear(&name, [part.learned(), features])?
                .then(self.linear(&format!("{name}.whitening"), [part.dim, part.learned()])?);
            self.gemm(&part.name, &flat[part.path], &name, &layer);
        }
        Ok(())
    }

    /// Adds the output `output` by a linear layer, whose tensors are called `NAME.weight` and `NAME.bias`.
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

    /// Reads the linear layer `NAME`, `[out, in]`.
    fn linear(&self, name: &str, shape: [usize; 2]) -> Result<Affine, WriteError> {
        let weight = self.tensor(&format!("{name}.weight"), &shape)?;
        let bias = self.tensor(&format!("{name}.bias"), &shape[..1])?;
        Ok(Affine {
            weight: Array2::from_shape_fn(shape, |(r, c)| f64::from(weight[r * shape[1] + c])),
            bias: bias.iter().map(|&b| f64::from(b)).collect(),
        })
    }

    /// Adds one convolution with the layers that the paths have of their own in it, see [`AdapterKind`].
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

    /// Adds a 1x1 convolution of each path's own.
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

    /// Adds a batch norm called `name`, whose parameters for a path begin with `parameters(path)`.
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
mod tests;
