//! A new connection: HTTP/2 or HTTP/1.1?

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use pingora_timeout::timeout;

use crate::app::App;
use crate::live::Live;

/// How HTTP/2 with prior knowledge begins (RFC 9113 §3.4); its first four bytes are no HTTP/1 method.
const PREFACE: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const PREFACE_START: [u8; 4] = *b"PRI ";

/// Accepts connections of one service.
///
/// Pingora's own look for the preface waits without a limit for 24 bytes; a client that sends fewer would hold the
/// connection for ever. Here the look has the head's deadline.
pub struct Edge {
    live: Arc<Live>,
    h1: Arc<App>,
    h2c: Option<Arc<App>>,
}

impl Edge {
    /// `router` = the control API; `h2c` = HTTP/2 without TLS is accepted too.
    pub fn new(live: Arc<Live>, router: &Router, h2c: bool) -> Self {
        let app = |h2c| Arc::new(App::new(live.clone(), router.clone(), h2c));
        Edge { h1: app(false), h2c: h2c.then(|| app(true)), live }
    }

    /// `None` when the client sends nothing in time.
    async fn begins_with_preface(&self, stream: &mut Stream) -> Option<bool> {
        let patience = self.live.table().settings.limits.head_timeout;
        let look = async {
            let mut start = [0; PREFACE_START.len()];
            if !stream.try_peek(&mut start).await.ok()? || start != PREFACE_START {
                return Some(false);
            }
            stream.try_peek(&mut [0; PREFACE]).await.ok()
        };
        timeout(patience, look).await.ok()?
    }
}

#[async_trait]
impl ServerApp for Edge {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // With TLS the version was agreed by ALPN.
        if let Some(h2c) = &self.h2c
            && stream.get_ssl_digest().is_none()
            && self.begins_with_preface(&mut stream).await?
        {
            return h2c.process_new(stream, shutdown).await;
        }
        self.h1.process_new(stream, shutdown).await
    }
}
