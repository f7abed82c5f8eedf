//! The local HTTP server for operators: is it alive, is it ready, what does it count, what is it doing.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process runs |
//! | `GET /readyz` | 200, or 503 with the names of the parts that are not ready |
//! | `GET /metrics` | Prometheus (OpenMetrics text) |
//! | `GET /debug/state` | what each module says of itself, as one JSON object |
//! | `PUT /log-level` | the body (`debug`, `info,edgecore::edgehub=trace`) is logged from now on |
//!
//! It has no authentication, so it belongs on a local address. It ends with the shutdown, after the answers that are
//! being given.

mod board;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde::Serialize;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::accept::{self, Door};
use crate::http1;
use crate::metrics::SharedRegistry;
use crate::module::Module;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;
use crate::telemetry::LogHandle;

pub use self::board::Board;

#[cfg(test)]
mod tests;

/// A person, a probe and a scraper at the same time need three. Others wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 16;
/// How long a connection may live: a scraper comes every 15 to 60 s, and one that is silent must not keep its place.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// Largest request body, in bytes: a log level for each of some hundred targets.
const MAX_BODY: usize = 8 * 1024;

/// What the admin server shows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AdminState {
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/metrics`.
    pub registry: SharedRegistry,
    /// For `/log-level`; without one it answers 404.
    pub log: Option<LogHandle>,
    /// For `/debug/state`.
    pub debug: DebugSources,
}

/// What the modules say of themselves. Cheap to clone.
#[derive(Clone, Default)]
pub struct DebugSources {
    sources: Arc<Mutex<Vec<(&'static str, DebugSource)>>>,
}

type DebugSource = Arc<dyn Fn() -> Value + Send + Sync>;

/// The server, bound to its address.
#[derive(Debug)]
pub struct Admin {
    door: Door,
    state: AdminState,
}

type Answer = Response<String>;

// === impl DebugSources ===

impl DebugSources {
    /// Shows `source`'s value under `name`. It is called for each request: it must be quick, and hold no secrets.
    pub fn register(&self, name: &'static str, source: impl Fn() -> Value + Send + Sync + 'static) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push((name, Arc::new(source)));
    }

    /// Shows a board under `name`.
    pub fn show<T: Serialize + Send + 'static>(&self, name: &'static str, board: Board<T>) {
        self.register(name, move || board.snapshot());
    }

    /// The present value of every source, by name.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        // The sources are called outside of the lock: they are the modules' code.
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sources.iter().map(|(name, source)| ((*name).to_owned(), source())).collect()
    }
}

impl fmt::Debug for DebugSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DebugSources")
    }
}

// === impl AdminState ===

impl AdminState {
    /// The answer to one request. The server adds nothing to it, so a test that has no socket sees what an operator
    /// sees.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        let allowed = match path {
            "/healthz" | "/readyz" | "/metrics" | "/debug/state" => "GET, HEAD",
            "/log-level" => "PUT",
            _ => return text(StatusCode::NOT_FOUND, "not found\n"),
        };
        if !allowed.split(", ").any(|allowed| allowed == method.as_str()) {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, format!("allowed: {allowed}\n"));
            refusal.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
            return refusal;
        }
        match path {
            "/readyz" => self.readyz(),
            "/metrics" => answer(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                self.registry.encode(),
            ),
            "/debug/state" => {
                answer(StatusCode::OK, "application/json", format!("{:#}\n", self.debug.snapshot()))
            }
            "/log-level" => self.set_log_level(body),
            _ => text(StatusCode::OK, "ok\n"),
        }
    }

    fn readyz(&self) -> Answer {
        let pending = self.readiness.pending();
        if pending.is_empty() {
            return text(StatusCode::OK, "ok\n");
        }
        text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", pending.join(", ")))
    }

    fn set_log_level(&self, body: &[u8]) -> Answer {
        let Some(log) = &self.log else { return text(StatusCode::NOT_FOUND, "not found\n") };
        let Ok(level) = std::str::from_utf8(body) else {
            return text(StatusCode::BAD_REQUEST, "the body is not UTF-8\n");
        };
        match log.set_level(level) {
            Ok(()) => {
                tracing::info!(level = level.trim(), "log level changed");
                text(StatusCode::OK, "ok\n")
            }
            Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        }
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Answer {
    answer(status, "text/plain; charset=utf-8", body.into())
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    answer
}

// === impl Admin ===

impl Admin {
    /// Opens the listening socket. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr, state: AdminState) -> io::Result<Self> {
        Ok(Self { door: TcpListener::bind(address).await?.into(), state })
    }

    /// As [`Admin::bind`], but where the address cannot be listened on now it is as soon as it can.
    pub async fn open(address: SocketAddr, state: AdminState) -> Self {
        Self { door: Door::open(address, "admin HTTP").await, state }
    }

    /// The address that is listened on, with the real port, or is to be.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.door.address()
    }
}

impl Module for Admin {
    const NAME: &'static str = "admin";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { door, state } = self;
        let Some(listener) = door.listener(&shutdown).await else { return Ok(()) };
        let serve = |stream| serve(stream, state.clone(), shutdown.clone());
        accept::serve(listener, MAX_CONNECTIONS, &shutdown, serve).await;
        Ok(())
    }
}

async fn serve(stream: TcpStream, state: AdminState, shutdown: Shutdown) {
    http1::serve(stream, |request| respond(&state, request), CONNECTION_TIME, &shutdown).await;
}

async fn respond(state: &AdminState, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => state.answer(&head.method, head.uri.path(), &body.to_bytes()),
        Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {MAX_BODY} bytes\n")),
    };
    answer.map(|body| Full::new(body.into()))
}
