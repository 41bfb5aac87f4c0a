//! Who may call: tokens, principals and issuers of `weirgate.yaml`.

use std::time::Duration;

use super::{
    Findings,
    base_url::{Form, upstream_url},
};
use crate::{
    diagnostic::Pointer,
    document::{JwtIssuerSpec, KnownPrincipalSpec, Span, TokenSpec},
    snapshot::{JwtAlgorithm, JwtIssuer, PrincipalKind, PrincipalSpec, TokenEntry},
};

const LONGEST_LEEWAY: Span = Span::seconds(600);

pub(super) fn tokens(list: &[TokenSpec], at: &Pointer, out: &mut Findings) -> Vec<TokenEntry> {
    let mut tokens: Vec<TokenEntry> = Vec::new();
    for (index, spec) in list.iter().enumerate() {
        let at = at.index(index);
        let Some(token) = token(spec, &at, out) else { continue };
        if tokens.iter().any(|earlier| earlier.sha256 == token.sha256) {
            out.error(&at.key("sha256"), "the same token is listed above already; keep one");
        }
        tokens.push(token);
    }
    tokens
}

fn token(spec: &TokenSpec, at: &Pointer, out: &mut Findings) -> Option<TokenEntry> {
    let principal = principal(&spec.user, &spec.service_principal, &spec.groups, spec.admin, at, out);
    let mut sha256 = [0; 32];
    let decoded = hex::decode_to_slice(&spec.sha256, &mut sha256);
    let expires_at = match &spec.expires {
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Some(u64::try_from(time.as_second()).unwrap_or(0)),
            Err(_) => {
                out.error(&at.key("expires"), "not a time; expected RFC 3339, for example 2027-01-31T00:00:00Z");
                return None;
            }
        },
        None => None,
    };
    decoded.ok()?;
    Some(TokenEntry { sha256, principal: principal?, expires_at })
}

fn principal(
    user: &Option<String>,
    service_principal: &Option<String>,
    groups: &[String],
    admin: bool,
    at: &Pointer,
    out: &mut Findings,
) -> Option<PrincipalSpec> {
    let names = vec![("user", user.as_deref()), ("service_principal", service_principal.as_deref())];
    let (key, name) = out.exactly_one(at, names)?;
    let kind = if key == "user" { PrincipalKind::User } else { PrincipalKind::ServicePrincipal };
    let groups = groups.iter().map(|group| group.as_str().into()).collect();
    Some(PrincipalSpec { kind, name: name.into(), groups, admin })
}

pub(super) fn principals(list: &[KnownPrincipalSpec], at: &Pointer, out: &mut Findings) -> Vec<PrincipalSpec> {
    let mut principals: Vec<PrincipalSpec> = Vec::new();
    for (index, spec) in list.iter().enumerate() {
        let at = at.index(index);
        let found = principal(&spec.user, &spec.service_principal, &spec.groups, spec.admin, &at, out);
        let Some(principal) = found else { continue };
        if principals.iter().any(|earlier| (earlier.kind, &earlier.name) == (principal.kind, &principal.name)) {
            out.error(&at, format!("`{}` is listed above already; keep one entry per principal", principal.name));
        }
        principals.push(principal);
    }
    principals
}

pub(super) fn issuers(list: &[JwtIssuerSpec], at: &Pointer, allow_private: bool, out: &mut Findings) -> Vec<JwtIssuer> {
    let mut issuers: Vec<JwtIssuer> = Vec::new();
    for (index, spec) in list.iter().enumerate() {
        let at = at.index(index);
        if issuers.iter().any(|earlier| earlier.issuer == spec.issuer) {
            out.error(&at.key("issuer"), "this issuer is listed above already; put its audiences into one entry");
        }
        if list.len() > 1 && spec.user_prefix.is_none() {
            let text =
                "one of several issuers: whom it calls by the name of another's user is that user; set `user_prefix`";
            out.warning(&at, text);
        }
        issuers.extend(issuer(spec, &at, allow_private, out));
    }
    issuers
}

fn issuer(spec: &JwtIssuerSpec, at: &Pointer, allow_private: bool, out: &mut Findings) -> Option<JwtIssuer> {
    for (index, _) in spec.audiences.iter().enumerate().filter(|(_, audience)| audience.trim().is_empty()) {
        out.error(&at.key("audiences").index(index), "an audience is empty; name who the tokens are made for");
    }
    if !spec.groups.is_empty() && spec.groups_claim.is_none() {
        out.error_on_key(&at.key("groups"), "`groups` translates what `groups_claim` brings; name that claim too");
    }
    let leeway = spec.leeway.unwrap_or(Span::seconds(60));
    if leeway > LONGEST_LEEWAY {
        out.error(&at.key("leeway"), format!("`leeway` is {leeway}; at most {LONGEST_LEEWAY} is allowed"));
    }
    let mut url = |key: &str, text: &str, form: Form| upstream_url(text, form, &at.key(key), allow_private, out);
    let jwks_url = match &spec.jwks_url {
        Some(text) => Some(url("jwks_url", text, Form::Whole)?),
        // The keys are looked for below the issuer then.
        None => {
            url("issuer", &spec.issuer, Form::Base)?;
            None
        }
    };
    Some(JwtIssuer {
        issuer: spec.issuer.clone(),
        audiences: spec.audiences.clone(),
        jwks_url,
        algorithms: spec.algorithms.clone().unwrap_or_else(|| vec![JwtAlgorithm::RS256, JwtAlgorithm::ES256]),
        user_claim: spec.user_claim.clone().unwrap_or_else(|| "sub".to_owned()),
        user_prefix: spec.user_prefix.clone().unwrap_or_default(),
        service_principal_claim: spec.service_principal_claim.clone(),
        groups_claim: spec.groups_claim.clone(),
        groups: spec.groups.iter().map(|(theirs, ours)| (theirs.clone(), ours.as_str().into())).collect(),
        leeway: Duration::min(leeway.0, LONGEST_LEEWAY.0),
    })
}
