//! `weirgate.yaml`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Findings, authentication};
use crate::{
    diagnostic::Pointer,
    document::{ByteSize, GatewaySpec, ListenerSpec, Span, TlsSpec},
    snapshot::{
        EngineSettings, JwtIssuer, KeepAlive, Limits, Listener, Operations, PrincipalSpec, Settings, TlsFiles,
        TokenEntry, UpstreamDefaults,
    },
};

const DEFAULT_LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What `weirgate.yaml` compiles to.
pub(crate) struct Gateway {
    pub settings: Settings,
    pub tokens: Vec<TokenEntry>,
    pub principals: Vec<PrincipalSpec>,
    pub issuers: Vec<JwtIssuer>,
}

pub(crate) fn gateway(spec: &GatewaySpec, folder: &Path, out: &mut Findings) -> Gateway {
    let root = Pointer::root();
    let (listeners, operations) = listeners(spec, &root, folder, out);
    spans_and_sizes(spec, &root, out);
    let (limits, upstreams) = (&spec.limits, &spec.upstreams);
    let settings = Settings {
        listeners,
        operations,
        threads: spec.threads as usize,
        limits: Limits {
            body: limits.body.0,
            control_body: limits.control_body.0,
            bodies_in_flight: limits.bodies_in_flight.0,
            head_timeout: limits.head_timeout.0,
            body_timeout: limits.body_timeout.0,
            write_timeout: limits.write_timeout.0,
        },
        keepalive: KeepAlive { idle: spec.keepalive.idle.0, max_requests: spec.keepalive.max_requests },
        upstreams: UpstreamDefaults {
            allow_private: upstreams.allow_private,
            connect: upstreams.connect.0,
            first_byte: upstreams.first_byte.0,
            gap: upstreams.gap.0,
            total: upstreams.total.0,
            idle: upstreams.idle.0,
            pool: upstreams.pool as usize,
        },
        grace: spec.shutdown.grace.0,
        engine: EngineSettings {
            command: spec.engine.command.as_deref().map(|command| program(command, folder)),
            threads: spec.engine.threads.map(|threads| threads as usize),
            deploy_timeout: spec.engine.deploy_timeout.0,
        },
        readable_secrets: spec.secrets.readable,
    };
    let at = root.key("authentication");
    let tokens = authentication::tokens(&spec.authentication.tokens, &at.key("tokens"), out);
    let principals = authentication::principals(&spec.authentication.principals, &at.key("principals"), out);
    let issuers = authentication::issuers(&spec.authentication.jwt, &at.key("jwt"), upstreams.allow_private, out);
    Gateway { settings, tokens, principals, issuers }
}

/// A bare name is looked for on the `PATH`; anything else is a path.
fn program(command: &str, folder: &Path) -> PathBuf {
    if command.contains(std::path::MAIN_SEPARATOR) { folder.join(command) } else { PathBuf::from(command) }
}

fn listeners(
    spec: &GatewaySpec,
    root: &Pointer,
    folder: &Path,
    out: &mut Findings,
) -> (Vec<Listener>, Option<Operations>) {
    let at = root.key("listeners");
    let mut taken: Vec<SocketAddr> = Vec::new();
    let mut list = Vec::new();
    match &spec.listeners {
        Some(specs) => {
            if specs.is_empty() {
                out.error(
                    &at,
                    "the list is empty; give at least one listener, for example `- address: \"127.0.0.1:8080\"`",
                );
            }
            for (index, spec) in specs.iter().enumerate() {
                list.extend(listener(spec, &at.index(index), folder, &mut taken, out));
            }
        }
        None => {
            taken.push(DEFAULT_LISTENER);
            list.push(Listener { address: DEFAULT_LISTENER, tls: None, h2c: true });
        }
    }
    let at = root.key("operations").key("address");
    let operations = spec.operations.as_ref().and_then(|spec| {
        let address = address(&spec.address, &at, &mut taken, out)?;
        Some(Operations { address, control_api: spec.control_api })
    });
    (list, operations)
}

fn listener(
    spec: &ListenerSpec,
    at: &Pointer,
    folder: &Path,
    taken: &mut Vec<SocketAddr>,
    out: &mut Findings,
) -> Option<Listener> {
    let address = address(&spec.address, &at.key("address"), taken, out);
    let tls = spec.tls.as_ref().map(|tls| tls_files(tls, &at.key("tls"), folder, out));
    Some(Listener { address: address?, tls, h2c: spec.h2c.unwrap_or(true) })
}

fn address(text: &str, at: &Pointer, taken: &mut Vec<SocketAddr>, out: &mut Findings) -> Option<SocketAddr> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        out.error(at, "not an address; expected IP:PORT, for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080");
        return None;
    };
    if let Some(other) = taken.iter().find(|other| collide(**other, address)) {
        out.error(at, format!("{address} is taken by the listener {other}; give each listener its own port"));
    }
    taken.push(address);
    Some(address)
}

/// Port 0 is chosen by the system and never collides.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || same_family && (a.ip().is_unspecified() || b.ip().is_unspecified()))
}

fn tls_files(spec: &TlsSpec, at: &Pointer, folder: &Path, out: &mut Findings) -> TlsFiles {
    let mut file = |key: &str, path: &str| {
        let full = folder.join(path);
        if !full.is_file() {
            out.error(&at.key(key), format!("there is no file `{path}` (relative to the config folder)"));
        }
        out.dependencies.file(&full);
        full
    };
    TlsFiles { cert: file("cert", &spec.cert), key: file("key", &spec.key) }
}

fn spans_and_sizes(spec: &GatewaySpec, root: &Pointer, out: &mut Findings) {
    let (limits, upstreams) = (&spec.limits, &spec.upstreams);
    let spans = [
        ("limits", "head_timeout", limits.head_timeout),
        ("limits", "body_timeout", limits.body_timeout),
        ("limits", "write_timeout", limits.write_timeout),
        ("upstreams", "connect", upstreams.connect),
        ("upstreams", "first_byte", upstreams.first_byte),
        ("upstreams", "gap", upstreams.gap),
        ("upstreams", "total", upstreams.total),
        ("engine", "deploy_timeout", spec.engine.deploy_timeout),
    ];
    for (block, key, _) in spans.iter().filter(|(_, _, span)| *span == Span(Duration::ZERO)) {
        out.error(&root.key(block).key(key), format!("`{key}` must be more than zero"));
    }
    let sizes =
        [("body", limits.body), ("control_body", limits.control_body), ("bodies_in_flight", limits.bodies_in_flight)];
    for (key, _) in sizes.iter().filter(|(_, size)| *size == ByteSize(0)) {
        out.error(&root.key("limits").key(key), format!("`{key}` must be more than zero"));
    }
    if limits.bodies_in_flight < limits.body.max(limits.control_body) {
        let message = format!(
            "`bodies_in_flight` {} is less than a single body may have ({})",
            limits.bodies_in_flight,
            limits.body.max(limits.control_body)
        );
        out.error(&root.key("limits").key("bodies_in_flight"), message);
    }
}
