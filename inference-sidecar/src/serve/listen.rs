//! Where the engine listens.

use std::fmt;
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::error::EngineError;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `HOST:PORT`.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("unix: needs a path after it".into()),
            Some(path) => Ok(Listen::Unix(path.into())),
            None if text.contains(':') => Ok(Listen::Tcp(text.into())),
            None => Err("an address is HOST:PORT or unix:PATH".into()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => f.write_str(address),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The file of a Unix socket that this process has bound.
#[derive(Debug, Clone)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&path)?;
        Ok(SocketFile { path, identity })
    }

    /// Removes it, unless another process has put its own there. To be called while the socket still listens: nobody
    /// takes the file for a stale one until then.
    pub fn remove(&self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // Someone may have been quicker.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// An open socket.
pub enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Socket {
    /// Opens it. The file of a Unix socket that nobody answers on is replaced; the new one is for its owner alone.
    pub async fn open(listen: &Listen) -> Result<Self, EngineError> {
        let opened = match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Socket::Tcp),
            Listen::Unix(path) => open_unix(path.clone()),
        };
        opened.map_err(|source| EngineError::Listen { address: listen.to_string(), source })
    }

    /// The address, with the port that the system chose where it was to choose.
    pub fn address(&self) -> String {
        match self {
            Socket::Tcp(listener) => listener.local_addr().map(|address| address.to_string()).unwrap_or_default(),
            Socket::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    /// What listening has put into the file system.
    pub fn file(&self) -> Option<SocketFile> {
        match self {
            Socket::Tcp(_) => None,
            Socket::Unix(_, file) => Some(file.clone()),
        }
    }

    /// Serves until the sender of `closing` is gone and the open requests are answered.
    pub async fn serve(self, router: Router, mut closing: watch::Receiver<()>) -> io::Result<()> {
        let closed = async move { while closing.changed().await.is_ok() {} };
        match self {
            Socket::Tcp(listener) => {
                // Tokens are small and must not wait for each other.
                let listener = listener.tap_io(|stream| {
                    let _ = stream.set_nodelay(true);
                });
                axum::serve(listener, router).with_graceful_shutdown(closed).await
            }
            Socket::Unix(listener, _) => axum::serve(listener, router).with_graceful_shutdown(closed).await,
        }
    }
}

fn open_unix(path: PathBuf) -> io::Result<Socket> {
    if std::fs::symlink_metadata(&path).is_ok_and(|file| file.file_type().is_socket()) {
        match UnixStream::connect(&path).map_err(|error| (error.kind(), error)) {
            Ok(_) => return Err(io::Error::new(ErrorKind::AddrInUse, "another process answers on it")),
            Err((ErrorKind::ConnectionRefused, _)) => std::fs::remove_file(&path)?,
            Err((ErrorKind::NotFound, _)) => {}
            Err((_, error)) => return Err(error),
        }
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(Socket::Unix(listener, SocketFile::of(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for text in ["127.0.0.1:8000", "[::1]:0", "localhost:1", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<Listen>().expect("an address").to_string(), text);
        }
        for text in ["", "8000", "unix:"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_successors_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let listen = Listen::Unix(folder.path().join("engine.sock"));
        let old = Socket::open(&listen).await.expect("open");
        let old_file = old.file().expect("a file");
        std::fs::rename(folder.path().join("engine.sock"), folder.path().join("moved")).expect("renamed");
        let new_file = Socket::open(&listen).await.expect("open again").file().expect("a file");
        old_file.remove();
        assert!(new_file.path.exists());
        new_file.remove();
        assert!(!new_file.path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("precious");
        std::fs::write(&path, "data").expect("written");
        assert!(Socket::open(&Listen::Unix(path.clone())).await.is_err());
        assert_eq!(std::fs::read(&path).expect("still there"), b"data");
    }
}
