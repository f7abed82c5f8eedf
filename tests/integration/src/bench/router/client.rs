//! Those who ask: over connections that stay.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chassis::task::{self, AbortOnDrop};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::site::{BODY, Front};

/// Connections, and what they ask for.
pub(super) struct Clients {
    clients: Vec<Client>,
}

struct Client {
    sender: SendRequest<Full<Bytes>>,
    _connection: AbortOnDrop<()>,
    front: Front,
    path: &'static str,
}

/// What came of a while of asking.
pub(super) struct Round {
    pub(super) length: Duration,
    /// Of each answer that was 200.
    pub(super) times: Vec<Duration>,
    /// Others.
    pub(super) failed: usize,
}

impl Clients {
    pub(super) async fn connect(front: &Front, path: &'static str, count: usize) -> anyhow::Result<Self> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(Client::connect(front, path).await?);
        }
        Ok(Self { clients })
    }

    /// All ask at once, one request after the other each.
    pub(super) async fn round(&mut self, length: Duration) -> anyhow::Result<Round> {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for client in std::mem::take(&mut self.clients) {
            task::spawn_in(&mut asking, tracing::Span::none(), client.ask_until(begun + length));
        }
        let (mut all, mut failed) = (Vec::new(), 0);
        while let Some(ended) = asking.join_next().await {
            let (client, times, failures) = ended??;
            all.extend(times);
            failed += failures;
            self.clients.push(client);
        }
        Ok(Round::new(begun, all, failed))
    }
}

impl Client {
    async fn connect(front: &Front, path: &'static str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", front.port)).await.context("connect to the router")?;
        stream.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::new(certs::tls::unverified_client_config()?));
        let stream = tls.connect(ServerName::try_from("127.0.0.1")?, stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = task::spawn(tracing::Span::none(), async move {
            // Whoever asks hears of it.
            connection.await.ok();
        });
        Ok(Self { sender, _connection: connection, front: front.clone(), path })
    }

    async fn ask_until(mut self, end: Instant) -> anyhow::Result<(Self, Vec<Duration>, usize)> {
        let (mut times, mut failed) = (Vec::new(), 0);
        while Instant::now() < end {
            let begun = Instant::now();
            match self.ask().await? {
                200 => times.push(begun.elapsed()),
                _ => failed += 1,
            }
        }
        Ok((self, times, failed))
    }

    async fn ask(&mut self) -> anyhow::Result<u16> {
        if self.sender.ready().await.is_err() {
            // The router lets no connection live for ever.
            *self = Self::connect(&self.front, self.path).await?;
        }
        let request = Request::post(format!("/{}{}", super::site::NODE, self.path))
            .header(header::HOST, "127.0.0.1")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.front.token))
            .body(Full::new(Bytes::from_static(BODY)))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        Ok(status)
    }
}
