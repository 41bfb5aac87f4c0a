//! Certificates of the public listeners. A changed file is in use after the next reload, with no connection lost.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora_core::listeners::tls::TlsSettings;
use pingora_rustls::sign::CertifiedKey;
use pingora_rustls::{ClientHello, CryptoProvider, ResolvesServerCert, load_certs_and_key_files};
use weirgate_config::snapshot::TlsFiles;

use crate::error::ProxyError;

/// The certificate of one listener.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads chain and key.
    pub fn load(files: &TlsFiles) -> Result<Self, ProxyError> {
        Ok(Certificate { files: files.clone(), current: ArcSwap::from_pointee(read(files)?) })
    }

    /// Reads the files again; a certificate that cannot be used leaves the old one in place.
    pub fn reload(&self) {
        match read(&self.files) {
            Ok(key) => self.current.store(Arc::new(key)),
            Err(e) => log::error!("{e}; the certificate read before stays in use"),
        }
    }

    /// Settings of a listener with this certificate, HTTP/2 and HTTP/1.1 by ALPN.
    pub fn settings(self: &Arc<Self>) -> Result<TlsSettings, ProxyError> {
        let path = |path: &Path| path.display().to_string();
        let mut settings = TlsSettings::intermediate(&path(&self.files.cert), &path(&self.files.key))
            .map_err(|e| ProxyError::Tls(e.to_string()))?;
        settings.set_cert_resolver(self.clone());
        settings.enable_h2();
        Ok(settings)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, ProxyError> {
    let (cert, key) = (files.cert.display().to_string(), files.key.display().to_string());
    let unusable = |why: String| ProxyError::Tls(format!("certificate {cert} with key {key}: {why}"));
    let loaded = load_certs_and_key_files(&cert, &key).map_err(|e| unusable(e.to_string()))?;
    let (chain, key) = loaded.ok_or_else(|| unusable("no certificate or no key found in the PEM files".into()))?;
    let provider = CryptoProvider::get_default().ok_or_else(|| unusable("no crypto provider".into()))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| unusable(e.to_string()))?;
    key.keys_match().map_err(|e| unusable(e.to_string()))?;
    Ok(key)
}
