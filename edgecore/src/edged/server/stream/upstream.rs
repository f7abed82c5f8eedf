//! The runtime's streaming server: where it is, and the request that is made to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use chassis::task::{self, AbortOnDrop};
use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, UPGRADE};
use http::{Method, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::edged::server::error::Error;

/// How long the runtime may take to answer: its own limit for the streams to be made.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// What is passed on of a request besides what makes it an upgrade; all else is between the client and us.
const PASSED_ON: [HeaderName; 5] = [
    HeaderName::from_static("x-stream-protocol-version"),
    HeaderName::from_static("sec-websocket-key"),
    HeaderName::from_static("sec-websocket-version"),
    HeaderName::from_static("sec-websocket-protocol"),
    HeaderName::from_static("sec-websocket-extensions"),
];
/// The protocols that are streams. Which of their versions is spoken is agreed between client and runtime.
const PROTOCOLS: [&str; 2] = ["spdy/3.1", "websocket"];

/// What the runtime answered.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) response: Response<Incoming>,
    /// The connection, until its bytes are taken over.
    pub(super) driver: AbortOnDrop<()>,
}

/// Is it a request for streams at all?
pub(super) fn check(headers: &HeaderMap) -> Result<(), Error> {
    let mut connection = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asks =
        connection.any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")));
    let protocol = headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known));
    let missing = || Error::Query("an upgrade to SPDY/3.1 or to WebSocket is needed".to_owned());
    (asks && known).then_some(()).ok_or_else(missing)
}

/// Makes the request again, at the URL that the runtime gave.
pub(super) async fn ask(url: &str, method: Method, headers: &HeaderMap) -> Result<Upstream, Error> {
    let (address, uri) = target(url)?;
    let asked = async {
        let stream = TcpStream::connect(address).await.map_err(|error| failed(url, &error))?;
        // Keys that are typed must not wait for the ones before them to be acknowledged.
        stream.set_nodelay(true).map_err(|error| failed(url, &error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(url, &error))?;
        let driver = task::spawn(tracing::Span::current(), async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!("connection to the runtime's streaming server ended: {error}");
            }
        });
        let request = request(address, &uri, method, headers);
        let response = sender.send_request(request).await.map_err(|error| failed(url, &error))?;
        Ok(Upstream { response, driver })
    };
    tokio::time::timeout(ANSWER_TIME, asked).await.map_err(|_| {
        Error::Upstream(format!("the container runtime did not answer at {url} within {ANSWER_TIME:?}"))
    })?
}

fn request(address: SocketAddr, uri: &Uri, method: Method, headers: &HeaderMap) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method;
    // A server is sent the path alone; only proxies get the whole.
    *request.uri_mut() = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    let ours = request.headers_mut();
    if let Ok(host) = address.to_string().try_into() {
        ours.insert(HOST, host);
    }
    ours.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    for name in PASSED_ON.into_iter().chain([UPGRADE]) {
        for value in headers.get_all(&name) {
            ours.append(name.clone(), value.clone());
        }
    }
    request
}

/// Where to connect. The runtime is on this machine and gives a token in the URL that is as good as a password: a URL
/// that leads anywhere else is a mistake, or worse.
fn target(url: &str) -> Result<(SocketAddr, Uri), Error> {
    let refuse = |why: &str| {
        Error::Upstream(format!("the container runtime's streaming URL {url:?} is refused: {why}"))
    };
    let uri: Uri = url.parse().map_err(|_| refuse("it is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(refuse(
            "only http is supported (enable_tls_streaming or stream_enable_tls of the runtime)",
        ));
    }
    let host = uri.host().unwrap_or_default();
    let ip = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) if host == "localhost" => Ipv4Addr::LOCALHOST.into(),
        Err(_) => return Err(refuse("it is not on a loopback address")),
    };
    if !ip.is_loopback() {
        return Err(refuse("it is not on a loopback address"));
    }
    Ok(((ip, uri.port_u16().unwrap_or(80)).into(), uri))
}

fn failed(url: &str, error: &impl std::fmt::Display) -> Error {
    Error::Upstream(format!("the container runtime's streaming server ({url}): {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_connected_to() {
        for (url, address) in [
            ("http://127.0.0.1:1234/exec/x", "127.0.0.1:1234"),
            ("http://[::1]:1234/exec/x?y=z", "[::1]:1234"),
            ("http://localhost/exec/x", "127.0.0.1:80"),
        ] {
            assert_eq!(target(url).unwrap().0.to_string(), address);
        }
        for url in [
            "http://192.0.2.1:1234/exec/x",
            "http://evil.example/",
            "https://127.0.0.1:1/",
            "http://0.0.0.0:1/",
            "",
            "/exec/x",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "http://[::ffff:192.0.2.1]/",
        ] {
            let error = target(url).unwrap_err().to_string();
            assert!(error.contains("is refused"), "{url}: {error}");
        }
    }

    #[test]
    fn only_upgrades_to_streams_are_taken() {
        let with = |connection: &'static str, upgrade: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, connection.parse().unwrap());
            headers.insert(UPGRADE, upgrade.parse().unwrap());
            check(&headers).is_ok()
        };
        assert!(with("Upgrade", "SPDY/3.1") && with("keep-alive, upgrade", "websocket"));
        assert!(
            !with("keep-alive", "SPDY/3.1") && !with("Upgrade", "h2c") && check(&HeaderMap::new()).is_err()
        );
    }

    #[test]
    fn what_is_between_client_and_us_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "x"),
            ("upgrade", "SPDY/3.1"),
            ("x-stream-protocol-version", "v4.channel.k8s.io"),
            ("x-stream-protocol-version", "v3.channel.k8s.io"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let (address, uri) = target("http://127.0.0.1:1234/exec/token?x=1").unwrap();
        let request = request(address, &uri, Method::POST, &headers);
        let mut names: Vec<_> = request.headers().iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let version = "x-stream-protocol-version";
        assert_eq!(names, ["connection", "host", "upgrade", version, version]);
        assert_eq!(
            (request.uri().to_string().as_str(), request.method()),
            ("/exec/token?x=1", &Method::POST)
        );
        assert_eq!(request.headers()[HOST], "127.0.0.1:1234");
    }
}
