//! Opens models that a trusted key has signed, and no others.

use super::error::OpenError;
use super::view::Model;
use crate::trust::{SignedContents, TrustError, TrustedKey};

/// Explains why [`Model::open_signed`] refused a byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenSignedError {
    /// It is no usable model.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is not trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl<'a> Model<'a> {
    /// [`Self::open`] of a model that `key` has signed and whose version counter is at least `least`.
    ///
    /// The bytes are read twice, once to be checked and once to be hashed, and must stay as they are: in the
    /// processor's own flash they do. A device keeps the greatest counter that it has opened where nobody can
    /// take it back, and gives that as `least`; 0 takes any release.
    ///
    /// # Errors
    /// [`OpenSignedError`]: the first rule of the format that is broken, or why the model is not trusted.
    pub fn open_signed(
        bytes: &'a [u8],
        key: &TrustedKey,
        least: u64,
    ) -> Result<Self, OpenSignedError> {
        let model = Self::open(bytes)?;
        model.check_signature(key, least)?;
        Ok(model)
    }

    /// Checks that `key` signed this model, and that its version counter is at least `least`.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn check_signature(&self, key: &TrustedKey, least: u64) -> Result<(), TrustError> {
        // The stated hash names the backbone, and nothing else vouches for it.
        if !self.verify_hash() {
            return Err(TrustError::Hash);
        }
        let contents = SignedContents {
            hash: *self.id().as_bytes(),
            version_counter: self.version_counter(),
            signature: self.signature(),
        };
        contents.check(key, least)
    }
}
