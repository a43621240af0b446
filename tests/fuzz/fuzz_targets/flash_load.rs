//! Any content of the flash gives taught sounds or an error, and can be written over:
//! `cargo xtask fuzz flash_load`.
//!
//! Begin with the image that `tests/damaged_seeds.rs` makes in `tests/fuzz/corpus/flash_load`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::flash_load(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::flash_load);
}
