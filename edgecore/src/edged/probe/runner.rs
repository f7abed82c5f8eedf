//! Asks a container: a command in it, an HTTP request, a connection, or gRPC's health service. Used by probes, and by
//! hooks for commands and requests.
//!
//! The words of what went wrong are those that kubelet's users know from their events.

pub mod exec;
pub mod grpc;
pub mod http;
pub mod tcp;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use self::grpc::Grpc;
use self::http::HttpGet;
use super::schedule::Outcome;
use crate::edged::runtime::{ContainerId, Runtime};

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Run this command.
    Exec(Vec<String>),
    /// Send this request.
    Http(HttpGet),
    /// Connect to this host and port.
    Tcp(String, u16),
    /// Ask the health service.
    Grpc(Grpc),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Good, bad, or neither.
    pub outcome: Outcome,
    /// For the event; empty when there is nothing to tell. Of a success it is a warning.
    pub text: String,
}

// === impl Question ===

impl Question {
    /// Of a probe of `container`, whose pod has the address `ip`.
    ///
    /// # Errors
    /// The probe cannot be asked as it is: no handler, an unknown port, no address.
    pub fn of(probe: &Probe, container: &Container, ip: Option<IpAddr>) -> Result<Self, String> {
        if let Some(exec) = &probe.exec {
            return Ok(Self::Exec(exec.command.clone().unwrap_or_default()));
        }
        if let Some(get) = &probe.http_get {
            return HttpGet::of(get, container, ip).map(Self::Http);
        }
        if let Some(socket) = &probe.tcp_socket {
            let port = port_of(&socket.port, container)?;
            return Ok(Self::Tcp(host_of(socket.host.as_deref(), ip)?, port));
        }
        let Some(grpc) = &probe.grpc else { return Err("missing probe handler".to_owned()) };
        let port = port_of(&IntOrString::Int(grpc.port), container)?;
        Ok(Self::Grpc(Grpc {
            host: host_of(None, ip)?,
            port,
            service: grpc.service.clone().unwrap_or_default(),
            tls: grpc.mode.as_deref() == Some("TLS"),
        }))
    }

    /// Asks, for at most `timeout`.
    pub async fn ask(&self, runtime: &Runtime, id: &ContainerId, timeout: Duration) -> Answer {
        match self {
            Self::Exec(command) => exec::probe(runtime, id, command, timeout).await,
            Self::Http(get) => get.probe(timeout).await,
            Self::Tcp(host, port) => tcp::probe(host, *port, timeout).await,
            Self::Grpc(grpc) => grpc.probe(timeout).await,
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Nothing to add.
    pub fn success() -> Self {
        Self { outcome: Outcome::Success, text: String::new() }
    }

    /// A bad answer, or none.
    pub fn failure(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failure, text: text.into() }
    }

    /// It could not be asked.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Unknown, text: text.into() }
    }
}

/// A port by number, or by its name among the ports of the container.
pub(super) fn port_of(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_deref() == Some(text)).map(|port| port.container_port);
            named.or_else(|| text.parse().ok())
        }
    };
    let valid = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    valid.ok_or_else(|| match port {
        IntOrString::Int(number) => format!("invalid port number: {number}"),
        IntOrString::String(text) => format!("couldn't find port: {text:?}"),
    })
}

/// A host that the pod names, or the pod itself.
pub(super) fn host_of(host: Option<&str>, ip: Option<IpAddr>) -> Result<String, String> {
    let named = host.filter(|host| !host.is_empty()).map(str::to_owned);
    named.or_else(|| ip.map(|ip| ip.to_string())).ok_or_else(|| "the pod has no address".to_owned())
}

/// Host and port as in a URL.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// An error of the network as Go prints it: without the number, and small.
pub(super) fn network_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
