//! What is said to a token endpoint to get an access token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use url::form_urlencoded::Serializer;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use zeroize::Zeroizing;

/// Where Microsoft's sign-in is, unless [`AUTHORITY`] says otherwise.
const ENTRA: &str = "https://login.microsoftonline.com";
/// The environment variable by which Microsoft's own libraries are told of another sign-in host.
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
/// What an Azure OpenAI token is for.
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Where Google's token endpoint is, unless the service account says otherwise.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";
/// What a Vertex AI token is for.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long Google is asked to accept the assertion, in seconds: the most that it allows.
const ASSERTION_LIFE: u64 = 3600;

/// A way to ask for an access token.
pub enum Grant {
    /// Client credentials (RFC 6749 §4.4).
    Client {
        /// Application.
        id: String,
        /// Its secret.
        secret: Zeroizing<String>,
    },
    /// A signed assertion of a service account (RFC 7523 §2.1).
    Account(Box<Account>),
}

/// A Google service account.
pub struct Account {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
}

/// A service account's key file, as Google issues it.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// Where an Entra tenant gives out tokens.
pub fn entra_url(tenant: &str) -> Result<Url, Refusal> {
    let authority = std::env::var(AUTHORITY).unwrap_or_else(|_| ENTRA.to_owned());
    let wrong = || Refusal::new(Reason::Internal, format!("{AUTHORITY} is not a URL such as {ENTRA}"));
    let base = Url::parse(&authority).map_err(|_| wrong())?;
    let tenant = weirgate_translate::pair::segment(tenant);
    Ok(super::provider::join(&base, &format!("{tenant}/oauth2/v2.0/token")))
}

/// A service account and where it gets its tokens, from its key file or from a bare PEM and its e-mail.
pub fn service_account(key: &str, email: Option<&str>) -> Result<(Grant, Url), Refusal> {
    let wrong = |what: &str| {
        let text = format!("private_key {what}; give the service account's JSON, or its PEM with client_email");
        Refusal::new(Reason::SecretMissing, text)
    };
    let file = if key.trim_start().starts_with('{') {
        serde_json::from_str(key).map_err(|_| wrong("is JSON without client_email and private_key"))?
    } else {
        KeyFile {
            client_email: email.ok_or_else(|| wrong("is a bare PEM without client_email beside it"))?.to_owned(),
            private_key: key.to_owned(),
            private_key_id: None,
            token_uri: None,
        }
    };
    let url = Url::parse(file.token_uri.as_deref().unwrap_or(GOOGLE)).map_err(|_| wrong("has a bad token_uri"))?;
    let pem = Zeroizing::new(file.private_key);
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong("holds no PEM"))?;
    let key = match &der {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(wrong("holds no RSA key")),
    };
    let key = key.map_err(|_| wrong("holds no usable RSA key"))?;
    let account = Account { email: file.client_email, key_id: file.private_key_id, key };
    Ok((Grant::Account(Box::new(account)), url))
}

impl Grant {
    /// The form to post to the token endpoint at `url`; `now` in Unix seconds.
    pub fn form(&self, url: &Url, now: u64) -> Result<String, Refusal> {
        let mut form = Serializer::new(String::new());
        match self {
            Grant::Client { id, secret } => form
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", id)
                .append_pair("client_secret", secret)
                .append_pair("scope", AZURE_SCOPE),
            Grant::Account(account) => form
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", &account.assertion(url, now)?),
        };
        Ok(form.finish())
    }
}

impl Account {
    /// The signed claim to be this account (Google's "OAuth 2.0 for server to server applications").
    fn assertion(&self, audience: &Url, now: u64) -> Result<String, Refusal> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email,
            "scope": GOOGLE_SCOPE,
            "aud": audience.as_str(),
            "iat": now,
            "exp": now + ASSERTION_LIFE,
        });
        let encode = |part: String| URL_SAFE_NO_PAD.encode(part);
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Refusal::new(Reason::Internal, "the service account's assertion cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_key_panics_or_is_repeated(key in "(\\{\"client_email\": \"a\", \"private_key\": \")?(-----BEGIN (RSA )?PRIVATE KEY-----)?[ -~\\n]{0,80}") {
            let Err(refusal) = service_account(&key, Some("a@b")) else { return Ok(()) };
            prop_assert_eq!(refusal.reason, Reason::SecretMissing);
            prop_assert!(key.len() < 40 || !refusal.message.contains(&key));
        }
    }

    #[test]
    fn a_tenant_cannot_lead_to_another_path() {
        assert_eq!(
            entra_url("../x?y").map(|url| url.path().to_owned()),
            Ok("/..%2Fx%3Fy/oauth2/v2.0/token".to_owned())
        );
    }
}
