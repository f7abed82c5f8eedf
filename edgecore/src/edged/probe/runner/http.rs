//! HTTP requests, as probes and hooks make them:
//! <https://kubernetes.io/docs/concepts/workloads/pods/probes/#http-probes>.
//!
//! HTTP/1.1 over plain TCP or over TLS without verification (kubelet does not verify either: it is about the
//! container at a known address, not about who it is). Redirects are followed on the same host only.

mod connection;
mod request;

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};

use self::connection::send;
pub(super) use self::connection::{Stream, tls};
pub use self::request::Target;
use super::{Answer, host_of, port_of};

/// Who asks, as kubelet of the version that edged reports says it: `kube-probe/<major>.<minor>`.
pub(super) const USER_AGENT: &str = "kube-probe/1.32";
/// kubelet's bound for what is read of a body.
const MAX_BODY: usize = 10 << 10;
/// The eleventh redirect is not followed.
const MAX_REDIRECTS: usize = 10;

/// A request to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGet {
    target: Target,
    headers: HeaderMap,
    /// The host that the pod wants to be named in the request.
    host: Option<HeaderValue>,
}

/// What a server answered, after all redirects that are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::edged) struct Response {
    status: StatusCode,
    /// Its first [`MAX_BODY`] bytes.
    body: Vec<u8>,
    /// There was a redirect that was not followed.
    stopped: bool,
}

// === impl HttpGet ===

impl HttpGet {
    /// Of a probe or hook of `container`, whose pod has the address `ip`.
    ///
    /// # Errors
    /// It names no port, or a header that cannot be one.
    pub fn of(get: &HTTPGetAction, container: &Container, ip: Option<IpAddr>) -> Result<Self, String> {
        let port = port_of(&get.port, container)?;
        let host = host_of(get.host.as_deref(), ip)?;
        let secure = get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let mut headers = HeaderMap::new();
        for header in get.http_headers.iter().flatten() {
            let name = header::HeaderName::try_from(header.name.trim());
            let name = name.map_err(|_| format!("invalid header field name {:?}", header.name))?;
            let value = HeaderValue::try_from(header.value.as_str());
            let value = value.map_err(|_| format!("invalid header field value for {:?}", header.name))?;
            headers.append(name, value);
        }
        let host_header = headers.remove(header::HOST);
        if !headers.contains_key(header::USER_AGENT) {
            headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        }
        match headers.get(header::ACCEPT).map(HeaderValue::is_empty) {
            None => drop(headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"))),
            Some(true) => drop(headers.remove(header::ACCEPT)),
            Some(false) => {}
        }
        let target = Target::new(secure, &host, port, get.path.as_deref().unwrap_or_default());
        Ok(Self { target, headers, host: host_header })
    }

    /// Asks for at most `timeout`; a status from 200 to 399 is good.
    pub(super) async fn probe(&self, timeout: Duration) -> Answer {
        let response = match tokio::time::timeout(timeout, self.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Answer::failure(error),
            Err(_) => {
                return Answer::failure(format!(
                    "Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                    self.target
                ));
            }
        };
        let status = response.status.as_u16();
        if !(200..400).contains(&status) {
            return Answer::failure(format!("HTTP probe failed with statuscode: {status}"));
        }
        let mut answer = Answer::success();
        if response.stopped {
            let body = String::from_utf8_lossy(&response.body);
            answer.text = format!("Probe terminated redirects, Response body: {body}");
        }
        answer
    }

    /// Sends the request and follows redirects. Takes as long as the server does.
    ///
    /// # Errors
    /// There is no answer; in Go's words.
    pub(in crate::edged) async fn send(&self) -> Result<Response, String> {
        let (mut target, mut host) = (self.target.clone(), self.host.clone());
        for followed in 0.. {
            let (status, location, body) = send(&target, &self.headers, host.as_ref())
                .await
                .map_err(|error| format!("Get \"{target}\": {error}"))?;
            let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(location) = location.filter(|_| redirects) else {
                return Ok(Response { status, body, stopped: false });
            };
            let next = target.join(&location);
            let next = next.filter(|next| next.is_on_host_of(&self.target) && followed < MAX_REDIRECTS);
            let Some(next) = next else { return Ok(Response { status, body, stopped: true }) };
            // A host of the pod's choice stays only while the server says where on it to look.
            host = host.filter(|_| !request::is_absolute(&location));
            target = next;
        }
        Err("redirects without end".to_owned())
    }
}
