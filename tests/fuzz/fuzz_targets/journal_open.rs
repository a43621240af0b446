//! Any file is a journal or an error: `cargo xtask fuzz journal_open`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::journal_open(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::journal_open);
}
