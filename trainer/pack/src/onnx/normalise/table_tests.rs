//! The table of what packs, in `OWN-MODELS.md`: made of networks that pack.

use super::operator_tests::{Middle, all_pack, number};
use super::tests::{File, network};
use crate::onnx::{int, ints};
use std::collections::BTreeSet;
use std::path::Path;
use xtask::document::with_table;

/// A line of the table, with networks that have every operator it names.
struct Line {
    operators: &'static str,
    remark: &'static str,
    networks: Vec<Middle>,
}

/// A middle of one node of a value and, perhaps, constants of these shapes.
fn one(op: &'static str, constants: &'static [&'static [usize]]) -> Middle {
    Box::new(move |mut file| {
        let mut inputs = vec!["a".to_owned()];
        for (at, dims) in constants.iter().enumerate() {
            let name = format!("{op}/constant{at}");
            file = file.weights(&name, dims);
            inputs.push(name);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        file.node(op, &inputs, "b", &[])
    })
}

fn convolutions() -> Line {
    let convolution = |dims: [usize; 4], groups: i64, dilation: i64| -> Middle {
        let pads: Vec<i64> = [dims[2], dims[3], dims[2], dims[3]]
            .iter()
            .map(|&size| (size as i64 - 1) / 2 * dilation)
            .collect();
        Box::new(move |file| {
            let attributes = [
                int("group", groups),
                ints("dilations", &[dilation; 2]),
                ints("pads", &pads),
            ];
            let weights = file.weights("conv/weights", &dims);
            weights.node("Conv", &["a", "conv/weights"], "b", &attributes)
        })
    };
    Line {
        operators: "Conv",
        remark: "dense, depthwise (one channel in and out of each group) or in up to 32 groups; with dilation; \
                 kernels up to 15 in each direction",
        networks: vec![
            convolution([4, 4, 15, 1], 1, 1),
            convolution([4, 1, 3, 5], 4, 1),
            convolution([4, 2, 3, 3], 2, 1),
            convolution([4, 4, 3, 3], 1, 2),
        ],
    }
}

fn norms() -> Line {
    let positive = |f: File, name: &str| f.floats(name, &[4], vec![0.5, 1.0, 1.5, 2.0]);
    let batch_norm: Middle = Box::new(move |f| {
        let f = positive(positive(f, "bn/scale"), "bn/variance");
        let f = f.weights("bn/bias", &[4]).weights("bn/mean", &[4]);
        let inputs = ["a", "bn/scale", "bn/bias", "bn/mean", "bn/variance"];
        f.node("BatchNormalization", &inputs, "b", &[])
    });
    Line {
        operators: "BatchNormalization, Add, Sub, Mul, Div with a constant, Neg",
        remark: "part of the layer before or behind; a norm of the input is part of the frontend; an operator of \
                 its own before padding, and where the constant has a value for each place along time or mel \
                 (positions, sub-spectral norms)",
        networks: vec![
            batch_norm,
            one("Add", &[&[4, 1, 1]]),
            one("Sub", &[&[1]]),
            one("Mul", &[&[4, 1, 8]]),
            Box::new(|f| {
                let f = number(f, "two", 2.0);
                f.node("Div", &["a", "two"], "d", &[])
                    .node("Neg", &["d"], "b", &[])
            }),
        ],
    }
}

fn functions() -> Vec<Line> {
    let clipped: Middle = Box::new(|f| {
        let f = number(number(f, "lo", -0.5), "hi", 6.0);
        f.node("Max", &["a", "lo"], "m", &[])
            .node("Min", &["m", "hi"], "n", &[])
            .node("Clip", &["n", "lo", "hi"], "c", &[])
            .node("Relu", &["c"], "b", &[])
    });
    let tables = [
        "Sigmoid",
        "Tanh",
        "HardSigmoid",
        "HardSwish",
        "Gelu",
        "Elu",
        "Selu",
        "Mish",
        "Softplus",
        "Softsign",
        "Erf",
        "LeakyRelu",
    ];
    let mut networks: Vec<Middle> = tables.into_iter().map(|op| one(op, &[])).collect();
    networks.push(one("PRelu", &[&[1]]));
    networks.push(Box::new(|f| {
        f.node("Sigmoid", &["a"], "s", &[])
            .node("Mul", &["a", "s"], "b", &[])
    }));
    vec![
        Line {
            operators: "Relu, Clip, Max and Min with a constant",
            remark: "behind any operator",
            networks: vec![clipped],
        },
        Line {
            operators: "Sigmoid, Tanh, HardSigmoid, HardSwish, Gelu, Elu, Selu, Mish, Softplus, Softsign, Erf, \
                        LeakyRelu, PRelu with one slope",
            remark: "a table of 256 values; so are other functions of one value, and arithmetic of a value with \
                     itself and with numbers, such as `x * sigmoid(x)`",
            networks,
        },
        Line {
            operators: "PRelu with a slope for each channel",
            remark: "yes",
            networks: vec![one("PRelu", &[&[4, 1, 1]])],
        },
    ]
}

fn maps() -> Vec<Line> {
    let layers: Middle = Box::new(|f| {
        f.weights("first", &[2, 4])
            .weights("second", &[2, 4])
            .whole("map", &[-1, 4, 1, 1])
            .node("GlobalAveragePool", &["a"], "p", &[])
            .node("Flatten", &["p"], "f", &[])
            .node("Gemm", &["f", "first"], "g", &[int("transB", 1)])
            .node("MatMul", &["g", "second"], "m", &[])
            .node("Reshape", &["m", "map"], "r", &[])
            .node("Mul", &["a", "r"], "b", &[])
    });
    let channels: Middle = Box::new(|f| {
        let f = f.whole("from", &[0]).whole("to", &[3]).whole("axis", &[1]);
        f.node("Split", &["a"], "left", &[int("axis", 1)])
            .second_output("right")
            .node("Concat", &["right", "a", "left"], "all", &[int("axis", 1)])
            .node("Slice", &["all", "from", "to", "axis"], "some", &[])
            .weights("w", &[4, 3, 1, 1])
            .node("Conv", &["some", "w"], "b", &[])
    });
    let padded: Middle = Box::new(|f| {
        f.whole("pads", &[0, 0, 1, 1, 0, 0, 1, 1])
            .weights("w", &[4, 4, 3, 3])
            .node("Pad", &["a", "pads"], "p", &[])
            .node("Conv", &["p", "w"], "b", &[])
    });
    let window = || [ints("kernel_shape", &[2, 2])];
    let pools: Middle = Box::new(move |f| {
        let counted = [window()[0].clone(), int("count_include_pad", 1)];
        f.node("MaxPool", &["a"], "m", &window())
            .node("AveragePool", &["m"], "b", &counted)
    });
    let whole = |op: &'static str| -> Middle {
        Box::new(move |f| {
            f.node(op, &["a"], "p", &[])
                .node("Mul", &["a", "p"], "b", &[])
        })
    };
    let reduced = |op: &'static str| -> Middle {
        Box::new(move |f| {
            f.node(op, &["a"], "p", &[ints("axes", &[3])])
                .node("Add", &["a", "p"], "b", &[])
        })
    };
    vec![
        Line {
            operators: "Gemm, MatMul with weights",
            remark: "yes",
            networks: vec![layers],
        },
        Line {
            operators: "Add, Mul of two maps",
            remark: "of one shape, or one with a single row, column or channel, which is repeated: gates of \
                     squeeze-and-excite",
            networks: vec![
                reduced("ReduceMean"),
                whole("GlobalMaxPool"),
                Box::new(|f| {
                    f.weights("w", &[1, 4, 1, 1])
                        .node("Conv", &["a", "w"], "c", &[])
                        .node("Mul", &["a", "c"], "m", &[])
                        .node("Add", &["m", "a"], "b", &[])
                }),
            ],
        },
        Line {
            operators: "Concat, Slice, Split",
            remark: "of channels",
            networks: vec![channels],
        },
        Line {
            operators: "Pad with zeros",
            remark: "part of the convolution or average behind it",
            networks: vec![padded],
        },
        Line {
            operators: "MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax over time and \
                        mel",
            remark: "padded averages with `count_include_pad = 1`",
            networks: vec![
                pools,
                whole("GlobalAveragePool"),
                whole("GlobalMaxPool"),
                reduced("ReduceMean"),
                reduced("ReduceMax"),
            ],
        },
    ]
}

#[test]
fn the_table_of_operators_is_what_packs() {
    let mut lines = vec![convolutions(), norms()];
    lines.extend(functions());
    lines.extend(maps());
    let mut table = "| operator | |\n|---|---|\n".to_owned();
    for line in lines {
        let used: BTreeSet<String> = line
            .networks
            .iter()
            .flat_map(|middle| network(middle).operators())
            .collect();
        let words = line.operators.split([',', ' ']);
        let named = words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
        for name in named {
            assert!(used.contains(name), "no network has {name}");
        }
        all_pack(
            line.networks
                .into_iter()
                .map(|middle| (line.operators, middle))
                .collect(),
        );
        table += &format!("| {} | {} |\n", line.operators, line.remark);
    }
    let document = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/OWN-MODELS.md"));
    let text = std::fs::read_to_string(document).unwrap();
    let expected = with_table(&text, "operators", &table).unwrap();
    if std::env::var_os("MTSLVR_WRITE_TABLES").is_some() {
        std::fs::write(document, &expected).unwrap();
    } else {
        assert!(
            text == expected,
            "the table of OWN-MODELS.md differs; write it anew with MTSLVR_WRITE_TABLES=1. Expected:\n{table}"
        );
    }
}
