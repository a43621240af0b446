//! Any bytes give a graph or an error: `cargo xtask fuzz onnx_read`.
//!
//! Begin with `trainer/pack/src/onnx/fixtures/*.onnx` in `tests/fuzz/corpus/onnx_read`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::onnx_read(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::onnx_read);
}
