//! Any bytes give a model that runs or an error: `cargo xtask fuzz model_open`.
//!
//! Begin with `runtime/tests/golden/*.slvr` in `tests/fuzz/corpus/model_open`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::model_open(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::model_open);
}
