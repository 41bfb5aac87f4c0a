//! Who may do what with a secret scope.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::{ADMINS, Principal};
use weirgate_policy::reason::Reason;

use super::Store;
use super::secrets::{invalid, scope_name};
use crate::{Caller, ControlError};

/// Most entries of a scope.
const MAX_ENTRIES: usize = 1000;

/// What a principal may do with a scope; each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Permission {
    /// Use the secrets and list their names.
    Read,
    /// Also put and delete secrets.
    Write,
    /// Also change who may do what, and delete the scope.
    Manage,
}

impl Permission {
    /// As the contract and the schema spell it.
    pub fn name(self) -> &'static str {
        match self {
            Permission::Read => "READ",
            Permission::Write => "WRITE",
            Permission::Manage => "MANAGE",
        }
    }

    fn of_name(name: &str) -> Self {
        match name {
            "MANAGE" => Permission::Manage,
            "WRITE" => Permission::Write,
            _ => Permission::Read,
        }
    }
}

/// One entry of a scope's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Acl {
    /// Name of a user or group, or application id of a service principal.
    pub principal: String,
    /// What it may do.
    pub permission: Permission,
}

impl Store {
    /// What a caller may do with a scope: administrators everything, others by the highest entry for their name or groups.
    /// `None` if nothing, or if there is no such scope.
    pub fn permission(&self, caller: &Caller, scope: &str) -> Result<Option<Permission>, ControlError> {
        self.read(|connection| match list(connection, scope)? {
            Some(entries) => Ok(highest(&entries, &caller.principal)),
            None => Ok(None),
        })
    }

    /// The entries of a scope, by principal.
    pub fn acls(&self, caller: &Caller, scope: &str) -> Result<Vec<Acl>, ControlError> {
        self.read(|connection| require(connection, caller, scope, Permission::Manage))
    }

    /// Sets what a principal may do.
    pub fn put_acl(&self, caller: &Caller, scope: &str, entry: &Acl) -> Result<(), ControlError> {
        self.write(|transaction| {
            let entries = require(transaction, caller, scope, Permission::Manage)?;
            let new = !entries.iter().any(|known| known.principal == entry.principal);
            if new && entries.len() >= MAX_ENTRIES {
                return Err(
                    invalid(format!("the scope {scope} has {MAX_ENTRIES} ACL entries; delete one first")).into()
                );
            }
            put(transaction, scope, entry)
        })
    }

    /// Takes a principal's entry away.
    pub fn delete_acl(&self, caller: &Caller, scope: &str, principal: &str) -> Result<(), ControlError> {
        self.write(|transaction| {
            require(transaction, caller, scope, Permission::Manage)?;
            let delete = "DELETE FROM acls WHERE scope = ?1 AND principal = ?2";
            if transaction.execute(delete, [scope, principal])? == 0 {
                Err(no_entry(scope, principal).into())
            } else {
                Ok(())
            }
        })
    }
}

/// That a principal has no entry.
pub(crate) fn no_entry(scope: &str, principal: &str) -> Refusal {
    Refusal::new(Reason::ResourceNotFound, format!("{principal} has no ACL entry on the secret scope {scope}"))
}

/// Refuses a scope that does not exist (404) or on which the caller may not do that (403); returns the scope's entries.
pub(super) fn require(
    connection: &Connection,
    caller: &Caller,
    scope: &str,
    needed: Permission,
) -> Result<Vec<Acl>, ControlError> {
    scope_name(scope)?;
    let Some(entries) = list(connection, scope)? else {
        return Err(Refusal::new(Reason::ResourceNotFound, format!("there is no secret scope {scope}")).into());
    };
    if highest(&entries, &caller.principal) >= Some(needed) {
        return Ok(entries);
    }
    let (who, needed) = (&caller.principal.name, needed.name());
    let text = format!(
        "{who} needs {needed} on the secret scope {scope}; who has MANAGE on it, or an administrator, can grant it"
    );
    Err(Refusal::new(Reason::PermissionDenied, text).into())
}

/// What entries give a principal.
fn highest(entries: &[Acl], principal: &Principal) -> Option<Permission> {
    if principal.in_group(ADMINS) {
        return Some(Permission::Manage);
    }
    entries.iter().filter(|entry| concerns(&entry.principal, principal)).map(|entry| entry.permission).max()
}

/// Whether an entry's name is the principal's or one of its groups'.
fn concerns(name: &str, principal: &Principal) -> bool {
    *name == *principal.name || principal.in_group(name)
}

/// The scopes with which a principal may do anything by an entry.
pub(super) fn held(connection: &Connection, principal: &Principal) -> Result<HashSet<String>, ControlError> {
    let mut select = connection.prepare("SELECT scope, principal FROM acls")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut entries: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    entries.retain(|(_, name)| concerns(name, principal));
    Ok(entries.into_iter().map(|(scope, _)| scope).collect())
}

pub(super) fn put(connection: &Connection, scope: &str, entry: &Acl) -> Result<(), ControlError> {
    let upsert = "INSERT INTO acls (scope, principal, permission) VALUES (?1, ?2, ?3) \
                  ON CONFLICT (scope, principal) DO UPDATE SET permission = ?3";
    connection.execute(upsert, params![scope, entry.principal, entry.permission.name()])?;
    Ok(())
}

/// The entries of a scope by principal; `None` if there is no such scope.
fn list(connection: &Connection, scope: &str) -> Result<Option<Vec<Acl>>, ControlError> {
    // One statement, so that both are of one state; a scope without entries gives one row of nulls.
    let mut select = connection.prepare(
        "SELECT acls.principal, acls.permission FROM scopes LEFT JOIN acls ON acls.scope = scopes.name \
         WHERE scopes.name = ?1 ORDER BY acls.principal",
    )?;
    let rows = select.query_map([scope], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(Option<String>, Option<String>)> = rows.collect::<Result<_, _>>()?;
    let entry = |(principal, permission): (Option<String>, Option<String>)| {
        Some(Acl { principal: principal?, permission: Permission::of_name(&permission?) })
    };
    Ok(if rows.is_empty() { None } else { Some(rows.into_iter().filter_map(entry).collect()) })
}
