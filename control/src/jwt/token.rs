//! A token in JWS compact serialisation, taken apart (RFC 7515 §7.1, RFC 7519 §7.2). Nothing in it is proven yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde_json::{Map, Value};
use weirgate_config::snapshot::JwtAlgorithm;

use super::Refused;

/// Bytes; nothing longer is looked at.
pub(super) const LONGEST_TOKEN: usize = 16 << 10;

/// The claims of a token by name.
pub(super) type Claims = Map<String, Value>;

pub(super) struct Token<'a> {
    pub algorithm: JwtAlgorithm,
    pub key_id: Option<String>,
    pub claims: Claims,
    /// What the signature is over.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

/// Keys named in the header itself (`jwk`, `jku`, `x5c`, `x5u`) are not looked at: whoever forges a token can name his own.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    pub fn parse(token: &'a [u8]) -> Result<Self, Refused> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused::Malformed);
        };
        let signed = token.get(..header.len() + 1 + payload.len()).ok_or(Refused::Malformed)?;
        let header: Header = json(header)?;
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        if !header.typ.as_deref().is_none_or(is_bearer_type) {
            return Err(Refused::Type);
        }
        // Names no algorithm but the asymmetric ones, so `none` and HMAC end here.
        let name: StrDeserializer<'_, Error> = header.alg.as_str().into_deserializer();
        let algorithm = JwtAlgorithm::deserialize(name).map_err(|_| Refused::Algorithm)?;
        Ok(Token { algorithm, key_id: header.kid, claims: json(payload)?, signed, signature: decode(signature)? })
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> Result<&str, Refused> {
        self.claims.get("iss").and_then(Value::as_str).ok_or(Refused::Claim("iss"))
    }
}

/// ID and access tokens; logout tokens, DPoP proofs and the like of the same issuer are signed by the same keys (RFC 8725 §3.11, RFC 9068).
fn is_bearer_type(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "at+jwt")
}

fn json<T: for<'de> Deserialize<'de>>(part: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Refused::Malformed)
}

/// Strict: no padding, and no second spelling of the same bytes.
fn decode(part: &[u8]) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)
}
