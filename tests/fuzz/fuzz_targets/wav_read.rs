//! Any bytes give samples or an error: `cargo xtask fuzz wav_read`.
//!
//! Begin with a short WAV file in `tests/fuzz/corpus/wav_read`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::wav_read(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::wav_read);
}
