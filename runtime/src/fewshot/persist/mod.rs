//! Keeps taught sounds beyond the device's power: as one buffer for backup and cloning ([`export`],
//! [`import`]; `SNAPSHOT.md` describes the bytes), and as records in flash (`FlashStore` and
//! `BlockingFlashStore`, feature `flash`).

mod catalogue;
#[cfg(feature = "flash")]
mod clips;
mod error;
mod fingerprint;
#[cfg(feature = "flash")]
mod flash;
mod layout;
#[cfg(feature = "signed")]
mod signed;
mod snapshot;

#[cfg(feature = "flash")]
pub use clips::{Clip, ClipLabel, ClipStore};
pub use error::RestoreError;
pub use fingerprint::fingerprint;
#[cfg(feature = "flash")]
pub use flash::{
    Blocking, BlockingFlashStore, FlashStore, Loaded, StoreError, flash_len, store_scratch_len,
};
pub use layout::SNAPSHOT_VERSION;
#[cfg(all(feature = "signed", feature = "std"))]
pub use signed::sign;
#[cfg(feature = "signed")]
pub use signed::{ImportSignedError, import_signed, signed_contents};
pub use snapshot::{ExportError, SnapshotHeader, export, import, longest_snapshot, snapshot_len};
