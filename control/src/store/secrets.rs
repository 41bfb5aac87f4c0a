//! Secrets, sealed with the master key; scopes and who may use them (contract §6.1).
//!
//! A method that takes the caller checks what the caller may do, in the transaction that does it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use weirgate_config::SecretSource;
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::{ADMINS, EVERYONE};
use weirgate_policy::reason::Reason;
use zeroize::Zeroizing;

use super::acls::{self, Acl, Permission};
use super::{Store, from_sql, keyring, to_sql};
use crate::{Caller, ControlError, now_ms};

/// Scopes with this prefix are the gateway's own: values that a caller sent in a `*_plaintext` field. Nobody can name them.
pub const OWN_PREFIX: &str = weirgate_config::secret::OWN_PREFIX;

/// How long, in milliseconds, a value stays that no document names: a file may come back, from Git for example.
pub const KEPT_UNUSED: u64 = 7 * 24 * 60 * 60 * 1000;
/// How often, in milliseconds, it is noted that a value is in use.
const NOTED_EVERY: u64 = KEPT_UNUSED / 7;
/// What a scope's and a key's name looks like (contract §6.1).
pub const NAME_PATTERN: &str = "^[A-Za-z0-9_.-]{1,128}$";
/// Longest value in bytes.
pub const MAX_VALUE: usize = 128 << 10;
/// Most secrets in a scope.
const MAX_COUNT: usize = 1000;
/// Most scopes of one creator who is no administrator, so that nobody can take all.
const MAX_SCOPES_OF_ONE: usize = 100;
/// Most scopes of all callers together.
const MAX_SCOPES: usize = 10_000;

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its name in the scope.
    pub key: String,
    /// When it was last written, in milliseconds.
    pub updated_at: u64,
}

impl Store {
    /// Makes a scope. MANAGE on it goes to the caller, or to everyone.
    pub fn create_scope(&self, caller: &Caller, scope: &str, everyone_manages: bool) -> Result<(), ControlError> {
        scope_name(scope)?;
        let creator = &*caller.principal.name;
        let principal = if everyone_manages { EVERYONE } else { creator }.to_owned();
        self.write(|transaction| {
            if !insert_scope(transaction, scope, creator)? {
                let text = format!("the secret scope {scope} exists already");
                return Err(Refusal::new(Reason::ScopeExists, text).into());
            }
            // Callers' scopes alone: the gateway's own are as many as there are endpoints.
            if scope_names(transaction)?.len() > MAX_SCOPES {
                return Err(invalid(format!("there are {MAX_SCOPES} secret scopes; delete one first")).into());
            }
            let made = "SELECT count(*) FROM scopes WHERE created_by = ?1";
            let made: i64 = transaction.query_row(made, [creator], |row| row.get(0))?;
            if !caller.principal.in_group(ADMINS) && from_sql(made) > MAX_SCOPES_OF_ONE as u64 {
                let text = format!("{creator} has made {MAX_SCOPES_OF_ONE} secret scopes; delete one, or ask an administrator to make it");
                return Err(invalid(text).into());
            }
            acls::put(transaction, scope, &Acl { principal, permission: Permission::Manage })
        })
    }

    /// The scopes with which a caller may do anything, by name.
    pub fn scopes(&self, caller: &Caller) -> Result<Vec<String>, ControlError> {
        self.read(|connection| {
            let mut names = scope_names(connection)?;
            if !caller.principal.in_group(ADMINS) {
                let mut held = acls::held(connection, &caller.principal)?;
                names.retain(|name| held.remove(name));
            }
            Ok(names)
        })
    }

    /// Deletes a scope with its secrets and entries.
    pub fn delete_scope(&self, caller: &Caller, scope: &str) -> Result<(), ControlError> {
        self.write(|transaction| {
            acls::require(transaction, caller, scope, Permission::Manage)?;
            transaction.execute("DELETE FROM scopes WHERE name = ?1", [scope])?;
            Ok(())
        })
    }

    /// Seals a value, in place of the one that was there.
    pub fn put_secret(&self, caller: &Caller, scope: &str, key: &str, value: &[u8]) -> Result<(), ControlError> {
        secret_name(key)?;
        if value.len() > MAX_VALUE {
            return Err(invalid(format!("the value is {} bytes, more than {MAX_VALUE}", value.len())).into());
        }
        self.write(|transaction| {
            acls::require(transaction, caller, scope, Permission::Write)?;
            self.seal(transaction, scope, key, value)?;
            let count = "SELECT count(*) FROM secrets WHERE scope = ?1";
            let count: i64 = transaction.query_row(count, [scope], |row| row.get(0))?;
            if from_sql(count) > MAX_COUNT as u64 {
                return Err(invalid(format!("the scope {scope} has {MAX_COUNT} secrets; delete one first")).into());
            }
            Ok(())
        })
    }

    /// Deletes a secret.
    pub fn delete_secret(&self, caller: &Caller, scope: &str, key: &str) -> Result<(), ControlError> {
        self.write(|transaction| {
            acls::require(transaction, caller, scope, Permission::Write)?;
            let deleted = transaction.execute("DELETE FROM secrets WHERE scope = ?1 AND key = ?2", [scope, key])?;
            if deleted == 0 { Err(no_secret(scope, key).into()) } else { Ok(()) }
        })
    }

    /// The secrets of a scope, by name, without their values.
    pub fn secrets(&self, caller: &Caller, scope: &str) -> Result<Vec<Metadata>, ControlError> {
        self.read(|connection| {
            acls::require(connection, caller, scope, Permission::Read)?;
            let mut select = connection.prepare("SELECT key, updated_at FROM secrets WHERE scope = ?1 ORDER BY key")?;
            let rows = select
                .query_map([scope], |row| Ok(Metadata { key: row.get(0)?, updated_at: from_sql(row.get(1)?) }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The value of a secret, for the one route that shows it.
    pub fn secret(&self, caller: &Caller, scope: &str, key: &str) -> Result<Zeroizing<Vec<u8>>, ControlError> {
        self.read(|connection| acls::require(connection, caller, scope, Permission::Read).map(drop))?;
        Ok(self.open_secret(scope, key)?.ok_or_else(|| no_secret(scope, key))?)
    }

    /// Whether scope and key exist.
    pub fn has_secret(&self, scope: &str, key: &str) -> Result<bool, ControlError> {
        let exists = "SELECT EXISTS (SELECT 1 FROM secrets WHERE scope = ?1 AND key = ?2)";
        self.read(|connection| Ok(connection.query_row(exists, [scope, key], |row| row.get(0))?))
    }

    /// Seals values into one of the gateway's own scopes (made if absent; see [`OWN_PREFIX`]), in one transaction.
    pub fn put_own_secrets(&self, scope: &str, values: &[(String, &str)]) -> Result<(), ControlError> {
        self.write(|transaction| {
            insert_scope(transaction, scope, "")?;
            values.iter().try_for_each(|(key, value)| self.seal(transaction, scope, key, value.as_bytes()))
        })
    }

    /// Removes from the gateway's own scopes what `in_use` has not named for [`KEPT_UNUSED`].
    pub fn sweep_own_secrets(&self, now: u64, in_use: impl Fn(&str, &str) -> bool) -> Result<usize, ControlError> {
        // Of the gateway's own secrets `updated_at` says, to a day, when they were last in use.
        let overdue = |connection: &Connection| -> Result<Vec<(String, String, bool)>, ControlError> {
            let mut select = connection.prepare("SELECT scope, key, updated_at FROM secrets")?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let mut found = Vec::new();
            for row in rows {
                let (scope, key, at): (String, String, i64) = row?;
                let age = now.saturating_sub(u64::try_from(at).unwrap_or(0));
                let used = in_use(&scope, &key);
                if scope.starts_with(OWN_PREFIX) && age > if used { NOTED_EVERY } else { KEPT_UNUSED } {
                    found.push((scope, key, used));
                }
            }
            Ok(found)
        };
        // Most of the time there is nothing to do, and then nothing is written.
        if self.read(overdue)?.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            let mut removed = 0;
            for (scope, key, used) in overdue(transaction)? {
                if used {
                    let note = "UPDATE secrets SET updated_at = ?3 WHERE scope = ?1 AND key = ?2";
                    transaction.execute(note, params![scope, key, to_sql(now)])?;
                    continue;
                }
                transaction.execute("DELETE FROM secrets WHERE scope = ?1 AND key = ?2", [&scope, &key])?;
                let if_empty =
                    "DELETE FROM scopes WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM secrets WHERE scope = ?1)";
                transaction.execute(if_empty, [&scope])?;
                removed += 1;
            }
            Ok(removed)
        })
    }

    /// Removes one of the gateway's own scopes with all that is in it.
    pub(crate) fn drop_own_scope(&self, scope: &str) -> Result<(), ControlError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM scopes WHERE name = ?1", [scope])?;
            Ok(())
        })
    }

    fn seal(&self, transaction: &Transaction<'_>, scope: &str, key: &str, value: &[u8]) -> Result<(), ControlError> {
        let sealed = self.sealing_key(transaction)?.seal(scope, key, value)?;
        let upsert = "INSERT INTO secrets (scope, key, sealed, updated_at) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT (scope, key) DO UPDATE SET sealed = ?3, updated_at = ?4";
        transaction.execute(upsert, params![scope, key, sealed, to_sql(now_ms())])?;
        Ok(())
    }

    /// `None` if there is no such secret, or if it cannot be opened, which is logged.
    fn open_secret(&self, scope: &str, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, ControlError> {
        // One statement, so that value and key are of one state.
        let select =
            "SELECT sealed, (SELECT value FROM meta WHERE key = ?3) FROM secrets WHERE scope = ?1 AND key = ?2";
        let row = self.read(|connection| {
            let values = params![scope, key, keyring::KEY_ID];
            Ok(connection.query_row(select, values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })?;
        let Some((sealed, key_id)): Option<(Vec<u8>, String)> = row else { return Ok(None) };
        let opened = self.keyring.with_id(&key_id)?.open(scope, key, &sealed);
        if opened.is_none() {
            log::error!("the secret {scope}/{key} cannot be opened: it was changed on disk; put it again");
        }
        Ok(opened)
    }
}

impl SecretSource for Store {
    fn get(&self, scope: &str, key: &str) -> Option<String> {
        let value = self.open_secret(scope, key).unwrap_or_else(|error| {
            log::error!("the secret {scope}/{key} cannot be read: {error}");
            None
        })?;
        let text = std::str::from_utf8(&value).map(str::to_owned);
        text.inspect_err(|_| log::error!("the secret {scope}/{key} is not UTF-8, so no provider can be sent it")).ok()
    }
}

/// That there is no such secret.
fn no_secret(scope: &str, key: &str) -> Refusal {
    Refusal::new(Reason::ResourceNotFound, format!("there is no secret {key} in the scope {scope}"))
}

pub(crate) fn invalid(message: String) -> Refusal {
    Refusal::new(Reason::InvalidParameter, message)
}

/// Refuses what cannot be a scope of a caller's.
pub(super) fn scope_name(name: &str) -> Result<(), Refusal> {
    if name.starts_with(OWN_PREFIX) {
        let text = format!("scopes that start with `{OWN_PREFIX}` are the gateway's own; choose another name");
        return Err(invalid(text).at("scope"));
    }
    check_name("scope", name)
}

fn secret_name(name: &str) -> Result<(), Refusal> {
    check_name("key", name)
}

/// As [`NAME_PATTERN`].
fn check_name(what: &'static str, name: &str) -> Result<(), Refusal> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=128).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(invalid(format!("{what}: 1 to 128 letters, digits, `-`, `_` and `.`")).at(what))
}

fn insert_scope(connection: &Connection, scope: &str, by: &str) -> Result<bool, ControlError> {
    let insert = "INSERT OR IGNORE INTO scopes (name, created_at, created_by) VALUES (?1, ?2, ?3)";
    Ok(connection.execute(insert, params![scope, to_sql(now_ms()), by])? == 1)
}

/// The scopes of callers, by name.
fn scope_names(connection: &Connection) -> Result<Vec<String>, ControlError> {
    let mut select = connection.prepare("SELECT name FROM scopes ORDER BY name")?;
    let names = select.query_map([], |row| row.get::<_, String>(0))?;
    let names = names.filter(|name| name.as_ref().map_or(true, |name| !name.starts_with(OWN_PREFIX)));
    Ok(names.collect::<Result<_, _>>()?)
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
