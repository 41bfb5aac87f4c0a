//! Sealing of secrets: AES-256-GCM under the master key, with scope and key of the secret as associated data, so that a sealed value
//! cannot be moved to another name.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ControlError;

/// Names the environment variable that may hold the master key: 32 bytes in base64. For a rotation it may hold several, with commas.
pub const MASTER_KEY_VARIABLE: &str = "WEIRGATE_MASTER_KEY";

/// Bytes of a nonce: 96 random bits for each value, good for 2³² values under one key (NIST SP 800-38D §8.3).
const NONCE: usize = 12;

/// The key that secrets are sealed with: 256 bits, wiped from memory when dropped. There is no `Debug`.
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    id: String,
}

impl MasterKey {
    /// A key of these bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"weirgate master key id\0");
        digest.update(bytes.as_slice());
        let id = hex::encode(&digest.finalize()[..16]);
        MasterKey { bytes, id }
    }

    /// A new random key.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(bytes.as_mut_slice());
        MasterKey::new(bytes)
    }

    /// Reads a key as it is written in a file or variable: base64 of 32 bytes, spaces around it allowed.
    ///
    /// # Errors
    /// [`ControlError::MasterKey`]; its text never quotes the key.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
        let bytes = decoded.and_then(|decoded| <[u8; 32]>::try_from(decoded.as_slice()).ok()).map(Zeroizing::new);
        let why = "it is not 32 bytes in base64; `head -c 32 /dev/urandom | base64` makes one";
        bytes.map(MasterKey::new).ok_or_else(|| ControlError::MasterKey(why.into()))
    }

    /// The keys in [`MASTER_KEY_VARIABLE`]; none if it is not set.
    ///
    /// # Errors
    /// As [`MasterKey::parse`].
    pub fn from_env() -> Result<Vec<Self>, ControlError> {
        match std::env::var(MASTER_KEY_VARIABLE) {
            Ok(text) => MasterKey::parse_list(&Zeroizing::new(text)),
            Err(std::env::VarError::NotPresent) => Ok(Vec::new()),
            Err(std::env::VarError::NotUnicode(_)) => MasterKey::parse_list(""),
        }
    }

    fn parse_list(text: &str) -> Result<Vec<Self>, ControlError> {
        text.split(',').map(MasterKey::parse).collect::<Result<_, _>>().map_err(|error| match error {
            ControlError::MasterKey(why) => ControlError::MasterKey(format!("{MASTER_KEY_VARIABLE}: {why}")),
            other => other,
        })
    }

    /// As [`MasterKey::parse`] reads it.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// Tells keys apart and says nothing about them: 32 hex digits of a hash.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals the value of a secret: nonce, ciphertext and tag.
    ///
    /// # Errors
    /// [`ControlError::MasterKey`] for a value beyond 64 GiB, which is the cipher's limit.
    pub fn seal(&self, scope: &str, key: &str, value: &[u8]) -> Result<Vec<u8>, ControlError> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: value, aad: &associated(scope, key) };
        let sealed = self.cipher().encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|_| ControlError::MasterKey("the value is too long to be encrypted".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed under the same key, scope and name; `None` for anything else.
    pub fn open(&self, scope: &str, key: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: &associated(scope, key) };
        self.cipher().decrypt(&(*nonce).into(), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.bytes).into())
    }
}

/// The length before the scope keeps `a`,`bc` and `ab`,`c` apart.
fn associated(scope: &str, key: &str) -> Vec<u8> {
    [b"weirgate secret 1\0", &(scope.len() as u64).to_le_bytes()[..], scope.as_bytes(), key.as_bytes()].concat()
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
