//! From claims to a principal: whether they hold now, here and for whom (RFC 7519 §4.1).

use std::sync::Arc;

use serde_json::Value;
use weirgate_config::snapshot::JwtIssuer;
use weirgate_policy::identity::{ADMINS, Credential, EVERYONE, Principal, PrincipalKind};

use super::Refused;
use super::token::Claims;

const MOST_GROUPS: usize = 200;
/// Characters of a user's or a group's name.
const LONGEST_NAME: usize = 255;
/// How far in the future a token may have been issued, in seconds beyond the leeway. Only a nonsensical time is refused: `nbf` is the
/// claim that says from when on a token holds.
const FARTHEST_ISSUE: u64 = 300;

/// Checks all claims but `iss`.
pub(super) fn credential(claims: &Claims, config: &JwtIssuer, now: u64) -> Result<Credential, Refused> {
    let leeway = config.leeway.as_secs();
    let expiry = time(claims, "exp")?.ok_or(Refused::Claim("exp"))?.saturating_add(leeway);
    if now >= expiry {
        return Err(Refused::Expired);
    }
    let latest = now.saturating_add(leeway);
    if time(claims, "nbf")?.is_some_and(|from| from > latest)
        || time(claims, "iat")?.is_some_and(|issued| issued > latest.saturating_add(FARTHEST_ISSUE))
    {
        return Err(Refused::NotYet);
    }
    let is_ours = |audience: &str| config.audiences.iter().any(|ours| ours == audience);
    let for_us = match claim(claims, "aud") {
        Some(Value::String(audience)) => is_ours(audience),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(is_ours),
        _ => return Err(Refused::Claim("aud")),
    };
    if !for_us {
        return Err(Refused::Audience);
    }
    let (kind, name) = subject(claims, config)?;
    let groups = groups(claims, config)?;
    let admin = groups.iter().any(|group| &**group == ADMINS);
    Ok(Credential { principal: Arc::new(Principal { kind, name, groups, admin }), expires_at: Some(expiry) })
}

/// A claim that is there; `null` says as much as an absent one.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

/// A NumericDate in whole Unix seconds: it may have a fraction (RFC 7519 §2).
fn time(claims: &Claims, name: &'static str) -> Result<Option<u64>, Refused> {
    let Some(value) = claim(claims, name) else { return Ok(None) };
    let seconds = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?;
        (0.0..1e15).contains(&seconds).then_some(seconds as u64)
    });
    seconds.map(Some).ok_or(Refused::Claim(name))
}

fn subject(claims: &Claims, config: &JwtIssuer) -> Result<(PrincipalKind, Arc<str>), Refused> {
    let named = |name: &str| Arc::from(format!("{}{name}", config.user_prefix));
    if let Some(value) = claim(claims, &config.user_claim) {
        let name = value.as_str().and_then(usable_name).ok_or(Refused::Claim("of the user"))?;
        return Ok((PrincipalKind::User, named(name)));
    }
    let value = config.service_principal_claim.as_ref().and_then(|name| claim(claims, name)).ok_or(Refused::Nobody)?;
    let name = value.as_str().and_then(usable_name).ok_or(Refused::Claim("of the service principal"))?;
    Ok((PrincipalKind::ServicePrincipal, named(name)))
}

fn groups(claims: &Claims, config: &JwtIssuer) -> Result<Vec<Arc<str>>, Refused> {
    const MALFORMED: Refused = Refused::Claim("of groups");
    let Some(value) = config.groups_claim.as_ref().and_then(|name| claim(claims, name)) else { return Ok(Vec::new()) };
    let names: Vec<&str> = match value {
        Value::String(list) => list.split_ascii_whitespace().collect(),
        Value::Array(list) => list.iter().map(|name| name.as_str().ok_or(MALFORMED)).collect::<Result<_, _>>()?,
        _ => return Err(MALFORMED),
    };
    if names.len() > MOST_GROUPS || names.iter().any(|name| usable_name(name).is_none()) {
        return Err(MALFORMED);
    }
    let mut groups: Vec<Arc<str>> = Vec::with_capacity(names.len());
    for name in names {
        let ours = match config.groups.get(name) {
            Some(ours) => Some(ours.clone()),
            // An administrator is made by an entry alone: who may name a group there need not be trusted that far.
            None if config.groups.is_empty() && name != ADMINS => Some(name.into()),
            None => None,
        };
        // Everybody is in that one anyway.
        groups.extend(ours.filter(|group| &**group != EVERYONE && !groups.contains(group)));
    }
    Ok(groups)
}

fn usable_name(name: &str) -> Option<&str> {
    let usable = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    usable.then_some(name)
}
