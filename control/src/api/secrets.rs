//! Secrets, their scopes, and who may use them (contract §6.1).

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_config::schema;
use weirgate_config::structure::Shape;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use zeroize::Zeroizing;

use super::{Answer, Method, Problem, Request, Route};
use crate::store::acls::{Acl, Permission, no_entry};
use crate::store::secrets::{NAME_PATTERN, invalid};

pub(super) fn routes() -> Vec<Route> {
    let get = |path, summary, handler: Handler| Route::new(Method::Get, path, summary, handler);
    let post = |path, summary, handler: Handler| Route::new(Method::Post, path, summary, handler);
    let in_scope = |route: Route| route.asks("scope", true, "Name of the scope.").refuses(&UNKNOWN);
    vec![
        post("/api/2.0/secrets/scopes/create", "Makes a scope.", create_scope)
            .audits("secret_scope.create")
            .takes::<CreateScope>()
            .refuses(&[Reason::ScopeExists, Reason::NotImplemented]),
        get("/api/2.0/secrets/scopes/list", "The scopes that the caller may use.", list_scopes)
            .answers::<SecretScopes>(),
        post("/api/2.0/secrets/scopes/delete", "Deletes a scope and all in it; needs MANAGE on it.", delete_scope)
            .audits("secret_scope.delete")
            .takes::<ScopeName>()
            .refuses(&UNKNOWN),
        post("/api/2.0/secrets/put", "Sets the value of a secret; needs WRITE on its scope.", put)
            .audits("secret.put")
            .takes::<PutSecret>()
            .refuses(&UNKNOWN),
        post("/api/2.0/secrets/delete", "Deletes a secret; needs WRITE on its scope.", delete)
            .audits("secret.delete")
            .takes::<SecretName>()
            .refuses(&UNKNOWN),
        in_scope(get("/api/2.0/secrets/list", "The secrets of a scope without values; needs READ on it.", list))
            .answers::<Secrets>(),
        in_scope(get("/api/2.0/secrets/get", "The value of a secret, if weirgate.yaml allows it; needs READ.", show))
            .asks("key", true, "Name of the secret.")
            .audits("secret.get")
            .answers::<SecretValue>()
            .refuses(&[Reason::BadRequest]),
        post("/api/2.0/secrets/acls/put", "Sets what a principal may do with a scope; needs MANAGE on it.", put_acl)
            .audits("secret_acl.put")
            .takes::<PutAcl>()
            .refuses(&UNKNOWN),
        in_scope(get(
            "/api/2.0/secrets/acls/get",
            "What a principal may do with a scope; needs MANAGE on it.",
            get_acl,
        ))
        .asks("principal", true, "User, group or service principal.")
        .answers::<Acl>(),
        in_scope(get("/api/2.0/secrets/acls/list", "Who may do what with a scope; needs MANAGE on it.", list_acls))
            .answers::<Acls>(),
        post("/api/2.0/secrets/acls/delete", "Takes away what a principal may do; needs MANAGE on it.", delete_acl)
            .audits("secret_acl.delete")
            .takes::<AclName>()
            .refuses(&UNKNOWN),
    ]
}

type Handler = fn(Request) -> Result<Answer, Problem>;

const UNKNOWN: [Reason; 1] = [Reason::ResourceNotFound];

/// What a name of a scope or secret may hold, for [`weirgate_config::structure`].
const NAME: &str = "1 to 128 letters, digits, `-`, `_` and `.`";

/// The input of `scopes/create`.
#[derive(Deserialize, JsonSchema)]
struct CreateScope {
    /// Name of the new scope.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    scope: String,
    /// Where the values are kept; this gateway has its own store only.
    scope_backend_type: Option<Backend>,
    /// Who gets MANAGE on it: `users` is everyone. Default: the caller.
    initial_manage_principal: Option<Managers>,
    /// Not offered.
    backend_azure_keyvault: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Where the values of a scope are kept.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Backend {
    /// In the gateway's own store.
    Databricks,
    /// Not offered.
    AzureKeyvault,
}

/// Who can be given MANAGE on a new scope.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Managers {
    /// Everyone.
    Users,
}

/// A scope.
#[derive(Deserialize, JsonSchema)]
struct ScopeName {
    /// Name of the scope.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    scope: String,
}

/// A secret.
#[derive(Deserialize, JsonSchema)]
struct SecretName {
    /// Name of the scope.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    scope: String,
    /// Name of the secret in it.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    key: String,
}

/// A secret and its value: exactly one of `string_value` and `bytes_value`, at most 128 KiB.
#[derive(Deserialize, JsonSchema)]
struct PutSecret {
    /// Name of the scope.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    scope: String,
    /// Name of the secret in it.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    key: String,
    /// The value as text.
    string_value: Option<String>,
    /// The value in base64.
    bytes_value: Option<String>,
}

/// A principal of a scope.
#[derive(Deserialize, JsonSchema)]
struct AclName {
    /// Name of the scope.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    scope: String,
    /// User, group or service principal.
    #[schemars(length(min = 1, max = 255))]
    principal: String,
}

/// What a principal may do with a scope.
#[derive(Deserialize, JsonSchema)]
struct PutAcl {
    /// Name of the scope.
    #[schemars(regex(pattern = NAME_PATTERN), extend("x-expected" = NAME))]
    scope: String,
    /// User, group or service principal.
    #[schemars(length(min = 1, max = 255))]
    principal: String,
    /// What it may do.
    permission: Permission,
}

/// Scopes.
#[derive(Serialize, JsonSchema)]
struct SecretScopes {
    /// By name.
    scopes: Vec<SecretScope>,
}

/// A scope.
#[derive(Serialize, JsonSchema)]
struct SecretScope {
    /// Its name.
    name: String,
    /// Where its values are kept.
    backend_type: Backend,
}

/// Secrets without their values.
#[derive(Serialize, JsonSchema)]
struct Secrets {
    /// By name.
    secrets: Vec<SecretMetadata>,
}

/// A secret without its value.
#[derive(Serialize, JsonSchema)]
struct SecretMetadata {
    /// Its name.
    key: String,
    /// When it was last written, in milliseconds.
    last_updated_timestamp: u64,
}

/// A secret.
#[derive(Serialize, JsonSchema)]
struct SecretValue<'v> {
    /// Its name.
    key: String,
    /// Its value in base64.
    value: &'v str,
}

/// Who may do what.
#[derive(Serialize, JsonSchema)]
struct Acls {
    /// By principal.
    items: Vec<Acl>,
}

fn create_scope(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(shape::<CreateScope>);
    let asked: CreateScope = request.body(&SHAPE)?;
    request.concerns(&asked.scope);
    if asked.scope_backend_type == Some(Backend::AzureKeyvault) || asked.backend_azure_keyvault.is_some() {
        let text = "scopes of an Azure Key Vault are not offered; leave scope_backend_type out, and the gateway keeps the values itself";
        return Err(Problem::new(Reason::NotImplemented, text));
    }
    let everyone = asked.initial_manage_principal == Some(Managers::Users);
    request.control.store.create_scope(&request.caller, &asked.scope, everyone)?;
    Ok(Answer::empty())
}

fn list_scopes(request: Request) -> Result<Answer, Problem> {
    let names = request.control.store.scopes(&request.caller)?;
    let scope = |name| SecretScope { name, backend_type: Backend::Databricks };
    Ok(Answer::json(&SecretScopes { scopes: names.into_iter().map(scope).collect() }))
}

fn delete_scope(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(shape::<ScopeName>);
    let asked: ScopeName = request.body(&SHAPE)?;
    request.concerns(&asked.scope);
    request.control.store.delete_scope(&request.caller, &asked.scope)?;
    changed(&request)
}

fn put(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(shape::<PutSecret>);
    let asked: PutSecret = request.body(&SHAPE)?;
    let (text, bytes) = (asked.string_value.map(Zeroizing::new), asked.bytes_value.map(Zeroizing::new));
    request.concerns(&format!("{}/{}", asked.scope, asked.key));
    let value = match (text, bytes) {
        (Some(text), None) => Zeroizing::new(text.as_bytes().to_vec()),
        (None, Some(bytes)) => Zeroizing::new(
            STANDARD
                .decode(bytes.as_bytes())
                .map_err(|_| invalid("bytes_value: not base64".into()).at("bytes_value"))?,
        ),
        _ => return Err(invalid("give exactly one of string_value and bytes_value".into()).into()),
    };
    request.control.store.put_secret(&request.caller, &asked.scope, &asked.key, &value)?;
    changed(&request)
}

fn delete(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(shape::<SecretName>);
    let asked: SecretName = request.body(&SHAPE)?;
    request.concerns(&format!("{}/{}", asked.scope, asked.key));
    request.control.store.delete_secret(&request.caller, &asked.scope, &asked.key)?;
    changed(&request)
}

fn list(request: Request) -> Result<Answer, Problem> {
    let secrets = request.control.store.secrets(&request.caller, parameter(&request, "scope")?)?;
    let secrets = secrets.into_iter();
    let shown = secrets.map(|secret| SecretMetadata { key: secret.key, last_updated_timestamp: secret.updated_at });
    Ok(Answer::json(&Secrets { secrets: shown.collect() }))
}

fn show(request: Request) -> Result<Answer, Problem> {
    let (scope, key) = (parameter(&request, "scope")?, parameter(&request, "key")?);
    request.concerns(&format!("{scope}/{key}"));
    if request.control.keeper.current().settings.readable_secrets {
        let value = Zeroizing::new(STANDARD.encode(request.control.store.secret(&request.caller, scope, key)?));
        return Ok(Answer::json(&SecretValue { key: key.into(), value: &value }));
    }
    let text = "reading secrets back is switched off; refer to one as {{secrets/scope/key}} where it is needed";
    Err(Problem::new(Reason::BadRequest, text))
}

fn put_acl(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(shape::<PutAcl>);
    let PutAcl { scope, principal, permission } = request.body(&SHAPE)?;
    request.concerns(&format!("{scope}/{principal}"));
    request.control.store.put_acl(&request.caller, &scope, &Acl { principal, permission })?;
    Ok(Answer::empty())
}

fn get_acl(request: Request) -> Result<Answer, Problem> {
    let (scope, principal) = (parameter(&request, "scope")?, parameter(&request, "principal")?);
    let mut entries = request.control.store.acls(&request.caller, scope)?;
    entries.retain(|entry| entry.principal == principal);
    Ok(Answer::json(entries.first().ok_or_else(|| no_entry(scope, principal))?))
}

fn list_acls(request: Request) -> Result<Answer, Problem> {
    let items = request.control.store.acls(&request.caller, parameter(&request, "scope")?)?;
    Ok(Answer::json(&Acls { items }))
}

fn delete_acl(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(shape::<AclName>);
    let asked: AclName = request.body(&SHAPE)?;
    request.concerns(&format!("{}/{}", asked.scope, asked.principal));
    request.control.store.delete_acl(&request.caller, &asked.scope, &asked.principal)?;
    Ok(Answer::empty())
}

fn shape<T: JsonSchema>() -> Shape {
    Shape::new(schema::of::<T>())
}

/// The next request is served with the values as they are now.
fn changed(request: &Request) -> Result<Answer, Problem> {
    request.control.plane.secrets_changed();
    Ok(Answer::empty())
}

fn parameter<'r>(request: &'r Request, name: &'static str) -> Result<&'r str, Refusal> {
    request.query(name).ok_or_else(|| invalid(format!("{name}: missing in the query string")).at(name))
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
