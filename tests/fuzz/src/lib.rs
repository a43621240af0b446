//! Bodies of the fuzz targets: each is a function of any bytes, which must not panic.
//!
//! `fuzz_targets/` gives them to libFuzzer under `cargo xtask fuzz TARGET`. Built without it,
//! the same programs replay the files named on their command line, and `tests/` runs the bodies on
//! the seeds and on damaged copies of them.

mod audio_read;
mod cache_read;
#[cfg(feature = "train")]
mod checkpoint_read;
mod clips_load;
#[cfg(feature = "train")]
mod config_read;
mod file;
mod flash_load;
mod journal_open;
mod link_session;
mod manifest_read;
mod model_open;
mod onnx_read;
mod snapshot_import;
mod taught;
mod wav_read;

use mtslvr_runtime::trust::TrustedKey;

pub use audio_read::audio_read;
pub use cache_read::{cache_read, cache_seed};
#[cfg(feature = "train")]
pub use checkpoint_read::checkpoint_read;
pub use clips_load::clips_load;
#[cfg(feature = "train")]
pub use config_read::config_read;
pub use flash_load::{flash_image, flash_load};
pub use journal_open::{journal_open, journal_seed};
pub use link_session::{link_seed, link_session};
pub use manifest_read::manifest_read;
pub use model_open::model_open;
pub use onnx_read::onnx_read;
pub use snapshot_import::snapshot_import;
pub use wav_read::wav_read;

/// The key that has signed some of the seeds.
const TRUSTED: TrustedKey = match TrustedKey::from_hex(
    "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
) {
    Some(key) => key,
    None => panic!("64 hexadecimal digits"),
};

/// A version counter that the key has signed nowhere.
const UNSEEN: u64 = u64::MAX;

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
