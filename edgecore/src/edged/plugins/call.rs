//! One gRPC call to a plugin: what edged says to plugins are single questions with short answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// Largest answer that is read: gRPC's own default is 4 MiB, and a list of devices or topologies is far smaller.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Longest path of a socket that the kernel takes (`sun_path` of unix(7), with its zero).
const MAX_SOCKET_PATH: usize = 107;

/// Why a plugin could not be asked, or what it says against it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error("{socket}: nobody answers: {message}")]
    Unreachable {
        /// The socket.
        socket: String,
        /// The system's words.
        message: String,
    },
    /// It has not answered in time.
    #[error("{method}: no answer within {limit:?}")]
    Timeout {
        /// The call.
        method: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It has answered with an error.
    #[error("{method}: {code:?}: {message}")]
    Refused {
        /// The call.
        method: &'static str,
        /// gRPC's code.
        code: Code,
        /// The plugin's words.
        message: String,
    },
}

// === impl CallError ===

impl CallError {
    /// gRPC's code, where the plugin has given one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the call was not begun: the plugin knows nothing of it.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A connection to the plugin that listens at `socket`. It ends when it is dropped, and is not made again when it breaks.
///
/// # Errors
/// Nobody listens there.
pub async fn connect(socket: &Path) -> Result<Channel, CallError> {
    let unreachable =
        |message: String| CallError::Unreachable { socket: socket.display().to_string(), message };
    let length = socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(unreachable(format!(
            "the path is of {length} bytes, a socket's may be of {MAX_SOCKET_PATH}"
        )));
    }
    let path = socket.to_owned();
    let dial = tower::service_fn(move |_: Uri| dial(path.clone()));
    // The URI is only the authority in the requests: it is what gRPC's own clients say over a Unix socket.
    let connected = Endpoint::from_static("http://localhost").connect_with_connector(dial).await;
    connected.map_err(|error| unreachable(innermost(&error)))
}

async fn dial(path: PathBuf) -> std::io::Result<TokioIo<UnixStream>> {
    UnixStream::connect(path).await.map(TokioIo::new)
}

/// Asks `method` (`/package.Service/Method`) over a connection of its own. `limit` is for the connection and the answer together.
///
/// # Errors
/// See [`CallError`].
pub async fn call<Q, A>(
    socket: &Path,
    method: &'static str,
    question: Q,
    limit: Duration,
) -> Result<A, CallError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let answered = tokio::time::timeout(limit, async {
        let channel = connect(socket).await?;
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        let refused = |status: Status| refused(socket, method, &status);
        client.ready().await.map_err(|error| refused(Status::from_error(error.into())))?;
        let path = PathAndQuery::from_static(method);
        let codec = ProstCodec::<Q, A>::default();
        client.unary(tonic::Request::new(question), path, codec).await.map_err(refused)
    });
    match answered.await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(CallError::Timeout { method, limit }),
    }
}

fn refused(socket: &Path, method: &'static str, status: &Status) -> CallError {
    let message = status.message().to_owned();
    let broke = std::error::Error::source(status).is_some();
    match status.code() {
        // Said by our own side of the connection, not by the plugin.
        Code::Unavailable | Code::Unknown | Code::Internal if broke => {
            CallError::Unreachable { socket: socket.display().to_string(), message }
        }
        code => CallError::Refused { method, code, message },
    }
}

/// What lies beneath: the errors around it say no more than "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
