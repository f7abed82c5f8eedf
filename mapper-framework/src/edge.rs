//! EdgeCore, over DMI: registers with it, is told by it what devices there are, and reports to it.
//!
//! ```text
//!   EdgeCore <- MapperRegister, ReportDeviceStatus, ReportDeviceStates - [`Edge`] <- outbox <- devices
//!   EdgeCore - RegisterDevice, UpdateDevice, ... -> [`server::MapperServer`] -> fleet -> devices
//! ```
//!
//! One connection is kept for as long as EdgeCore lives (stock dials for each report). When it ends, EdgeCore has gone: its
//! successor may have forgotten this mapper, so it is registered with again as soon as it is there. Meanwhile devices go on, and
//! of what they report the newest is kept.

pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::dmi;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Uri;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::device::Key;
use crate::fleet::FleetClient;
use crate::metrics::Metrics;
use crate::outbox::{News, Outbox, Reading};

/// EdgeCore that takes longer for a call is stuck.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// All devices and models of one protocol: a thousand devices with a hundred properties, and some.
const MAX_ANSWER: usize = 64 << 20;
/// Between attempts at an EdgeCore that is not there. It starts within a second or two.
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(250),
    max: Duration::from_secs(10),
    factor: 2.0,
    jitter: 0.5,
};
/// Stock EdgeCore takes one call a second for all mappers, after the first hundred, and refuses the others.
const BREATH: Duration = Duration::from_secs(1);

/// The way to EdgeCore.
pub(crate) trait Dial: std::fmt::Debug + Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// A new connection.
    fn dial(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Its socket, by its path.
impl Dial for PathBuf {
    type Stream = UnixStream;

    fn dial(&self) -> impl Future<Output = io::Result<UnixStream>> + Send {
        UnixStream::connect(self)
    }
}

/// The module that registers and reports.
#[derive(Debug)]
pub(crate) struct Edge<D = PathBuf> {
    /// Where EdgeCore is.
    pub(crate) socket: D,
    /// What this mapper says of itself.
    pub(crate) info: dmi::MapperInfo,
    pub(crate) fleet: FleetClient,
    /// What is reported here; none where it is reported elsewhere.
    pub(crate) outbox: Option<Outbox>,
    pub(crate) metrics: Metrics,
    pub(crate) rng: Rng,
    /// Ready once it has been registered.
    pub(crate) ready: Option<ReadyGuard>,
    /// What is being reported: it is not lost with the connection.
    pub(crate) on_the_way: Option<(Key, News)>,
}

/// Calls EdgeCore over one connection.
#[derive(Debug, Clone)]
struct Caller {
    sender: SendRequest<Body>,
}

impl<D: Dial> Module for Edge<D> {
    const NAME: &'static str = "edge";

    async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(RETRY, self.rng.clone());
        let mut last = String::new();
        loop {
            let why = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                why = self.session(&mut backoff) => why.to_string(),
            };
            if let (Some(outbox), Some((key, news))) = (&self.outbox, self.on_the_way.take()) {
                outbox.put_back(key, news);
            }
            if last != why {
                tracing::warn!(socket = ?self.socket, "EdgeCore is not there: {why}");
                last = why;
            }
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }
}

impl<D: Dial> Edge<D> {
    /// One life of EdgeCore. Gives why it is over.
    async fn session(&mut self, backoff: &mut Backoff) -> anyhow::Error {
        let (caller, connection) = match Caller::connect(&self.socket).await {
            Ok(dialled) => dialled,
            Err(error) => return error,
        };
        let span = tracing::Span::current();
        let mut connection = task::spawn(span, connection);
        tokio::select! {
            _ = &mut connection => anyhow::anyhow!("the connection has ended"),
            error = self.talk(caller, backoff) => error,
        }
    }

    async fn talk(&mut self, caller: Caller, backoff: &mut Backoff) -> anyhow::Error {
        self.fleet.registering().await;
        let call = dmi::MapperRegisterRequest { with_data: true, mapper: Some(self.info.clone()) };
        match caller.call::<_, dmi::MapperRegisterResponse>("MapperRegister", call).await {
            Ok(all) => self.fleet.registered(all).await,
            Err(status) => return anyhow::anyhow!("it does not register this mapper: {}", status.message()),
        }
        backoff.reset();
        self.metrics.registrations.inc();
        if let Some(ready) = self.ready.take() {
            ready.ready();
        }
        let Some(outbox) = self.outbox.clone() else { return std::future::pending().await };
        loop {
            let (key, news) = outbox.take().await;
            self.on_the_way = Some((key.clone(), news.clone()));
            match report(&caller, &key, &news).await {
                Ok(()) => drop(self.metrics.reports.inc()),
                Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                    return anyhow::anyhow!("{}", status.message());
                }
                Err(status) => {
                    // The next reading says it again: what is refused is not kept.
                    self.metrics.reports_refused.inc();
                    tracing::warn!(device = key.1, code = ?status.code(), "a report is refused: {}", status.message());
                    if matches!(status.code(), Code::Unknown | Code::ResourceExhausted) {
                        tokio::time::sleep(BREATH).await;
                    }
                }
            }
            self.on_the_way = None;
        }
    }
}

async fn report(caller: &Caller, key: &Key, news: &News) -> Result<(), Status> {
    if let Some(state) = news.state {
        let call = dmi::ReportDeviceStatesRequest {
            device_name: key.1.clone(),
            device_namespace: key.0.clone(),
            state: state.word().to_owned(),
        };
        caller.call::<_, dmi::ReportDeviceStatesResponse>("ReportDeviceStates", call).await?;
    }
    if !news.readings.is_empty() {
        let call = dmi::ReportDeviceStatusRequest {
            device_name: key.1.clone(),
            device_namespace: key.0.clone(),
            reported_device: Some(dmi::DeviceStatus {
                twins: news.readings.iter().map(|(name, reading)| twin(name, reading)).collect(),
                ..Default::default()
            }),
        };
        caller.call::<_, dmi::ReportDeviceStatusResponse>("ReportDeviceStatus", call).await?;
    }
    Ok(())
}

/// Stock EdgeCore crashes where one of the two is missing, so both are there; nothing desired is an empty text.
fn twin(name: &str, reading: &Reading) -> dmi::Twin {
    let value = |value: &str| {
        let metadata = [("timestamp", reading.at.to_string()), ("type", reading.data_type.to_owned())];
        Some(dmi::TwinProperty {
            value: value.to_owned(),
            metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        })
    };
    dmi::Twin {
        property_name: name.to_owned(),
        observed_desired: value(reading.desired.as_deref().unwrap_or_default()),
        reported: value(&reading.value),
    }
}

impl Caller {
    /// The connection is a future of its own: it ends when EdgeCore does. There are no pings: a Unix socket says by itself when
    /// its peer is gone, and a stock EdgeCore hangs up on whoever pings it.
    async fn connect<D: Dial>(
        way: &D,
    ) -> anyhow::Result<(Self, impl Future<Output = Result<(), hyper::Error>> + Send + use<D>)> {
        let stream = way.dial().await?;
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
        let (sender, connection) = tokio::time::timeout(CALL_TIMEOUT, handshake).await??;
        Ok((Self { sender }, connection))
    }

    async fn call<Q, A>(&self, method: &str, call: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let path = format!("/{}/{method}", dmi::MANAGER);
        let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
        let sender = self.sender.clone();
        let service = tower::service_fn(move |request| {
            let mut sender = sender.clone();
            async move {
                sender.ready().await?;
                sender.send_request(request).await
            }
        });
        let origin = Uri::from_static("http://edgecore");
        let mut client =
            tonic::client::Grpc::with_origin(service, origin).max_decoding_message_size(MAX_ANSWER);
        let asked = client.unary(Request::new(call), path, ProstCodec::<Q, A>::default());
        let answer = tokio::time::timeout(CALL_TIMEOUT, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        answer.map(tonic::Response::into_inner).map_err(transported)
    }
}

/// What hyper says when the connection breaks is no answer of EdgeCore.
fn transported(status: Status) -> Status {
    let is_ours = std::error::Error::source(&status).is_some();
    if is_ours { Status::unavailable(status.message()) } else { status }
}
