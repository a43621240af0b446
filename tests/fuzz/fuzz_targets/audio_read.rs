//! Any file gives samples or an error: `cargo xtask fuzz audio_read`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtslvr_fuzz::audio_read(bytes));

#[cfg(not(fuzzing))]
fn main() {
    mtslvr_fuzz::replay(mtslvr_fuzz::audio_read);
}
