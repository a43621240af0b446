//! Checks that a key has signed a model or a profile, and that it is not older than a counter.
//!
//! [`Model::open_signed`](crate::model::Model::open_signed) opens a model,
//! [`import_signed`](crate::fewshot::persist::import_signed) a profile that comes from outside. `FORMAT.md` says what
//! that protects, and what it does not.

use crate::model::wire::SignatureRecord;
use core::fmt;
use ed25519_compact::{PublicKey, Signature};
use sha2::{Digest, Sha256};

/// An Ed25519 public key, by which a device knows its maker's files.
///
/// ```
/// use mtslvr_runtime::trust::TrustedKey;
/// // `mtslvr keygen` prints it.
/// const KEY: TrustedKey = TrustedKey::from_hex(
///     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
/// ).expect("64 hexadecimal digits");
/// assert_eq!(KEY.id().to_string(), "21fe31dfa154a261");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TrustedKey([u8; Self::LEN]);

impl TrustedKey {
    /// Bytes of a key.
    pub const LEN: usize = PublicKey::BYTES;

    /// Takes a key's bytes, as RFC 8032 encodes them. Bytes that are no key, or a weak one, have signed
    /// nothing.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Reads a key from 64 hexadecimal digits; `None` from another text.
    pub const fn from_hex(digits: &str) -> Option<Self> {
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let mut bytes = [0; Self::LEN];
        if pairs.len() != bytes.len() {
            return None;
        }
        let mut i = 0;
        while i < bytes.len() {
            let [high, low] = pairs[i];
            let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                return None;
            };
            bytes[i] = high << 4 | low;
            i += 1;
        }
        Some(Self(bytes))
    }

    /// Returns the key's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Computes the id by which signatures name the key.
    pub fn id(&self) -> KeyId {
        let hash: [u8; 32] = Sha256::digest(self.0).into();
        KeyId(hash.first_chunk().copied().unwrap_or_default())
    }

    /// Tells whether `signature` is this key's of `message`.
    fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        PublicKey::new(self.0)
            .verify(message, &Signature::new(*signature))
            .is_ok()
    }
}

/// Returns the value of a hexadecimal digit.
const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes the key as 64 hexadecimal digits.
impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedKey({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for TrustedKey {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "TrustedKey({=[u8; 32]:02x})", self.0);
    }
}

/// Names a key: the first 8 bytes of the SHA-256 hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; Self::LEN]);

impl KeyId {
    /// Bytes of an id.
    pub const LEN: usize = 8;

    /// Takes an id's bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the id's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Writes the id as 16 hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for KeyId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u64:016x}", u64::from_be_bytes(self.0));
    }
}

/// Explains why a file is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TrustError {
    /// Nobody signed it.
    #[error("not signed: sign it with the maker's key")]
    Unsigned,
    /// It states another hash than its contents have.
    #[error("its contents do not have the hash that it states: it was changed")]
    Hash,
    /// It names another key than the trusted one.
    #[error("signed by the key {found}, expected {expected}: sign it with that one")]
    OtherKey {
        /// The key that it names.
        found: KeyId,
        /// The trusted key.
        expected: KeyId,
    },
    /// The signature is not the trusted key's of these contents.
    #[error("its signature is not that of its contents: it was changed after it was signed")]
    Signature,
    /// Its version counter is below the least one that is taken; none counts as 0.
    #[error(
        "its version counter is {found}, at least {least} expected: a newer one was here before"
    )]
    Older {
        /// Its counter.
        found: u64,
        /// The least counter that is taken.
        least: u64,
    },
}

/// The hash and the counter that a signature covers, and the signature itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedContents {
    /// SHA-256 hash of the contents, which is what is signed.
    pub hash: [u8; 32],
    /// Number that grows from one release to the next; a part of the contents.
    pub version_counter: Option<u64>,
    /// The signature, if there is one.
    pub signature: Option<SignatureRecord>,
}

impl SignedContents {
    /// Checks that `key` signed the contents, and that their version counter is at least `least`.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn check(&self, key: &TrustedKey, least: u64) -> Result<(), TrustError> {
        let record = self.signature.ok_or(TrustError::Unsigned)?;
        let (found, expected) = (KeyId(record.key_id), key.id());
        if found != expected {
            return Err(TrustError::OtherKey { found, expected });
        }
        if !key.signed(&self.hash, &record.signature) {
            return Err(TrustError::Signature);
        }
        // Last: only a counter that was signed says anything.
        let found = self.version_counter.unwrap_or(0);
        if found < least {
            return Err(TrustError::Older { found, least });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
