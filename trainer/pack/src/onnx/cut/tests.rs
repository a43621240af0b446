use super::*;
use crate::interpret;
use crate::onnx::normalise::tests::{frontend, network, patch};
use crate::onnx::{int, read};

/// A network whose patch is computed from another input: twice its logarithm.
fn larger() -> (Vec<u8>, Vec<u8>) {
    let small = network(|file| file.node("Relu", &["a"], "b", &[])).bytes();
    let mut model = decode(&small).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let node = |op: &str, inputs: &[&str], output: &str| pb::NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let patch = std::mem::replace(&mut graph.input[0].name, "mel".into());
    graph.node.insert(0, node("Log", &["mel"], "log"));
    graph.node.insert(1, node("Add", &["log", "log"], &patch));
    // Beside it something that nothing needs.
    let mut shape = node("Concat", &["log", "log"], "both");
    shape.attribute = vec![int("axis", 1)];
    graph.node.insert(2, shape);
    (small, model.encode_to_vec())
}

fn names(model: &[u8]) -> (String, Vec<String>) {
    let graph = decode(model).unwrap().graph.unwrap();
    let outputs = graph.output.iter().map(|output| output.name.clone());
    (graph.input[0].name.clone(), outputs.collect())
}

#[test]
fn the_network_that_is_cut_out_computes_the_same() {
    let (small, larger) = larger();
    let (input, outputs) = names(&small);
    let description = frontend(Layout::TimeMel);
    let made = cut(&larger, &input, &outputs, &description).unwrap();
    assert_eq!(names(&made), (input, outputs));
    let graph = decode(&made).unwrap().graph.unwrap();
    assert_eq!(
        graph.node.len(),
        decode(&small).unwrap().graph.unwrap().node.len()
    );
    // The description is in the file: nobody gives it again.
    let of_cut = interpret::embed(&read(&made, None).unwrap(), &patch());
    let of_small = interpret::embed(&read(&small, Some(&description)).unwrap(), &patch());
    assert_eq!(of_cut, of_small);
}

#[test]
fn what_cannot_be_cut_is_named() {
    let (small, larger) = larger();
    let (input, outputs) = names(&small);
    let description = frontend(Layout::TimeMel);
    let error = |from: &str, to: &[String]| cut(&larger, from, to, &description).unwrap_err();
    let none = error("patches", &outputs);
    assert!(matches!(none, ImportError::NoValue { .. }), "{none}");
    assert!(none.to_string().contains(&input), "{none}");
    let none = error(&input, &["nothing".to_owned()]);
    assert!(none.to_string().contains(&outputs[0]), "{none}");
    let other = error(&input, &["both".to_owned()]);
    assert!(matches!(other, ImportError::OtherInput { .. }), "{other}");
    assert!(other.to_string().contains("mel"), "{other}");
}
