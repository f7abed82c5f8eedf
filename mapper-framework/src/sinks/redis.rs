//! Push into Redis, as stock has it: a sorted set for each device, under the device's name, whose members are JSON and whose
//! scores are times. What is pushed twice is there once. Sets grow for as long as nobody trims them (`ZREMRANGEBYSCORE`).
//!
//! One connection serves a worker, whatever `poolsize` and `minIdleConns` say: values go one batch after the other. It is opened
//! here, so that TLS is the same as elsewhere in this mapper; the client crate speaks over it.

#[cfg(test)]
pub(super) mod tests;

use std::time::Duration;

use chassis::task::{self, AbortOnDrop};
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, RedisResult};
use rustls_pki_types::ServerName;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Push, Sample, Sink, SinkError, partly};
use crate::address::{Address, Schemes};
use crate::tls::Trust;

const SCHEMES: Schemes =
    Schemes { plain: &["redis", "tcp"], tls: &["rediss", "tls"], port: 6379, tls_port: 6379 };
/// Redis answers within milliseconds; one that takes longer is away.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// First words of answers that say "not now", whatever was asked.
const NOT_NOW: [&str; 11] = [
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "NOAUTH",
    "UNBLOCKED",
];

/// See the module's documentation.
pub(super) struct Redis {
    address: Address,
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
    connection: Option<Connection>,
}

pub(super) struct Connection {
    redis: MultiplexedConnection,
    _driving: AbortOnDrop<()>,
}

/// What is kept of a value: stock's DataModel.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Member<'a> {
    device_name: &'a str,
    property_name: &'a str,
    namespace: &'a str,
    value: String,
    r#type: String,
    time_stamp: i64,
}

impl Redis {
    pub(super) fn new(
        address: &str,
        database: i32,
        password: &str,
        trust: &Trust,
    ) -> Result<Self, SinkError> {
        let address = SCHEMES.read(address).map_err(SinkError::Refused)?;
        let tls = address.is_tls.then(|| trust.client().map(TlsConnector::from)).transpose();
        Ok(Self {
            address,
            login: login(database, password),
            tls: tls.map_err(SinkError::Refused)?,
            connection: None,
        })
    }

    /// Over a connection that there is already.
    #[cfg(test)]
    pub(super) async fn over(stream: tokio::io::DuplexStream, password: &str) -> Result<Self, String> {
        let login = login(3, password);
        let connection = Some(Connection::over(stream, &login).await?);
        let address = Address { host: String::new(), port: 0, is_tls: false };
        Ok(Self { address, login, tls: None, connection })
    }

    async fn connect(&self) -> Result<Connection, String> {
        let Address { host, port, .. } = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return Connection::over(stream, &self.login).await };
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|error| error.to_string())?;
        Connection::over(stream, &self.login).await
    }

    async fn push_all(&mut self, batch: &[Push]) -> Result<(), SinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(SinkError::Unreachable)?,
        };
        let mut commands = redis::Pipeline::new();
        for push in batch {
            let sample = &push.sample;
            commands.cmd("ZADD").arg(&sample.device).arg(sample.at).arg(member(sample)?);
        }
        let answers: RedisResult<Vec<RedisResult<i64>>> =
            commands.ignore_errors().query_async(&mut connection.redis).await;
        let answers = answers.map_err(|error| SinkError::Unreachable(error.to_string()))?;
        let (mut refused, mut why) = (0, None);
        for error in answers.into_iter().filter_map(Result::err) {
            if is_for_now(&error) {
                return Err(SinkError::Unreachable(error.to_string()));
            }
            (refused, why) = (refused + 1, Some(error.to_string()));
        }
        self.connection = Some(connection);
        partly(refused, batch.len(), why)
    }
}

impl Connection {
    /// Logs in, and chooses the database.
    async fn over<S>(stream: S, login: &RedisConnectionInfo) -> Result<Self, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIME));
        let opened = MultiplexedConnection::new_with_config(login, stream, config).await;
        let (redis, driving) = opened.map_err(|error| error.to_string())?;
        Ok(Self { redis, _driving: task::spawn(tracing::Span::current(), driving) })
    }
}

impl Sink for Redis {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.push_all(batch))
    }
}

fn login(database: i32, password: &str) -> RedisConnectionInfo {
    let login = RedisConnectionInfo::default().set_db(database.into());
    if password.is_empty() { login } else { login.set_password(password) }
}

/// Whether the same would be taken later.
fn is_for_now(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        _ => error.code().is_some_and(|code| NOT_NOW.contains(&code)),
    }
}

fn member(sample: &Sample) -> Result<String, SinkError> {
    let member = Member {
        device_name: &sample.device,
        property_name: &sample.property,
        namespace: &sample.namespace,
        value: sample.value.to_string(),
        r#type: sample.data_type.map_or("", crate::value::DataType::name).to_ascii_lowercase(),
        time_stamp: sample.at,
    };
    serde_json::to_string(&member).map_err(|error| SinkError::Refused(error.to_string()))
}
