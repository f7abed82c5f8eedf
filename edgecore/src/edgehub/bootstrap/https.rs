//! One HTTPS request on one connection, bounded in time and size.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::link::OutOfTime;
use http::response::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::BootstrapError;

/// Time for one request, from dialing to the end of the answer; stock's (spec edge-keadm-mapper 1.1).
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes. Certificates are below 1 KiB, and an unverified server gets to answer too.
const MAX_ANSWER: usize = 64 * 1024;
/// How much of a refusal's text is kept, in characters: it ends up in a log line.
const MAX_REFUSAL: usize = 300;
/// Port of `https` when the URL has none (RFC 9110 4.2.2).
const HTTPS_PORT: u16 = 443;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `https://host:port`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl FromStr for Endpoint {
    type Err = BootstrapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || BootstrapError::Server(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or_else(wrong)?;
        // Addresses of IPv6 stand in brackets in a URL and nowhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
        Ok(Self { host, port: uri.port_u16().unwrap_or(HTTPS_PORT), name })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl Endpoint {
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn connect(&self, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Failure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // The end of the handshake and the request are two small writes; without this the second waits for an ack.
        stream.set_nodelay(true)?;
        Ok(TlsConnector::from(tls).connect(self.name.clone(), stream).await?)
    }
}

/// An answer with status 200.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// The time on the server's clock, if it says (RFC 9110 6.6.1).
    pub(super) date: Option<Timestamp>,
}

/// GET with a body, as the cloud wants it.
pub(super) async fn get(
    endpoint: &Endpoint,
    path: &str,
    tls: Arc<ClientConfig>,
    headers: HeaderMap,
    body: Vec<u8>,
) -> Result<Answer, BootstrapError> {
    let url = format!("{endpoint}{path}");
    let exchange = async {
        let stream = endpoint.connect(tls).await?;
        let mut request = Request::get(path).body(Full::new(Bytes::from(body)))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, endpoint.authority().try_into()?);
        send(stream, request).await
    };
    let (head, body) = match timeout(TIMEOUT, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(source)) => {
            return Err(match OutOfTime::cause_of(source.as_ref()) {
                Some(fault) => BootstrapError::ServerOutOfTime { url, fault, server_clock: None },
                None => BootstrapError::Exchange { url, source },
            });
        }
        Err(_) => return Err(BootstrapError::Timeout { url, seconds: TIMEOUT.as_secs() }),
    };
    let status = head.status;
    if status == StatusCode::OK {
        return Ok(Answer { body: body.into(), date: date(&head.headers) });
    }
    let text = String::from_utf8_lossy(&body).trim().chars().take(MAX_REFUSAL).collect();
    Err(BootstrapError::Refused { url, status, text })
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let said = headers.get(header::DATE)?.to_str().ok()?;
    rfc2822::parse(said).ok().map(|date| date.timestamp())
}

async fn send(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
) -> Result<(Parts, Bytes), Failure> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection works while it is polled, and ends when its sender is dropped.
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        collect(answer).await
    };
    let (answer, connection) = tokio::join!(exchange, connection);
    match (answer, connection) {
        (Ok(answer), _) => Ok(answer),
        // The connection knows better why there is no answer, for example that the certificate was refused.
        (Err(_), Err(error)) => Err(error.into()),
        (Err(error), Ok(())) => Err(error),
    }
}

async fn collect(answer: Response<Incoming>) -> Result<(Parts, Bytes), Failure> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?;
    Ok((head, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_server_is_read_from_its_answer() {
        let said = |text: &'static str| date(&HeaderMap::from_iter([(header::DATE, text.parse().unwrap())]));
        let date = said("Fri, 27 Nov 2026 15:32:32 GMT").unwrap();
        assert_eq!(date.to_string(), "2026-11-27T15:32:32Z");
        assert_eq!((said("yesterday"), said("")), (None, None));
    }

    #[test]
    fn servers_that_are_read_and_how_they_are_shown() {
        for (text, shown) in [
            ("https://10.0.0.1:10002", "https://10.0.0.1:10002"),
            ("https://[fd00::1]:10002", "https://[fd00::1]:10002"),
            ("https://cloud.example", "https://cloud.example:443"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn servers_that_are_refused_by_the_name_of_their_key() {
        for text in ["", "10.0.0.1:10002", "http://10.0.0.1:10002", "https://", "https://a b"] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(error.to_string().starts_with("modules.edgeHub.httpServer"), "{error}");
        }
    }
}
