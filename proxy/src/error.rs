//! The crate's one error type: what can stop the gateway from starting or an upstream from being set up. What happens
//! to requests is a `Refusal`, not an error of the program.

use std::path::PathBuf;

/// Why the gateway cannot start, or cannot set something up.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The config folder does not validate.
    #[error("{0}")]
    Config(String),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] weirgate_control::ControlError),
    /// An upstream URL of a kind that cannot be called.
    #[error("upstream {url} is not an http(s) URL with a host")]
    Upstream {
        /// As written in the config.
        url: String,
    },
    /// A unix socket that cannot be used.
    #[error("socket {path}: {why}; choose a shorter --state path")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A certificate or key that cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// A listener's address that is taken or not ours.
    #[error(
        "cannot listen on {address}: {source}; is another gateway running, or does the address belong to another machine?"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Anything else the system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}
