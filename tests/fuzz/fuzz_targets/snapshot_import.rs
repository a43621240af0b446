//! Any bytes give taught sounds or an error, and an error changes nothing:
//! `cargo xtask fuzz snapshot_import`.
//!
//! Begin with `runtime/tests/golden/snapshot-v1.mtss` in `tests/fuzz/corpus/snapshot_import`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::snapshot_import(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::snapshot_import);
}
