//! AWS Signature Version 4, by AWS' own crate.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use crate::live::unix_now;

/// What signatures for `bedrock-runtime` call the service.
const SERVICE: &str = "bedrock";

/// Signs requests with one pair of keys, for one region.
pub struct Signer {
    credentials: Credentials,
    region: String,
}

impl Signer {
    /// Of a pair of keys.
    pub fn new(access_key_id: String, secret_access_key: String, region: &str) -> Self {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "weirgate");
        Signer { credentials, region: region.to_owned() }
    }

    /// The headers that sign a POST of this body to this URL. They cover method, URL, host, time and body.
    pub fn sign(&self, url: &str, body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
        self.sign_at(url, body, unix_now())
    }

    #[allow(clippy::disallowed_types)] // as the crate takes the time
    fn sign_at(&self, url: &str, body: &[u8], now: u64) -> Result<Vec<(String, String)>, Refusal> {
        // The reason could quote the URL; it is of no use to a client.
        let refuse = || Refusal::new(Reason::Internal, "the request to Amazon Bedrock cannot be signed");
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(now))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| refuse())?
            .into();
        let request = SignableRequest::new("POST", url, std::iter::empty(), SignableBody::Bytes(body));
        let signed = sign(request.map_err(|_| refuse())?, &params).map_err(|_| refuse())?;
        let (instructions, _) = signed.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
