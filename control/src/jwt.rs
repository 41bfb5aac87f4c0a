//! JWT bearer tokens of configured issuers: keys fetched and kept fresh, signatures and claims checked, verdicts remembered.

use weirgate_config::snapshot::JwtIssuer;
use weirgate_policy::identity::Credential;

/// The accepted issuers with their keys.
pub struct Issuers {}

impl Issuers {
    /// `allow_private`: whether keys may be fetched from private addresses and over plain http (`upstreams.allow_private`).
    pub fn new(_issuers: &[JwtIssuer], _allow_private: bool) -> Self {
        unimplemented!("helper F")
    }

    /// Takes a changed list over; keys of unchanged issuers stay.
    pub fn configure(&self, _issuers: &[JwtIssuer], _allow_private: bool) {
        unimplemented!("helper F")
    }

    /// Whether a bearer token has the form of a JWT and any issuer is configured; costs next to nothing.
    pub fn concerns(&self, _token: &[u8]) -> bool {
        unimplemented!("helper F")
    }

    /// Whose token it is, if it is good at `now` (Unix seconds). A verdict is remembered until the token expires (bounded in time and
    /// number); an unknown key id leads to one fetch of the issuer's keys, shared by all who wait and rate-limited.
    pub async fn authenticate(&self, _token: &[u8], _now: u64) -> Option<Credential> {
        unimplemented!("helper F")
    }

    /// Fetches keys before they are needed and again when they grow old; runs until dropped.
    pub async fn keep_fresh(&self) {
        unimplemented!("helper F")
    }
}
