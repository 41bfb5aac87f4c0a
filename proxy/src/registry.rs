//! State that outlives a reload, keyed by what it belongs to.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;
use weirgate_config::snapshot::{Settings, UpstreamDefaults};

use crate::engines::Engines;
use crate::error::ProxyError;
use crate::metrics::Metrics;
use crate::upstream::address::Address;
use crate::upstream::token::Tokens;
use crate::upstream::{Place, Timeouts};

/// Addresses, access tokens, engines and metrics.
pub struct Registries {
    addresses: Mutex<HashMap<String, Arc<Address>>>,
    /// Upstreams' access tokens.
    pub tokens: Tokens,
    /// Local models' engines.
    pub engines: Engines,
    /// Counters and histograms.
    pub metrics: Metrics,
}

impl Registries {
    /// `state` = the gateway's state folder.
    pub fn new(settings: &Settings, state: &Path) -> Result<Self, ProxyError> {
        Ok(Registries {
            addresses: Mutex::default(),
            tokens: Tokens::default(),
            engines: Engines::new(&state.join("engines"), settings.engine.clone())?,
            metrics: Metrics::new()?,
        })
    }

    /// The address behind a URL, shared by all that name the same place under the same rules.
    pub fn address_of_url(&self, url: &Url, settings: &UpstreamDefaults) -> Result<Arc<Address>, ProxyError> {
        let fresh = Address::of_url(url, settings.allow_private, Timeouts::from(settings))?;
        let key = format!("{} {} {:?}", fresh.label, settings.allow_private, Timeouts::from(settings));
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.entry(key).or_insert_with(|| Arc::new(fresh)).clone())
    }

    /// The same, with the deadlines of the configuration.
    pub fn place_of_url(&self, url: &Url, settings: &UpstreamDefaults) -> Result<Place, ProxyError> {
        Ok(Place { address: self.address_of_url(url, settings)?, timeouts: Timeouts::from(settings) })
    }

    /// All addresses, for the resolver.
    pub fn addresses(&self) -> Vec<Arc<Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets what the present configuration does not use; requests in flight keep their own reference.
    pub fn keep_addresses<'a>(&self, used: impl Iterator<Item = &'a Arc<Address>>) {
        let used: HashSet<_> = used.map(Arc::as_ptr).collect();
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, a| used.contains(&Arc::as_ptr(a)));
    }
}
