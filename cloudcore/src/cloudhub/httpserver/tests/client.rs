//! One request to the server, built fluently.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use certs::TlsIdentity;
use certs::tls::client_config;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(super) struct Ask {
    address: SocketAddr,
    ca: CertificateDer<'static>,
    identity: Option<TlsIdentity>,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(address: SocketAddr, ca: CertificateDer<'static>, path: &str) -> Self {
        let (identity, method, headers, body) = Default::default();
        Self { address, ca, identity, method, path: path.to_owned(), headers, body }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(super) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub(super) fn identity(mut self, identity: TlsIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    pub(super) fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    pub(super) async fn send(self) -> (StatusCode, Vec<u8>) {
        self.try_send().await.unwrap()
    }

    pub(super) async fn try_send(self) -> Result<(StatusCode, Vec<u8>), Box<dyn std::error::Error>> {
        let config = client_config(&self.ca, self.identity.as_ref())?;
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::from(self.address.ip());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::new(Full::new(Bytes::from(self.body)));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse()?;
        *request.headers_mut() = self.headers;
        let exchange = async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes().to_vec()))
        };
        match tokio::join!(exchange, connection) {
            (Ok(answer), _) => Ok(answer),
            // The connection knows better why there is no answer.
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error.into()),
        }
    }
}
