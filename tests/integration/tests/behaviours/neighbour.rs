//! A server beside the pods, for what their own program does not speak: HTTPS, and gRPC's health service. A file on the
//! node decides what it answers, and each question is noted in another one.
//!
//! It runs in the test itself, so that a probe or a hook finds it at this machine's address.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chassis::task::{self, AbortOnDrop};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A message of gRPC has a byte for its compression and four for its length before it.
const FRAME: usize = 5;
/// And that of the health service a byte for the field and one for the length of the name.
const NAME: usize = FRAME + 2;

/// See the module.
pub(crate) struct Neighbour {
    /// HTTPS on loopback, with a certificate that nobody knows. `GET FILE`: 200 where there is that file, else 503.
    pub(crate) https: u16,
    /// gRPC on every address. The service whose name is that of a file serves as long as there is that file.
    pub(crate) grpc: u16,
    _servers: [AbortOnDrop<()>; 2],
}

impl Neighbour {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let now = chassis::clock::Clock::system().now();
        let ca = certs::Ca::generate(now)?;
        let identity = ca.issue_server(&certs::SanList::new(["neighbour.invalid"]), now)?;
        let config = certs::tls::server_config(ca.cert_der(), &identity, certs::tls::ClientAuth::Optional)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let https = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let grpc = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let ports = (https.local_addr()?.port(), grpc.local_addr()?.port());
        let serve_https = serve(https, move |visitor| secure(acceptor.clone(), visitor));
        let servers = [serve_https, serve(grpc, health)];
        Ok(Self { https: ports.0, grpc: ports.1, _servers: servers })
    }
}

fn serve<F>(listener: TcpListener, answer: impl Fn(TcpStream) -> F + Send + 'static) -> AbortOnDrop<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    task::spawn(tracing::Span::none(), async move {
        let mut visitors = JoinSet::new();
        while let Ok((visitor, _)) = listener.accept().await {
            // One that gives up is of no interest.
            visitors.spawn(answer(visitor));
            while visitors.try_join_next().is_some() {}
        }
    })
}

async fn secure(acceptor: TlsAcceptor, visitor: TcpStream) -> anyhow::Result<()> {
    let visitor = acceptor.accept(visitor).await?;
    let service = service_fn(|request: Request<Incoming>| async move {
        let found = ask(Path::new(request.uri().path()));
        let status = if found { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(visitor), service).await?;
    Ok(())
}

async fn health(visitor: TcpStream) -> anyhow::Result<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let message = request.into_body().collect().await?.to_bytes();
        let name = message.get(NAME..).unwrap_or_default();
        let serving = ask(Path::new(&*String::from_utf8_lossy(name)));
        // https://github.com/grpc/grpc/blob/master/doc/health-checking.md: SERVING is 1, NOT_SERVING is 2.
        let answer = [0, 0, 0, 0, 2, 8, if serving { 1 } else { 2 }];
        let mut trailers = HeaderMap::new();
        trailers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
        let body = Full::new(Bytes::copy_from_slice(&answer));
        let body: BoxBody<Bytes, Infallible> =
            body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed();
        let mut response = Response::new(body);
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        Ok::<_, hyper::Error>(response)
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.serve_connection(TokioIo::new(visitor), service).await?;
    Ok(())
}

/// Is the file there? That it was asked for is noted beside it.
fn ask(file: &Path) -> bool {
    let mut asked = file.as_os_str().to_owned();
    asked.push(".asked");
    // Only a row's own directory is written to; anybody may ask for anything.
    if file.is_absolute() && file.parent().is_some_and(Path::is_dir) {
        std::fs::write(PathBuf::from(asked), "yes").ok();
    }
    file.exists()
}
