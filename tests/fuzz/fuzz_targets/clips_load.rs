//! Any content of the flash gives recordings of examples or none: `cargo xtask fuzz clips_load`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::clips_load(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::clips_load);
}
