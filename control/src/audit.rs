//! The audit log: who changed what, when, from where. JSON lines under `state/audit/`, rotated by size; never a secret.

use std::path::Path;

use serde::Serialize;

use crate::ControlError;

/// One change, or the attempt at one.
#[derive(Debug, Clone, Serialize)]
pub struct Entry<'a> {
    /// Principal's name; `file` for an edit of a config file, `command` for the command line.
    pub actor: &'a str,
    /// `User`, `ServicePrincipal` or `System`.
    pub actor_kind: &'a str,
    /// Address and port of the caller, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// What, for example `endpoint.create`.
    pub action: &'a str,
    /// On what: an endpoint's name, `scope/key`, a token's id.
    pub target: &'a str,
    /// Version before (`config_version` of an endpoint).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_version: Option<u64>,
    /// Version after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_version: Option<u64>,
    /// `ok`, or the reason's name.
    pub outcome: &'a str,
}

/// The log's writer.
pub struct Audit {}

impl Audit {
    /// Opens `state/audit/`.
    pub fn open(_state: &Path) -> Result<Self, ControlError> {
        unimplemented!("helper B")
    }

    /// Writes one line, with the time. That it cannot be written is logged, and does not fail the change.
    pub fn write(&self, _entry: &Entry<'_>) {
        unimplemented!("helper B")
    }
}
