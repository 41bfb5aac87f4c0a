-- Schema 1. Times are milliseconds since the epoch.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE documents (path TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL -- JSON: weirgate_control::store::endpoints::Record
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'service_principal')),
    name TEXT NOT NULL,
    groups TEXT NOT NULL, -- JSON list
    admin INTEGER NOT NULL,
    comment TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE service_principals (
    application_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scopes (
    name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    scope TEXT NOT NULL REFERENCES scopes (name) ON DELETE CASCADE,
    key TEXT NOT NULL,
    sealed BLOB NOT NULL, -- nonce, ciphertext, tag
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE acls (
    scope TEXT NOT NULL REFERENCES scopes (name) ON DELETE CASCADE,
    principal TEXT NOT NULL,
    permission TEXT NOT NULL CHECK (permission IN ('READ', 'WRITE', 'MANAGE')),
    PRIMARY KEY (scope, principal)
) STRICT, WITHOUT ROWID;
