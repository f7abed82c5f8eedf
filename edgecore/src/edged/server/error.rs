//! Why a request is not answered as it was meant.

use std::io;

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};

use super::answer::{self, Answer};
use super::guard::Refusal;
use crate::edged::runtime::RuntimeError;

/// Each has a status and a text for people; the texts about pods and containers are kubelet's, which `kubectl` shows.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("not found")]
    NoSuchPath,
    #[error("allowed: {0}")]
    Method(&'static str),
    #[error("debug endpoints are disabled (modules.edged.tailoredKubeletConfig.enableDebuggingHandlers)")]
    Disabled,
    #[error("pod \"{namespace}/{name}\" not found")]
    NoSuchPod { namespace: String, name: String },
    #[error("{0}")]
    NoSuchObject(String),
    #[error("container {container:?} not found in pod {pod:?}")]
    NoSuchContainer { pod: String, container: String },
    /// The container is there but has not what is asked for.
    #[error("{0}")]
    NotAvailable(String),
    /// A parameter is missing or makes no sense.
    #[error("{0}")]
    Query(String),
    /// No more streams at once.
    #[error("too many streams at once: there may be {0}")]
    TooMany(usize),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The runtime's streaming server, or the way to it.
    #[error("{0}")]
    Upstream(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

impl Error {
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// Label of this error in metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::NoSuchPath => "no_such_path",
            Self::Method(_) => "method",
            Self::Disabled => "disabled",
            Self::NoSuchPod { .. } | Self::NoSuchObject(_) => "no_such_pod",
            Self::NoSuchContainer { .. } => "no_such_container",
            Self::NotAvailable(_) => "not_available",
            Self::Query(_) => "query",
            Self::TooMany(_) => "too_many_streams",
            Self::Runtime(_) => "runtime",
            Self::Upstream(_) => "upstream",
            Self::Io { .. } => "io",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::NoSuchPath
            | Self::NoSuchPod { .. }
            | Self::NoSuchObject(_)
            | Self::NoSuchContainer { .. } => StatusCode::NOT_FOUND,
            // As kubelet says that something is switched off.
            Self::Method(_) | Self::Disabled => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAvailable(_) | Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Runtime(RuntimeError::NotFound { .. }) => StatusCode::NOT_FOUND,
            Self::Runtime(error) if error.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Runtime(_) | Self::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
        }
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = answer::text(self.status(), format!("{self}\n"));
        if let Self::Method(allowed) = self {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        answer
    }
}
