//! An issuer's public keys (RFC 7517), and which signatures they verify (RFC 7518 §3, RFC 8037 §3.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;
use weirgate_config::snapshot::JwtAlgorithm;

use super::Refused;
use super::token::Token;

const MOST_KEYS: usize = 100;
/// Bytes of an RSA modulus: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    /// The only algorithm that the key is for, if it says so.
    algorithm: Option<JwtAlgorithm>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, big-endian, no leading zeros.
    Rsa(Vec<u8>, Vec<u8>),
    /// Uncompressed point (SEC 1 §2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<JwtAlgorithm>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// From a JWK set. Keys that are of another kind or for another purpose are left out, as RFC 7517 §5 asks.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_slice(body).map_err(|e| format!("the answer is no JWK set: {e}"))?;
        if set.keys.len() > MOST_KEYS {
            return Err(format!("the set has {} keys, more than {MOST_KEYS}", set.keys.len()));
        }
        Ok(KeySet { keys: set.keys.into_iter().filter_map(Key::new).collect() })
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether a token that names this key, or none, can be judged with this set.
    pub fn knows(&self, id: Option<&str>) -> bool {
        match id {
            Some(id) => self.keys.iter().any(|key| key.id.as_deref() == Some(id)),
            None => !self.keys.is_empty(),
        }
    }

    /// Checks a token's signature with the key that it names. A token that names none is only accepted where one key can be meant
    /// (OpenID Connect Core §10.1).
    pub fn verify(&self, token: &Token<'_>) -> Result<(), Refused> {
        let fitting = || self.keys.iter().filter(|key| key.fits(token.algorithm));
        let good = match token.key_id.as_deref() {
            Some(id) => fitting().filter(|key| key.id.as_deref() == Some(id)).any(|key| key.verifies(token)),
            None => {
                let mut keys = fitting();
                matches!((keys.next(), keys.next()), (Some(only), None) if only.verifies(token))
            }
        };
        good.then_some(()).ok_or(Refused::Signature)
    }
}

impl Key {
    fn new(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(jwk.n)?, number(jwk.e)?);
                MODULUS.contains(&n.len()).then_some(Material::Rsa(n, e))?
            }
            ("EC", Some("P-256")) => Material::P256(point(jwk.x, jwk.y, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(jwk.x, jwk.y, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(jwk.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        signs.then_some(Key { id: jwk.kid, algorithm: jwk.alg, material })
    }

    /// Whether the key is of the algorithm's kind. The token's word is never enough to choose how a key is used.
    fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm::*;
        let kind_fits = match self.material {
            Material::Rsa(..) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Material::P256(_) => algorithm == ES256,
            Material::P384(_) => algorithm == ES384,
            Material::Ed25519(_) => algorithm == EdDSA,
        };
        kind_fits && self.algorithm.is_none_or(|only| only == algorithm)
    }

    fn verifies(&self, token: &Token<'_>) -> bool {
        let with = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(token.signed, &token.signature).is_ok()
        };
        match &self.material {
            Material::Rsa(n, e) => rsa(token.algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, token.signed, &token.signature).is_ok()
            }),
            Material::P256(key) => with(&ECDSA_P256_SHA256_FIXED, key),
            Material::P384(key) => with(&ECDSA_P384_SHA384_FIXED, key),
            Material::Ed25519(key) => with(&ED25519, key),
        }
    }
}

fn rsa(algorithm: JwtAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        JwtAlgorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        JwtAlgorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        JwtAlgorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        JwtAlgorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        JwtAlgorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        JwtAlgorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        JwtAlgorithm::ES256 | JwtAlgorithm::ES384 | JwtAlgorithm::EdDSA => None,
    }
}

fn bytes(text: Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

/// A big-endian number; some writers put a zero byte before it.
fn number(text: Option<String>) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(start..).map(<[u8]>::to_vec)
}

/// Both coordinates have the curve's full size (RFC 7518 §6.2.1.2).
fn point(x: Option<String>, y: Option<String>, size: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(x)?, bytes(y)?);
    (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
}
