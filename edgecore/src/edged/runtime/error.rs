//! What can go wrong between edged and the container runtime.

use std::time::Duration;

use tonic::{Code, Status};

/// A call of the container runtime that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// Nobody answers at the socket, or the connection broke.
    #[error("container runtime is down: {endpoint}: {message}")]
    Unreachable {
        /// The socket.
        endpoint: String,
        /// What the system says.
        message: String,
    },
    /// No answer within the limit (`runtimeRequestTimeout`, plus the grace period where there is one).
    #[error("{call}: the container runtime did not answer within {limit:?}")]
    Timeout {
        /// The CRI call.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// A command in a container was killed when its time was over: says nothing about the runtime.
    #[error("the command did not end within {limit:?}")]
    ExecTimeout {
        /// The time that it had.
        limit: Duration,
    },
    /// There is no such sandbox, container or image.
    #[error("{call}: {message}")]
    NotFound {
        /// The CRI call.
        call: &'static str,
        /// The runtime's text.
        message: String,
    },
    /// This runtime does not know the call.
    #[error("{call} is not implemented by the container runtime")]
    Unimplemented {
        /// The CRI call.
        call: &'static str,
    },
    /// The runtime tried and failed.
    #[error("{call}: {message}")]
    Failed {
        /// The CRI call.
        call: &'static str,
        /// The runtime's text.
        message: String,
    },
    /// The runtime's answer makes no sense.
    #[error("{call}: bad answer of the container runtime: {message}")]
    Malformed {
        /// The CRI call.
        call: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

impl RuntimeError {
    /// From the gRPC status of `call`.
    pub(super) fn from_status(call: &'static str, endpoint: &str, status: &Status) -> Self {
        match status.code() {
            Code::NotFound => Self::NotFound { call, message: status.message().to_owned() },
            Code::Unimplemented => Self::Unimplemented { call },
            // A status with a cause was made on this side: the connection broke in the middle of the call (tonic calls that
            // `Unknown`). The runtime has no part in it, and the container neither.
            Code::Unavailable | Code::Unknown | Code::Internal if code_is_ours(status) => {
                Self::Unreachable { endpoint: endpoint.to_owned(), message: innermost(status) }
            }
            _ => Self::Failed { call, message: status.message().to_owned() },
        }
    }

    /// The runtime itself is out of reach: says nothing about the pod, and trying again later makes sense.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
    }

    /// Is the runtime's own text as `is` wants it?
    pub fn says(&self, is: impl Fn(&str) -> bool) -> bool {
        matches!(self, Self::Failed { message, .. } if is(message))
    }

    /// Label of this error in logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::ExecTimeout { .. } => "exec_timeout",
            Self::NotFound { .. } => "not_found",
            Self::Unimplemented { .. } => "unimplemented",
            Self::Failed { .. } => "failed",
            Self::Malformed { .. } => "malformed",
        }
    }
}

/// Does it say that nobody answers, and not what the runtime has answered?
fn code_is_ours(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// The cause at the bottom ("No such file or directory"): the layers above it only say "transport error".
fn innermost(status: &Status) -> String {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
    let mut text = status.message().to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As seen when containerd is killed in the middle of a call: not a failure of the container that it was about.
    #[test]
    fn a_connection_that_breaks_is_an_outage() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let ours = Status::from_error(Box::new(broken));
        assert_eq!(ours.code(), Code::Unknown);
        assert!(RuntimeError::from_status("StartContainer", "unix:///s", &ours).is_outage());
        let theirs = Status::unknown("failed to create containerd task");
        assert!(!RuntimeError::from_status("StartContainer", "unix:///s", &theirs).is_outage());
    }
}
