//! Where an upstream lives: a host name that is resolved off the request threads, or a unix socket.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use pingora_core::upstreams::peer::HttpPeer;
use url::Url;
use weirgate_config::address::is_private;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use super::Timeouts;
use crate::error::ProxyError;

/// An upstream's address with the peers that it resolves to now. Shared by all entities that name the same place.
pub struct Address {
    /// `scheme://host:port`, or `unix:PATH`.
    pub label: String,
    /// Host name and port to resolve; `None` for a unix socket, whose peer is fixed.
    name: Option<Name>,
    allow_private: bool,
    timeouts: Timeouts,
    resolved: ArcSwap<Resolved>,
    next: AtomicUsize,
}

struct Name {
    host: String,
    port: u16,
    tls: bool,
}

#[derive(Default)]
struct Resolved {
    peers: Vec<Arc<HttpPeer>>,
    failure: Option<String>,
}

impl Address {
    /// The place that a base URL names. The host is resolved later, by [`Address::refresh`].
    pub fn of_url(url: &Url, allow_private: bool, timeouts: Timeouts) -> Result<Self, ProxyError> {
        let wrong = || ProxyError::Upstream { url: url.to_string() };
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        // Brackets around an IPv6 literal are part of the URL, not of the address.
        let host = url.host_str().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or_else(wrong)?;
        Ok(Address {
            label: format!("{}://{host}:{port}", url.scheme()),
            name: Some(Name { host, port, tls }),
            allow_private,
            timeouts,
            resolved: ArcSwap::default(),
            next: AtomicUsize::new(0),
        })
    }

    /// A unix socket on this machine.
    pub fn of_socket(path: &Path, timeouts: Timeouts) -> Result<Self, ProxyError> {
        let label = format!("unix:{}", path.display());
        let mut peer = HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())
            .map_err(|e| ProxyError::Socket { path: path.into(), why: e.to_string() })?;
        timeouts.apply(&mut peer);
        Ok(Address {
            label,
            name: None,
            allow_private: true,
            timeouts,
            resolved: ArcSwap::from_pointee(Resolved { peers: vec![Arc::new(peer)], failure: None }),
            next: AtomicUsize::new(0),
        })
    }

    /// Whether the address needs resolving at all, and nobody has tried yet.
    pub fn is_new(&self) -> bool {
        let resolved = self.resolved.load();
        resolved.peers.is_empty() && resolved.failure.is_none()
    }

    /// The peers to try in turn, beginning with another one at each call.
    pub fn peers(&self) -> Result<Turn, Refusal> {
        let resolved = self.resolved.load_full();
        if resolved.peers.is_empty() {
            let why = resolved.failure.as_deref().unwrap_or("its name is still being looked up");
            return Err(Refusal::new(Reason::UpstreamUnresolved, format!("{}: {why}", self.label)));
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Turn { resolved, start, taken: 0 })
    }

    /// Looks the name up. A failed lookup keeps the addresses that were good before.
    pub async fn refresh(&self) {
        let Some(name) = &self.name else { return };
        let found = tokio::net::lookup_host((name.host.as_str(), name.port)).await;
        let before = self.resolved.load_full();
        let after = match found {
            Ok(addresses) => self.allowed(name, addresses.collect(), &before),
            Err(e) => {
                Resolved { peers: before.peers.clone(), failure: Some(format!("its name does not resolve: {e}")) }
            }
        };
        self.resolved.store(Arc::new(after));
    }

    /// Checked on the resolved address, so that no name can lead to a private one (SSRF, DNS rebinding).
    fn allowed(&self, name: &Name, addresses: Vec<SocketAddr>, before: &Resolved) -> Resolved {
        let mut peers = Vec::with_capacity(addresses.len());
        for address in addresses {
            if !self.allow_private && is_private(address.ip()) {
                continue;
            }
            let kept = before.peers.iter().find(|peer| peer._address.as_inet() == Some(&address));
            peers.push(kept.cloned().unwrap_or_else(|| {
                let mut peer = HttpPeer::new(address, name.tls, name.host.clone());
                self.timeouts.apply(&mut peer);
                Arc::new(peer)
            }));
        }
        let failure = peers.is_empty().then(|| {
            "it has only private addresses, which are refused unless upstreams.allow_private is true".to_owned()
        });
        Resolved { peers, failure }
    }
}

/// The peers of one attempt, each once, at most [`Turn::MOST`].
pub struct Turn {
    resolved: Arc<Resolved>,
    start: usize,
    taken: usize,
}

impl Turn {
    /// Addresses tried for one request: each may cost a whole connect timeout.
    const MOST: usize = 3;
}

impl Iterator for Turn {
    type Item = Arc<HttpPeer>;

    fn next(&mut self) -> Option<Self::Item> {
        let peers = &self.resolved.peers;
        if self.taken >= peers.len().min(Self::MOST) {
            return None;
        }
        let peer = peers.get((self.start.wrapping_add(self.taken)) % peers.len()).cloned();
        self.taken += 1;
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused_unless_allowed() {
        let url: Url = "http://localhost:1/v1".parse().unwrap();
        let address = Address::of_url(&url, false, Timeouts::default()).unwrap();
        assert!(address.peers().is_err(), "nothing before the first lookup");
        address.refresh().await;
        let refusal = address.peers().err().unwrap();
        assert!(refusal.message.contains("allow_private"), "{}", refusal.message);
        let address = Address::of_url(&url, true, Timeouts::default()).unwrap();
        address.refresh().await;
        assert!(address.peers().unwrap().count() >= 1);
    }
}
