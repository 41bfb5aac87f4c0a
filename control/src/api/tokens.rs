//! Tokens: a caller's own, and those of all for administrators (contract §2.1).

use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_config::schema;
use weirgate_config::structure::Shape;
use weirgate_policy::identity::{ADMINS, Principal, PrincipalKind, Warrant};
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route};
use crate::store::tokens::Token;

const ALL: &str = "/api/2.0/token-management/tokens";

pub(super) fn routes() -> Vec<Route> {
    let on_behalf = "/api/2.0/token-management/on-behalf-of/tokens";
    vec![
        Route::new(Method::Post, "/api/2.0/token/create", "Makes a token of the caller's; it is shown once.", create)
            .audits("token.create")
            .takes::<CreateToken>()
            .answers::<CreatedToken>(),
        Route::new(Method::Get, "/api/2.0/token/list", "The caller's tokens made at run time.", list)
            .answers::<TokenInfos>(),
        Route::new(
            Method::Post,
            "/api/2.0/token/delete",
            "Deletes a token of the caller's; administrators: any.",
            delete,
        )
        .audits("token.delete")
        .takes::<TokenId>()
        .refuses(&[Reason::ResourceNotFound]),
        Route::new(
            Method::Post,
            on_behalf,
            "Makes a token of a service principal; it is shown once.",
            create_on_behalf,
        )
        .admin()
        .audits("token.create_on_behalf_of")
        .takes::<CreateOnBehalf>()
        .answers::<CreatedToken>(),
        Route::new(Method::Get, ALL, "Everybody's tokens made at run time.", list_all)
            .admin()
            .asks("created_by_username", false, "Only those that this principal made.")
            .answers::<TokenInfos>(),
        Route::new(Method::Delete, "/api/2.0/token-management/tokens/{token_id}", "Deletes a token.", delete_any)
            .admin()
            .audits("token.delete"),
    ]
}

/// The longest lifetime of a token that has one: a hundred years.
const MAX_LIFETIME: u64 = 100 * 365 * 24 * 3600;

/// What a new token is for, and for how long.
#[derive(Deserialize, JsonSchema)]
struct CreateToken {
    /// Free text.
    #[schemars(length(max = 1024))]
    comment: Option<String>,
    /// Seconds until it is not accepted any more. Default: never.
    #[schemars(range(min = 1, max = MAX_LIFETIME))]
    lifetime_seconds: Option<u64>,
}

/// A new token of a service principal.
#[derive(Deserialize, JsonSchema)]
struct CreateOnBehalf {
    /// The service principal; one that is not known yet is made.
    #[schemars(length(min = 1, max = 255))]
    application_id: String,
    /// Free text.
    #[schemars(length(max = 1024))]
    comment: Option<String>,
    /// Seconds until it is not accepted any more. Default: never.
    #[schemars(range(min = 1, max = MAX_LIFETIME))]
    lifetime_seconds: Option<u64>,
}

/// A token by its id.
#[derive(Deserialize, JsonSchema)]
struct TokenId {
    /// As in the list.
    token_id: String,
}

/// A token that was just made.
#[derive(Serialize, JsonSchema)]
struct CreatedToken {
    /// The token. It cannot be had again.
    token_value: String,
    /// What is kept of it.
    token_info: TokenInfo,
}

/// Tokens.
#[derive(Serialize, JsonSchema)]
struct TokenInfos {
    /// From the oldest to the youngest.
    token_infos: Vec<TokenInfo>,
}

/// What is known of a token. Times in milliseconds.
#[derive(Serialize, JsonSchema)]
struct TokenInfo {
    /// Names it in this API.
    token_id: String,
    /// When it was made.
    creation_time: u64,
    /// When it ends; -1 = never.
    expiry_time: i64,
    /// Free text.
    comment: String,
    /// Who made it.
    created_by_username: String,
    /// Whose it is: user name, or application id of a service principal.
    owner_username: String,
}

impl From<Token> for TokenInfo {
    fn from(token: Token) -> Self {
        TokenInfo {
            token_id: token.id,
            creation_time: token.created_at,
            expiry_time: token.expires_at.map_or(-1, |end| i64::try_from(end).unwrap_or(i64::MAX)),
            comment: token.comment,
            created_by_username: token.created_by,
            owner_username: token.name,
        }
    }
}

fn create(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::new(schema::of::<CreateToken>()));
    let asked: CreateToken = request.body(&SHAPE)?;
    let whose = request.caller.principal.clone();
    make(&request, &whose, request.caller.warrant, asked.comment, asked.lifetime_seconds)
}

fn create_on_behalf(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::new(schema::of::<CreateOnBehalf>()));
    let asked: CreateOnBehalf = request.body(&SHAPE)?;
    let kind = PrincipalKind::ServicePrincipal;
    let whose = Principal { kind, name: Arc::from(asked.application_id), groups: Vec::new(), admin: false };
    // The first target counts, and that of a success names the token too.
    let known = request.control.store.ensure_service_principal(&whose.name, &request.caller.principal.name);
    let made = known
        .map_err(Problem::from)
        .and_then(|_| make(&request, &whose, Warrant::default(), asked.comment, asked.lifetime_seconds));
    made.inspect_err(|_| request.concerns(&whose.name))
}

fn make(
    request: &Request,
    whose: &Principal,
    warrant: Warrant,
    comment: Option<String>,
    lifetime: Option<u64>,
) -> Result<Answer, Problem> {
    let (by, comment) = (&request.caller.principal.name, comment.unwrap_or_default());
    let (token_value, token) = request.control.store.mint_token(whose, warrant, by, &comment, lifetime)?;
    request.concerns(&format!("{}/{}", whose.name, token.id));
    request.control.plane.tokens_changed();
    Ok(Answer::json(&CreatedToken { token_value, token_info: token.into() }))
}

fn list(request: Request) -> Result<Answer, Problem> {
    let caller = &request.caller.principal;
    show(request.control.store.tokens_of(caller.kind, &caller.name)?)
}

fn list_all(request: Request) -> Result<Answer, Problem> {
    let mut tokens = request.control.store.tokens()?;
    if let Some(creator) = request.query("created_by_username") {
        tokens.retain(|token| token.created_by == creator);
    }
    show(tokens)
}

fn show(tokens: Vec<Token>) -> Result<Answer, Problem> {
    Ok(Answer::json(&TokenInfos { token_infos: tokens.into_iter().map(TokenInfo::from).collect() }))
}

fn delete(request: Request) -> Result<Answer, Problem> {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::new(schema::of::<TokenId>()));
    let asked: TokenId = request.body(&SHAPE)?;
    request.concerns(&asked.token_id);
    let caller = &request.caller.principal;
    let owner = (!caller.in_group(ADMINS)).then_some((caller.kind, &*caller.name));
    remove(&request, &asked.token_id, owner)
}

fn delete_any(request: Request) -> Result<Answer, Problem> {
    remove(&request, request.path("token_id"), None)
}

fn remove(request: &Request, id: &str, owner: Option<(PrincipalKind, &str)>) -> Result<Answer, Problem> {
    if !request.control.store.delete_token(id, owner)? {
        let text = "there is no such token made at run time; those of weirgate.yaml are removed there";
        return Err(Problem::new(Reason::ResourceNotFound, text));
    }
    request.control.plane.tokens_changed();
    Ok(Answer::empty())
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
