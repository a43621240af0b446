//! Any bytes give a graph that the packer can run and an engine may be given, or an error.

use mtslvr_pack::engine::{FrontendDescription, Layout};
use mtslvr_pack::{interpret, onnx};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};

/// Larger graphs are read but not run: they would only be slow.
const MOST_MACS: u64 = 1_000_000;

/// Reads `bytes` as an ONNX file of small patches, runs it, and normalises it as for an engine.
pub fn onnx_read(bytes: &[u8]) {
    let frontend = FrontendDescription {
        config: FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: 8,
            frames: 11,
            f_min: 60.0,
            f_max: 7_800.0,
            floor: 1e-6,
            mean: -6.0,
            scale: 0.3,
            form: FrontendForm::PLAIN,
        },
        layout: Layout::TimeMel,
        norm: None,
    };
    let _ = onnx::read_metadata(bytes);
    if let Ok(graph) = onnx::read(bytes, Some(&frontend)) {
        let values: usize = graph.ops.iter().map(|op| op.output.len()).sum();
        if graph.macs() <= MOST_MACS && values <= 1 << 20 {
            let patch = vec![0.5; graph.input_shape().len()];
            assert_eq!(interpret::embed(&graph, &patch).len(), graph.dim());
        }
    }
    if let Ok(checked) = onnx::checked(bytes, Some(&frontend)) {
        // A normalised file is one that is read again, to the same shapes.
        let again = onnx::checked(&checked.bytes, Some(&checked.frontend));
        assert_eq!(again.map(|again| again.outputs).ok(), Some(checked.outputs));
    }
}
