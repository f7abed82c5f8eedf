//! Connections: one that is made is good, and closed at once.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{Answer, authority, network_error};

/// Connects.
pub(super) async fn probe(host: &str, port: u16, timeout: Duration) -> Answer {
    match tokio::time::timeout(timeout, dial(host, port)).await {
        Ok(Ok(_)) => Answer::success(),
        Ok(Err(error)) => Answer::failure(error),
        Err(_) => Answer::failure(format!("dial tcp {}: i/o timeout", authority(host, port))),
    }
}

/// A connection; the error is in Go's words.
pub(super) async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let connected: io::Result<TcpStream> = TcpStream::connect((host, port)).await;
    connected.map_err(|error| {
        let call = if error.raw_os_error().is_some() { "connect: " } else { "" };
        format!("dial tcp {}: {call}{}", authority(host, port), network_error(&error))
    })
}
