//! An image registry on loopback, where containerd asks without TLS
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use chassis::task::{self, AbortOnDrop};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Manifests by tag, and whatever has a digest.
type Content = Arc<BTreeMap<String, (String, Bytes)>>;

pub(crate) struct Registry {
    pub(crate) port: u16,
    _server: AbortOnDrop<()>,
}

impl Registry {
    /// Serves the images in these tar files; each has a tag, and may be one of an index for this architecture alone.
    pub(crate) async fn start(images: &[(&str, &Path, Option<&str>)]) -> Self {
        let mut content = BTreeMap::new();
        for (tag, tar, architecture) in images {
            let dir = tempfile::tempdir().unwrap();
            let done = Command::new("tar").arg("-xf").arg(tar).arg("-C").arg(dir.path()).status().unwrap();
            assert!(done.success(), "tar -xf {}", tar.display());
            let read = |file: &str| Bytes::from(std::fs::read(dir.path().join(file)).unwrap());
            let index: Value = serde_json::from_slice(&read("index.json")).unwrap();
            let mut entry = index["manifests"][0].clone();
            let manifest = "application/vnd.oci.image.manifest.v1+json";
            for blob in std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().flatten() {
                let digest = format!("sha256:{}", blob.file_name().to_string_lossy());
                let kind = if entry["digest"] == *digest { manifest } else { "application/octet-stream" };
                let bytes = Bytes::from(std::fs::read(blob.path()).unwrap());
                content.insert(digest, (kind.to_owned(), bytes));
            }
            let shown = match architecture {
                Some(architecture) => {
                    entry["platform"] = json!({"architecture": architecture, "os": "linux"});
                    let kind = "application/vnd.oci.image.index.v1+json";
                    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]});
                    let shown = (kind.to_owned(), Bytes::from(index.to_string()));
                    content.insert(digest(dir.path(), &shown.1), shown.clone());
                    shown
                }
                None => content[entry["digest"].as_str().unwrap()].clone(),
            };
            content.insert((*tag).to_owned(), shown);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let content = Arc::new(content);
        let server = task::spawn(tracing::Span::none(), async move { serve(listener, content).await });
        Self { port, _server: server }
    }

    pub(crate) fn image(&self, tag: &str) -> String {
        format!("127.0.0.1:{}/app:{tag}", self.port)
    }
}

fn digest(dir: &Path, bytes: &[u8]) -> String {
    let file = dir.join("index");
    std::fs::write(&file, bytes).unwrap();
    let output = Command::new("sha256sum").arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    format!("sha256:{}", text.split(' ').next().unwrap())
}

async fn serve(listener: TcpListener, content: Content) {
    let mut visitors = JoinSet::new();
    while let Ok((visitor, _)) = listener.accept().await {
        let content = content.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&content, request.uri().path());
            async move { Ok::<_, Infallible>(answer) }
        });
        let server = hyper::server::conn::http1::Builder::new();
        visitors.spawn(server.serve_connection(TokioIo::new(visitor), service));
        while visitors.try_join_next().is_some() {}
    }
}

fn answer(content: &Content, path: &str) -> Response<Full<Bytes>> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::new()));
    if let Some((kind, bytes)) = content.get(name) {
        response = Response::new(Full::new(bytes.clone()));
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind.parse().unwrap());
    } else if path != "/v2/" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
