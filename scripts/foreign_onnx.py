"""Writes the small ONNX files that stand for other exporters' habits in the importer's tests.

Run with the packages `onnx` and `numpy`:

    python3 scripts/foreign_onnx.py trainer/src/export/onnx/fixtures

foreign_pair.onnx   two outputs; convolutions with biases, batch norm left unfolded beside arithmetic
                    with constants, Constant and Identity nodes as weights, Clip as ReLU, a shared
                    initialiser next to an equal copy, max pool, ReduceMean, Flatten, Reshape
foreign_mel.onnx    one output of any name; input [1, 1, mels, frames], SAME padding, strides that
                    differ, average pool, a flattened map into Gemm, Dropout
unsupported.onnx    a Sigmoid in the middle
Beside the first two lies a .json with one patch (in the layout of the graph) and the expected
outputs, computed by the reference evaluator of the onnx package.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FRAMES, MELS = 11, 8


def model(nodes, initialisers, input_shape, outputs):
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("spectrogram", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        [numpy_helper.from_array(v, k) for k, v in initialisers.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made


def write(folder, name, made, patch=None):
    onnx.save(made, folder / f"{name}.onnx")
    if patch is None:
        return
    found = ReferenceEvaluator(made).run(None, {"spectrogram": patch})
    names = [o.name for o in made.graph.output]
    record = {"patch": patch.ravel().tolist()}
    record["outputs"] = {n: v.ravel().tolist() for n, v in zip(names, found)}
    (folder / f"{name}.json").write_text(json.dumps(record))


def norm(rng, width, prefix):
    return {
        f"{prefix}_scale": rng.uniform(-1.5, 1.5, width).astype(np.float32),
        f"{prefix}_bias": rng.normal(0, 0.3, width).astype(np.float32),
        f"{prefix}_mean": rng.normal(0, 0.3, width).astype(np.float32),
        f"{prefix}_var": rng.uniform(0.3, 2.0, width).astype(np.float32),
    }


def conv_weight(rng, *shape):
    fan_in = np.prod(shape[1:])
    return (rng.normal(0, 1, shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def foreign_pair(rng):
    width = 6
    shared = conv_weight(rng, width, width, 3, 3)
    weights = {
        "w_stem": conv_weight(rng, width, 1, 3, 3),
        "w_shared": shared,
        "w_shared_copy": shared.copy(),
        "zero": np.float32(0),
        "shape": np.array([0, -1], np.int64),
    }
    nodes = [
        helper.make_node("Identity", ["w_stem"], ["w_stem_alias"]),
        helper.make_node(
            "Constant", [], ["b_stem"],
            value=numpy_helper.from_array(rng.normal(0, 0.2, width).astype(np.float32)),
        ),
        helper.make_node(
            "Conv", ["spectrogram", "w_stem_alias", "b_stem"], ["stem"],
            name="stem", kernel_shape=[3, 3], pads=[1, 1, 1, 1],
        ),
        helper.make_node("Clip", ["stem", "zero"], ["stem_relu"], name="stem_relu"),
        helper.make_node(
            "MaxPool", ["stem_relu"], ["pooled"], name="pool",
            kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
        ),
    ]
    for path, output in enumerate(["invariant", "equivariant"]):
        p = f"p{path}"
        weights |= norm(rng, width, f"{p}_n") | norm(rng, width, f"{p}_m")
        weights[f"{p}_adapter"] = conv_weight(rng, width, width, 1, 1) * np.float32(0.3)
        weights[f"{p}_adapter_bias"] = rng.normal(0, 0.1, width).astype(np.float32)
        weights[f"{p}_factor"] = rng.uniform(0.5, 1.5, (1, width, 1, 1)).astype(np.float32)
        weights[f"{p}_offset"] = rng.normal(0, 0.2, (width, 1, 1)).astype(np.float32)
        kernel = "w_shared" if path == 0 else "w_shared_copy"
        nodes += [
            # An adapter with a bias of its own, added first.
            helper.make_node(
                "Conv", ["pooled", f"{p}_adapter", f"{p}_adapter_bias"], [f"{p}_a"],
                name=f"{p}_adapter", kernel_shape=[1, 1],
            ),
            helper.make_node(
                "Conv", ["pooled", kernel], [f"{p}_c"], name=f"{p}_conv",
                kernel_shape=[3, 3], pads=[1, 1, 1, 1],
            ),
            helper.make_node("Add", [f"{p}_a", f"{p}_c"], [f"{p}_sum"], name=f"{p}_sum"),
            helper.make_node(
                "BatchNormalization",
                [f"{p}_sum"] + [f"{p}_n_{k}" for k in ("scale", "bias", "mean", "var")],
                [f"{p}_normed"], name=f"{p}_norm", epsilon=1e-3,
            ),
            helper.make_node("Mul", [f"{p}_factor", f"{p}_normed"], [f"{p}_scaled"]),
            helper.make_node("Sub", [f"{p}_scaled", f"{p}_offset"], [f"{p}_shifted"]),
            helper.make_node("Identity", [f"{p}_shifted"], [f"{p}_same"]),
            # A residual around it, the norm of which is a second one.
            helper.make_node("Add", ["pooled", f"{p}_same"], [f"{p}_residual"], name=f"{p}_add"),
            helper.make_node("Relu", [f"{p}_residual"], [f"{p}_relu"]),
        ]
        if path == 0:
            nodes += [
                helper.make_node(
                    "ReduceMean", [f"{p}_relu"], [f"{p}_mean"], axes=[2, 3], keepdims=1
                ),
                helper.make_node("Reshape", [f"{p}_mean", "shape"], [output]),
            ]
        else:
            nodes += [
                helper.make_node("GlobalAveragePool", [f"{p}_relu"], [f"{p}_mean"]),
                helper.make_node("Flatten", [f"{p}_mean"], [output], axis=1),
            ]
    outputs = [("invariant", ["n", width]), ("equivariant", ["n", width])]
    made = model(nodes, weights, ["n", 1, FRAMES, MELS], outputs)
    return made, rng.normal(0, 1, (1, 1, FRAMES, MELS)).astype(np.float32)


def foreign_mel(rng):
    weights = {
        "w1": conv_weight(rng, 5, 1, 3, 5),
        "b1": rng.normal(0, 0.2, 5).astype(np.float32),
        "w2": conv_weight(rng, 4, 5, 2, 3),
        "b2": rng.normal(0, 0.2, 4).astype(np.float32),
        "six": np.float32(6),
        "low": np.float32(0),
        "fc": rng.normal(0, 0.3, (7, 4 * 2 * 2)).astype(np.float32),
        "fc_bias": rng.normal(0, 0.2, 7).astype(np.float32),
    }
    nodes = [
        helper.make_node(
            "Conv", ["spectrogram", "w1", "b1"], ["c1"], name="c1",
            auto_pad="SAME_UPPER", strides=[1, 2], kernel_shape=[3, 5],
        ),
        helper.make_node("Clip", ["c1", "low", "six"], ["r1"], name="relu6"),
        helper.make_node("Dropout", ["r1"], ["d1"]),
        helper.make_node(
            "Conv", ["d1", "w2", "b2"], ["c2"], name="c2",
            kernel_shape=[2, 3], pads=[1, 0, 0, 1],
        ),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node(
            "AveragePool", ["r2"], ["p2"], name="average", kernel_shape=[4, 2], strides=[4, 3],
        ),
        helper.make_node("Flatten", ["p2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc", "fc_bias"], ["features"], transB=1, name="fc"),
    ]
    made = model(nodes, weights, [1, 1, MELS, FRAMES], [("features", [1, 7])])
    return made, rng.normal(0, 1, (1, 1, MELS, FRAMES)).astype(np.float32)


def unsupported(rng):
    weights = {"w": conv_weight(rng, 4, 1, 3, 3)}
    nodes = [
        helper.make_node("Conv", ["spectrogram", "w"], ["c"], name="first", kernel_shape=[3, 3]),
        helper.make_node("Sigmoid", ["c"], ["s"], name="squash"),
        helper.make_node("GlobalAveragePool", ["s"], ["g"]),
        helper.make_node("Flatten", ["g"], ["features"]),
    ]
    return model(nodes, weights, [1, 1, FRAMES, MELS], [("features", [1, 4])])


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    write(folder, "foreign_pair", *foreign_pair(rng))
    write(folder, "foreign_mel", *foreign_mel(rng))
    write(folder, "unsupported", unsupported(rng))


if __name__ == "__main__":
    main()
