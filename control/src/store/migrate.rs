//! The database's schema and its versions. A step, once released, is never changed: a new one is added behind it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::ControlError;

/// Step `n` leads from version `n` to `n + 1`.
const STEPS: &[&str] = &[include_str!("schema.sql"), include_str!("schema-2.sql")];

/// Brings the schema up to date, in one transaction; refuses a database that a newer weirgate wrote.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), ControlError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(missing) = usize::try_from(version).ok().and_then(|version| STEPS.get(version..)) else {
        let why = format!("its schema is version {version}, this weirgate knows up to {}", STEPS.len());
        return Err(ControlError::Damaged { path: path.into(), why });
    };
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", i64::try_from(STEPS.len()).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    Ok(())
}
