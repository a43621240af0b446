//! Keys with which a maker signs models and profiles, and the files that hold them.

use ed25519_compact::{KeyPair, PublicKey, Seed};
use mtslvr_runtime::model::wire::SignatureRecord;
use mtslvr_runtime::trust::TrustedKey;
use std::fmt;

/// Explains why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The operating system gives no random numbers, so that no key can be made.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// It is no private key.
    #[error("not a private Ed25519 key in PEM, such as `mtslvr keygen` writes")]
    Private,
    /// It is no public key.
    #[error(
        "not a public Ed25519 key, in PEM or as 64 hexadecimal digits, such as `mtslvr keygen` writes"
    )]
    Public,
}

/// An Ed25519 key pair, with which a maker signs.
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// Makes a key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::from_seed(seed))
    }

    /// Makes the key of a seed, which must be as secret as the key.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(KeyPair::from_seed(Seed::new(seed)))
    }

    /// Reads a private key in PEM (PKCS #8, RFC 8410), as OpenSSL writes it, too.
    ///
    /// # Errors
    /// [`KeyError::Private`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = KeyPair::from_pem(text.trim());
        key.map(Self).map_err(|_| KeyError::Private)
    }

    /// Writes the private key in PEM.
    pub fn to_pem(&self) -> String {
        self.0.sk.to_pem()
    }

    /// Returns the key that devices must trust.
    pub fn public(&self) -> TrustedKey {
        TrustedKey::new(*self.0.pk)
    }

    /// Signs the hash of a model's or a profile's contents: for [`builder::sign`](crate::builder::sign) and
    /// [`persist::sign`](mtslvr_runtime::fewshot::persist::sign).
    pub fn sign(&self, hash: &[u8; 32]) -> SignatureRecord {
        SignatureRecord {
            key_id: *self.public().id().as_bytes(),
            signature: *self.0.sk.sign(hash, None),
        }
    }
}

/// Shows the public key alone.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// Reads a public key in PEM (RFC 8410), as OpenSSL writes it, too, or as 64 hexadecimal digits.
///
/// # Errors
/// [`KeyError::Public`], also for a key that fits any signature.
pub fn public_key(text: &str) -> Result<TrustedKey, KeyError> {
    let text = text.trim();
    let key = match TrustedKey::from_hex(text) {
        Some(key) => PublicKey::new(*key.as_bytes()),
        None => PublicKey::from_pem(text).map_err(|_| KeyError::Public)?,
    };
    key.validate().map_err(|_| KeyError::Public)?;
    Ok(TrustedKey::new(*key))
}

/// Writes a public key in PEM.
pub fn public_pem(key: &TrustedKey) -> String {
    PublicKey::new(*key.as_bytes()).to_pem()
}

#[cfg(test)]
mod tests {
    use super::*;

    // As `openssl pkey -in FILE [-pubout]` writes the key of the first test of RFC 8032.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";
    const DIGITS: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn keys_are_those_of_other_programs() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        assert_eq!(key.public().to_string(), DIGITS);
        assert_eq!(public_key(PUBLIC), Ok(key.public()));
        assert_eq!(public_key(&format!("{DIGITS}\n")), Ok(key.public()));
        assert_eq!(key.to_pem().trim(), PRIVATE.trim());
        assert_eq!(public_pem(&key.public()).trim(), PUBLIC.trim());
        // Nothing tells of the secret.
        assert_eq!(format!("{key:?}"), format!("SigningKey({DIGITS})"));
    }

    #[test]
    fn keys_differ_and_come_back() {
        let [a, b] = [(), ()].map(|()| SigningKey::generate().unwrap());
        assert_ne!(a.public(), b.public());
        let read = SigningKey::from_pem(&a.to_pem()).unwrap();
        assert_eq!(read.public(), a.public());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "a key", PUBLIC, &PRIVATE.replace("MC4", "MC5")] {
            assert_eq!(
                SigningKey::from_pem(text).unwrap_err(),
                KeyError::Private,
                "{text}"
            );
        }
        // Of small order: everyone can sign for it.
        let weak = format!("01{}", "0".repeat(62));
        let short = &DIGITS[1..];
        for text in ["", "a key", PRIVATE, &weak, short] {
            assert_eq!(public_key(text), Err(KeyError::Public), "{text}");
        }
    }
}
