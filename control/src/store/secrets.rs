//! Secrets, sealed with the master key; scopes and who may use them.

use weirgate_config::SecretSource;

use super::Store;
use crate::{Caller, ControlError};

/// Scopes with this prefix are the gateway's own: values that a caller sent in a `*_plaintext` field. Nobody can name them.
pub const OWN_PREFIX: &str = "weirgate.";

/// What a principal may do with a scope; each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the contract's own names")]
pub enum Permission {
    Read,
    Write,
    Manage,
}

impl Store {
    /// What a caller may do with a scope: administrators everything, others by the highest entry for their name or groups.
    /// `None` if nothing, or if there is no such scope.
    pub fn permission(&self, _caller: &Caller, _scope: &str) -> Result<Option<Permission>, ControlError> {
        unimplemented!("helper B")
    }

    /// Whether scope and key exist.
    pub fn has_secret(&self, _scope: &str, _key: &str) -> Result<bool, ControlError> {
        unimplemented!("helper B")
    }

    /// Seals values into one of the gateway's own scopes (made if absent; see [`OWN_PREFIX`]), in one transaction.
    pub fn put_own_secrets(&self, _scope: &str, _values: &[(String, &str)]) -> Result<(), ControlError> {
        unimplemented!("helper B")
    }

    /// Removes from the gateway's own scopes every secret that `in_use` does not name.
    pub fn sweep_own_secrets(&self, _in_use: impl Fn(&str, &str) -> bool) -> Result<usize, ControlError> {
        unimplemented!("helper B")
    }
}

impl SecretSource for Store {
    fn get(&self, _scope: &str, _key: &str) -> Option<String> {
        unimplemented!("helper B")
    }
}
