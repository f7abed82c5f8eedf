//! Plugins for tests: real gRPC on a real socket, with answers that the test gives.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, Bytes};
use chassis::task::{self, AbortOnDrop};
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

use super::registration::{PluginInfo, RegistrationStatus, RegistrationStatusResponse};

/// What a server says: the method is `/package.Service/Method`, the bytes are protobuf.
pub trait Answers: Debug + Send + Sync + 'static {
    /// Answers one call.
    fn answer(&self, method: &str, question: Bytes) -> BoxFuture<'_, Result<Bytes, Status>>;
}

/// A gRPC server on a socket. It dies when it is dropped, and leaves the socket's file, as a killed plugin does.
#[derive(Debug)]
pub struct Server {
    socket: PathBuf,
    _task: AbortOnDrop<()>,
}

/// A plugin's socket in `plugins_registry`.
#[derive(Debug)]
pub struct FakePlugin {
    info: PluginInfo,
    told: watch::Sender<Vec<Result<(), String>>>,
    /// The next answers are errors.
    failures: Mutex<BTreeMap<String, u32>>,
}

#[derive(Debug, Clone, Copy)]
struct Raw;

#[derive(Debug)]
struct Call(Arc<dyn Answers>, String);

// === impl Server ===

impl Server {
    /// Listens at `socket`, in place of whatever is there.
    ///
    /// # Panics
    /// It cannot listen there.
    pub fn start(socket: &Path, answers: Arc<dyn Answers>) -> Self {
        std::fs::remove_file(socket).ok();
        let listener = UnixListener::bind(socket).expect("the socket can be made");
        let task = task::spawn(tracing::info_span!("fake_plugin"), serve(listener, answers));
        Self { socket: socket.to_owned(), _task: task }
    }

    /// Ends, and takes its socket with it.
    pub fn stop(self) {
        std::fs::remove_file(&self.socket).ok();
    }
}

async fn serve(listener: UnixListener, answers: Arc<dyn Answers>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let span = tracing::Span::current();
        task::spawn_in(&mut connections, span, connection(stream, answers.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: UnixStream, answers: Arc<dyn Answers>) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let call = Call(answers.clone(), request.uri().path().to_owned());
        async move { Ok::<_, std::convert::Infallible>(tonic::server::Grpc::new(Raw).unary(call, request).await) }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // It ends with the client's going.
    server.serve_connection(TokioIo::new(stream), service).await.ok();
}

impl UnaryService<Bytes> for Call {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (answers, method) = (self.0.clone(), self.1.clone());
        Box::pin(async move { answers.answer(&method, request.into_inner()).await.map(Response::new) })
    }
}

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Reads a question.
///
/// # Errors
/// It is none.
pub fn read<M: Message + Default>(question: Bytes) -> Result<M, Status> {
    M::decode(question).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Writes an answer.
pub fn write(answer: &impl Message) -> Bytes {
    answer.encode_to_vec().into()
}

// === impl FakePlugin ===

impl FakePlugin {
    /// One that says this.
    pub fn new(kind: &str, name: &str, endpoint: &Path, versions: &[&str]) -> Arc<Self> {
        let info = PluginInfo {
            r#type: kind.to_owned(),
            name: name.to_owned(),
            endpoint: endpoint.display().to_string(),
            supported_versions: versions.iter().map(|&version| version.to_owned()).collect(),
        };
        Arc::new(Self { info, told: watch::Sender::default(), failures: Mutex::default() })
    }

    /// The next `times` that `method` (`GetInfo`, `NotifyRegistrationStatus`) is called it fails.
    pub fn fail_next(&self, method: &str, times: u32) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(method.to_owned(), times);
    }

    /// Waits until it was told `count` times what has become of it, and gives the last word.
    ///
    /// # Panics
    /// Within two minutes it was not.
    pub async fn told(&self, count: usize) -> Result<(), String> {
        let mut told = self.told.subscribe();
        let waited = told.wait_for(|told| told.len() >= count);
        let told = tokio::time::timeout(std::time::Duration::from_secs(120), waited).await;
        let told = told.expect("the plugin is told in time").expect("the plugin is there");
        told[count - 1].clone()
    }

    fn fails(&self, method: &str) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let left =
            failures.iter_mut().find(|(failing, left)| method.ends_with(failing.as_str()) && **left > 0);
        left.map(|(_, left)| *left -= 1).is_some()
    }
}

impl Answers for FakePlugin {
    fn answer(&self, method: &str, question: Bytes) -> BoxFuture<'_, Result<Bytes, Status>> {
        let answered = match method.rsplit('/').next() {
            _ if self.fails(method) => Err(Status::internal("not today")),
            Some("GetInfo") => Ok(write(&self.info)),
            Some("NotifyRegistrationStatus") => read::<RegistrationStatus>(question).map(|status| {
                let verdict = if status.plugin_registered { Ok(()) } else { Err(status.error) };
                self.told.send_modify(|told| told.push(verdict));
                write(&RegistrationStatusResponse {})
            }),
            _ => Err(Status::unimplemented(method.to_owned())),
        };
        Box::pin(std::future::ready(answered))
    }
}
