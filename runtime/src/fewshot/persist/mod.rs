//! What was taught, as bytes that outlive the device's power: one buffer for backup and cloning
//! ([`export`], [`import`]; the format is written down in `SNAPSHOT.md`), and records in flash
//! ([`FlashStore`], feature `flash`).

mod catalogue;
mod error;
mod fingerprint;
#[cfg(feature = "flash")]
mod flash;
mod snapshot;

pub use catalogue::SNAPSHOT_VERSION;
pub use error::RestoreError;
pub use fingerprint::fingerprint;
#[cfg(feature = "flash")]
pub use flash::{FlashStore, StoreError, flash_len, store_scratch_len};
pub use snapshot::{ExportError, SnapshotHeader, export, import, snapshot_len};
