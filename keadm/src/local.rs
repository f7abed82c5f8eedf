//! EdgeCore's server on this machine (`tailoredKubeletConfig.address`:`readOnlyPort`): pods, what containers write, commands in them,
//! pods that are held. It works without the cloud.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use form_urlencoded::Serializer;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use proto::config::edgecore::EdgeCore;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hint::WithHint as _;

/// From dialing to the head of the answer: EdgeCore asks the container runtime, which may be slow on a small machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest list of pods that is read, in bytes: some hundred pods of 20 KiB are 2 MiB.
const MAX_LIST: usize = 64 << 20;
/// Longest text with which something is refused.
const MAX_REFUSAL: usize = 16 << 10;

/// The server.
#[derive(Debug, Clone)]
pub struct Local {
    address: SocketAddr,
}

impl Local {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the configuration says that it is.
    ///
    /// # Errors
    /// When the configuration turns it off, or its address is none.
    pub fn of(config: &EdgeCore) -> anyhow::Result<Self> {
        let kubelet = &config.modules.edged.tailored_kubelet_config;
        let port = kubelet.read_only_port;
        if port == 0 || !config.modules.edged.enable {
            return Err(anyhow!(
                "EdgeCore has no local server: modules.edged is off, or its readOnlyPort is 0"
            ))
            .hint(|| {
                "keadm config-update --set modules.edged.tailoredKubeletConfig.readOnlyPort=10350".to_owned()
            });
        }
        let address: IpAddr = kubelet.address.parse().context("tailoredKubeletConfig.address")?;
        let address = if address.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address };
        Ok(Self::at(SocketAddr::new(address, port)))
    }

    /// At this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The pods that this node should have, with their state, as they are in the API.
    ///
    /// # Errors
    /// When EdgeCore does not answer, or not with pods.
    pub async fn pods(&self) -> anyhow::Result<Vec<Value>> {
        let mut text = Vec::new();
        self.read(Method::GET, "/pods", "", &mut |piece| {
            anyhow::ensure!(
                text.len() + piece.len() <= MAX_LIST,
                "the list of pods is longer than {MAX_LIST} bytes"
            );
            text.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        let mut list: Value = serde_json::from_slice(&text).context("the list of pods")?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(anyhow!("the list of pods has no items")),
        }
    }

    /// One pod.
    ///
    /// # Errors
    /// When there is none, with the names of those that there are.
    pub async fn pod(&self, namespace: &str, name: &str) -> anyhow::Result<Pod> {
        let pods = self.pods().await?;
        let is = |pod: &&Value| pod["metadata"]["name"] == name && pod["metadata"]["namespace"] == namespace;
        match pods.iter().find(is) {
            Some(pod) => serde_json::from_value(pod.clone()).context("the pod"),
            None => Err(anyhow!("this node has no pod {namespace}/{name}"))
                .hint(|| "`keadm ctl get pod -A` lists those that it has; -n gives the namespace".to_owned()),
        }
    }

    /// Sends `body`, and gives what is answered.
    ///
    /// # Errors
    /// When it is refused, with the server's words.
    pub async fn post(&self, path: &str, body: &str) -> anyhow::Result<String> {
        let mut text = Vec::new();
        self.read(Method::POST, path, body, &mut |piece| {
            let room = MAX_REFUSAL.saturating_sub(text.len()).min(piece.len());
            text.extend_from_slice(&piece[..room]);
            Ok(())
        })
        .await?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// Reads an answer piece by piece, for as long as it goes on.
    ///
    /// # Errors
    /// When it is refused or ends before its end, or `take` fails.
    pub async fn read(
        &self,
        method: Method,
        path: &str,
        body: &str,
        take: &mut (dyn FnMut(&[u8]) -> anyhow::Result<()> + Send),
    ) -> anyhow::Result<()> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        let (sender, connection) = self.connect().await?;
        let exchange = async move {
            let mut sender = sender;
            let answer = timeout(PATIENCE, sender.send_request(request)).await;
            let answer = answer.map_err(|_| anyhow!("EdgeCore has not answered within {PATIENCE:?}"))??;
            let status = answer.status();
            if !status.is_success() {
                return Err(refused(status, &text(answer.into_body(), MAX_REFUSAL).await));
            }
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                if let Some(piece) = frame.context("EdgeCore broke off its answer")?.data_ref() {
                    take(piece)?;
                }
            }
            Ok(())
        };
        // The connection works while it is polled, and ends when its sender is dropped.
        let (answered, _closed) = tokio::join!(exchange, connection);
        answered
    }

    async fn connect(
        &self,
    ) -> anyhow::Result<(SendRequest<Full<Bytes>>, impl Future<Output = hyper::Result<()>> + use<>)> {
        let dialed = timeout(PATIENCE, TcpStream::connect(self.address)).await;
        let stream = dialed.map_err(anyhow::Error::from).and_then(|dialed| Ok(dialed?));
        let stream =
            stream.with_context(|| format!("EdgeCore does not answer at {}", self.address)).hint(|| {
                "`keadm debug diagnose node` says why; --config gives another edgecore.yaml".to_owned()
            })?;
        stream.set_nodelay(true)?;
        Ok(http1::handshake(TokioIo::new(stream)).await?)
    }
}

fn refused(status: StatusCode, said: &str) -> anyhow::Error {
    if said.is_empty() { anyhow!("EdgeCore answers {status}") } else { anyhow!("{said}") }
}

async fn text(mut body: Incoming, limit: usize) -> String {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(piece) = frame.data_ref() {
            let room = limit.saturating_sub(text.len()).min(piece.len());
            text.extend_from_slice(&piece[..room]);
        }
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// `path?key=value&…`
#[must_use]
pub fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let mut pairs = Serializer::new(String::new());
    pairs.extend_pairs(query);
    format!("{path}?{}", pairs.finish())
}
