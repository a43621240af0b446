//! Bodies of the fuzz targets: each is a function of any bytes, which must not panic.
//!
//! `fuzz_targets/` gives them to libFuzzer under `cargo +nightly fuzz run TARGET`. Built without it,
//! the same programs replay the files named on their command line, and `tests/` runs the bodies on
//! the seeds and on damaged copies of them.

mod flash_load;
mod model_open;
mod onnx_read;
mod snapshot_import;
mod taught;
mod wav_read;

pub use flash_load::{flash_image, flash_load};
pub use model_open::model_open;
pub use onnx_read::onnx_read;
pub use snapshot_import::snapshot_import;
pub use wav_read::wav_read;

/// Runs `target` on each file named on the command line.
pub fn replay(target: fn(&[u8])) {
    for path in std::env::args_os().skip(1) {
        println!("{}", path.display());
        match std::fs::read(&path) {
            Ok(bytes) => target(&bytes),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}
