//! Any manifest gives a set or an error: `cargo xtask fuzz manifest_read`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::manifest_read(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::manifest_read);
}
