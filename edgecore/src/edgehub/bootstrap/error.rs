//! What can go wrong while a node gets its certificate: what failed, where, why, and what to do.

use std::path::PathBuf;

use certs::certificate::CertificateError;
use certs::csr::CsrError;
use certs::files::FileError;
use certs::key::KeyError;
use certs::tls::TlsError;
use certs::token::TokenError;
use chassis::link::{OutOfTime, is_refused_for_time};
use http::StatusCode;
use jiff::Timestamp;
use thiserror::Error;

use crate::edgehub::validity::{OWN_OUT_OF_TIME, SERVER_OUT_OF_TIME, Validity};

/// Why a node has no certificate, or no new one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// `httpServer` is not `https://host:port`.
    #[error("modules.edgeHub.httpServer: {0:?} is not https://host:port")]
    Server(String),
    /// There is neither a certificate nor a way to get one.
    #[error("node {node:?} has no certificate ({}) and no join token (modules.edgeHub.token)", file.display())]
    NoToken {
        /// Name of the node.
        node: String,
        /// Where the certificate would be.
        file: PathBuf,
    },
    /// The token cannot be used.
    #[error("modules.edgeHub.token: {0}")]
    Token(TokenError),
    /// The server's CA is not the token's.
    #[error("{server}/ca.crt: {source}")]
    OtherCa {
        /// Who was asked.
        server: String,
        /// Both hashes.
        source: TokenError,
    },
    /// No connection, a failed handshake, an answer that is not HTTP.
    #[error("GET {url}: {source}")]
    Exchange {
        /// What was asked for.
        url: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// By this node's clock the server's certificate is not valid.
    #[error("GET {url}: the server's certificate is {fault}{}", said(*server_clock))]
    ServerOutOfTime {
        /// What was asked for.
        url: String,
        /// Both times.
        fault: OutOfTime,
        /// What the server's clock says, if it has answered before.
        server_clock: Option<Timestamp>,
    },
    /// By the server's clock this node's certificate is not valid.
    #[error(
        "GET {url}: the server's clock is against this node's certificate: it is valid from {} until {}, and this node's clock says {clock}",
        certificate.not_before, certificate.not_after
    )]
    OwnOutOfTime {
        /// What was asked for.
        url: String,
        /// When the certificate is valid.
        certificate: Validity,
        /// This node's clock.
        clock: Timestamp,
    },
    /// No answer in time.
    #[error("GET {url}: no answer within {seconds} s")]
    Timeout {
        /// What was asked for.
        url: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server refuses.
    #[error("GET {url}: {status}: {text}")]
    Refused {
        /// What was asked for.
        url: String,
        /// Status of the answer.
        status: StatusCode,
        /// Body of the answer, cut.
        text: String,
    },
    /// The certificate that came is for another key or node, or of another CA.
    #[error("{server} sent a certificate that is not for this node and key, or not of its own CA")]
    WrongCertificate {
        /// Who sent it.
        server: String,
    },
    /// The answer, or a file, holds no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No key can be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No request can be made.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The CA or the node's certificate cannot be used for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The node's name cannot stand in a header.
    #[error("the node's name cannot stand in an HTTP header")]
    NodeName,
    /// The process is ending.
    #[error("interrupted: the process is ending")]
    Stopped,
}

fn said(clock: Option<Timestamp>) -> String {
    clock.map(|clock| format!("; the server's clock says {clock}")).unwrap_or_default()
}

impl BootstrapError {
    /// The same, with what the server's clock said a moment ago.
    pub(super) fn by_server_clock(mut self, date: Option<Timestamp>) -> Self {
        if let Self::ServerOutOfTime { server_clock, .. } = &mut self {
            *server_clock = date;
        }
        self
    }

    /// The same, of a request that showed `certificate` when this node's clock said `clock`.
    pub(super) fn with_certificate(self, certificate: Validity, clock: Timestamp) -> Self {
        match self {
            Self::Exchange { url, source } if is_refused_for_time(source.as_ref()) => {
                Self::OwnOutOfTime { url, certificate, clock }
            }
            other => other,
        }
    }

    /// Whether trying again can help: the cloud may be starting, restarting or out of reach.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Exchange { .. } | Self::Timeout { .. } => true,
            // Clocks are set late on machines without a battery.
            Self::ServerOutOfTime { .. } | Self::OwnOutOfTime { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoToken { .. } | Self::Token(_) => {
                Some("run `keadm gettoken` in the cloud and join with its output (keadm join --token)")
            }
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } => Some(
                "tokens last a day by default: run `keadm gettoken` in the cloud and join with the new one",
            ),
            Self::OtherCa { .. } => Some(
                "the token is of another cloud, the cloud has a new CA, or somebody is in between: compare httpServer, and get a new token with `keadm gettoken`",
            ),
            Self::Exchange { .. } | Self::Timeout { .. } => Some(
                "check that CloudCore runs, that httpServer is its address, and that its certificate has that address (modules.cloudHub.advertiseAddress)",
            ),
            Self::ServerOutOfTime { .. } => Some(SERVER_OUT_OF_TIME),
            Self::OwnOutOfTime { .. } => Some(OWN_OUT_OF_TIME),
            Self::File(_) => {
                Some("edgecore must be able to write the directories of tlsCAFile and tlsCertFile")
            }
            _ => None,
        }
    }
}
