//! The SHA-256 hash of what a model or a snapshot contains, wherever its parts lie.

use sha2::{Digest, Sha256};

/// A running hash: of magic and version, then of each section but signatures, in the order of the table: kind,
/// flags, length and bytes.
pub(crate) struct ContentHash(Sha256);

impl ContentHash {
    /// Bytes of the hash.
    pub const LEN: usize = 32;

    /// Begins with a file's magic and version.
    pub fn new(magic: [u8; 4], version: u16) -> Self {
        Self(
            Sha256::new()
                .chain_update(magic)
                .chain_update(version.to_le_bytes()),
        )
    }

    /// Adds a section.
    pub fn section(&mut self, kind: u16, flags: u16, contents: &[u8]) {
        self.0.update(kind.to_le_bytes());
        self.0.update(flags.to_le_bytes());
        self.0.update((contents.len() as u32).to_le_bytes());
        self.0.update(contents);
    }

    /// Returns the hash.
    pub fn finish(self) -> [u8; Self::LEN] {
        self.0.finalize().into()
    }
}
