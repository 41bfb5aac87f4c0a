//! The yardstick: Pingora's own proxy with nothing added.
//!
//! `bare_pingora LISTEN UPSTREAM`: one thread, every request to one upstream, same allocator as the gateway's.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::prelude::{HttpPeer, Result, Server};
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct PassThrough {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else {
        eprintln!("usage: bare_pingora LISTEN UPSTREAM");
        return ExitCode::FAILURE;
    };
    let Ok(upstream) = upstream.parse() else {
        eprintln!("bare_pingora: {upstream} is not an address like 127.0.0.1:9000");
        return ExitCode::FAILURE;
    };
    let mut server = Server::new_with_opt_and_conf(None, ServerConf { threads: 1, ..ServerConf::default() });
    server.bootstrap();
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), PassThrough { upstream });
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever()
}
