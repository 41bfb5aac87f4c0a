//! URLs of upstreams (product.md §4).

use url::{Host, Url};

use super::Findings;
use crate::{address::is_private, diagnostic::Pointer};

/// What a URL may hold beside scheme, host, port and path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: paths are appended to it. Trailing slashes are cut.
    Base,
    /// A query; the URL is kept as given.
    Whole,
}

/// Checks and parses an upstream's URL. Never quotes it: it may hold a password.
pub(crate) fn upstream_url(
    text: &str,
    form: Form,
    at: &Pointer,
    allow_private: bool,
    out: &mut Findings,
) -> Option<Url> {
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            out.error(at, format!("not a URL ({error}); expected the form https://host/path"));
            return None;
        }
    };
    let mut problems = Vec::new();
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        "http" => {
            problems.push("plain http is refused; use https, or set upstreams.allow_private: true in weirgate.yaml")
        }
        _ => problems.push("the scheme must be https or http"),
    }
    if !allow_private && url.host().is_none_or(|host| is_private_host(&host)) {
        problems.push("a loopback, private or link-local address is refused; set upstreams.allow_private: true in weirgate.yaml to allow it");
    }
    if !url.username().is_empty() || url.password().is_some() {
        problems.push("a user name or password in a URL is refused; give the credential in its own field");
    }
    if url.fragment().is_some() || (form == Form::Base && url.query().is_some()) {
        problems.push("a base URL ends with its path; remove what follows `?` or `#`");
    }
    for problem in &problems {
        out.error(at, *problem);
    }
    if form == Form::Base {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
    }
    problems.is_empty().then_some(url)
}

fn is_private_host(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => is_private((*address).into()),
        Host::Ipv6(address) => is_private((*address).into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name.is_empty() || name == "localhost" || name.ends_with(".localhost")
        }
    }
}
