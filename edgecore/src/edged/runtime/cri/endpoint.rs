//! `containerRuntimeEndpoint` and `imageServiceEndpoint`: where CRI is served.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A Unix socket, written `unix:///run/containerd/containerd.sock` (a bare absolute path is accepted too).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketEndpoint {
    path: PathBuf,
}

/// Not an endpoint that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CRI endpoint: expected unix:///path/to/the.sock")]
pub struct EndpointError(String);

impl SocketEndpoint {
    /// Path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FromStr for SocketEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).unwrap_or(text);
        if !path.starts_with('/') || path.contains('\0') {
            return Err(EndpointError(text.to_owned()));
        }
        Ok(Self { path: PathBuf::from(path) })
    }
}

impl fmt::Display for SocketEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_are_read() {
        for text in ["unix:///run/c.sock", "unix:/run/c.sock", "/run/c.sock"] {
            assert_eq!(text.parse::<SocketEndpoint>().unwrap().to_string(), "unix:///run/c.sock");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in ["", "tcp://127.0.0.1:1", "run/c.sock", "unix://run/c.sock", "npipe:////./pipe/c"] {
            let error = text.parse::<SocketEndpoint>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
