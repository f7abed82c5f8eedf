//! A cloud for nodes to join: real TLS on loopback, the two paths, and a few ways to go wrong.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use certs::tls::{ClientAuth, server_config};
use certs::token::verify_bearer;
use certs::{Ca, CertificateInfo, JoinToken, NodeIdentity, PrivateKey, SanList, TlsIdentity, csr};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::super::Endpoint;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How the cloud behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Good,
    SignsForAnotherNode,
    SignsWithAnotherCa,
    /// Answers with far more than anybody asked for.
    Floods,
    /// 503 to the first two requests.
    FailsTwice,
    /// Tells the right CA certificate, and shows a certificate of its own.
    InBetween,
}

pub(super) struct Cloud {
    behaviour: Behaviour,
    ca: Ca,
    listener: TcpListener,
    tls: TlsAcceptor,
    requests: RefCell<Vec<String>>,
    failures: Cell<usize>,
    asked: Notify,
    clock: Timestamp,
}

impl Cloud {
    pub(super) async fn new(behaviour: Behaviour) -> Self {
        Self::at(behaviour, Timestamp::now()).await
    }

    /// A cloud by whose clock it is `now`, and stays so.
    pub(super) async fn at(behaviour: Behaviour, now: Timestamp) -> Self {
        let ca = Ca::generate(now).unwrap();
        let shown = if behaviour == Behaviour::InBetween { Ca::generate(now).unwrap() } else { ca.clone() };
        let server = shown.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
        let tls = server_config(ca.cert_der(), &server, ClientAuth::Optional).unwrap();
        let failures = Cell::new(if behaviour == Behaviour::FailsTwice { 2 } else { 0 });
        Self {
            behaviour,
            ca,
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tls: TlsAcceptor::from(Arc::new(tls)),
            requests: RefCell::default(),
            failures,
            asked: Notify::new(),
            clock: Timestamp::from_second(now.as_second()).unwrap(),
        }
    }

    /// What it says that the time is, in whole seconds.
    pub(super) fn clock(&self) -> Timestamp {
        self.clock
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        format!("https://{}", self.listener.local_addr().unwrap()).parse().unwrap()
    }

    pub(super) fn ca(&self) -> &Ca {
        &self.ca
    }

    pub(super) fn token(&self) -> JoinToken {
        JoinToken::issue(&self.ca, Timestamp::now(), DAY).unwrap()
    }

    pub(super) fn expired_token(&self) -> JoinToken {
        JoinToken::issue(&self.ca, Timestamp::now(), -DAY).unwrap()
    }

    /// What a node of this name would hold after joining.
    pub(super) fn identity(&self, node: &str, lifetime: SignedDuration) -> TlsIdentity {
        let key = PrivateKey::generate().unwrap();
        let request = csr::request(&NodeIdentity::new(node).unwrap(), &key).unwrap();
        let certificate = self.ca.sign_node_csr(&request, node, lifetime, Timestamp::now()).unwrap();
        TlsIdentity::new(certificate, key)
    }

    /// Paths that were asked for, with the node when it showed its certificate.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits for the next request; it has to be served meanwhile.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Serves, one connection after the other, until `work` is done.
    pub(super) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            () = self.serve() => unreachable!("it serves for ever"),
        }
    }

    async fn serve(&self) {
        loop {
            let (stream, _) = self.listener.accept().await.unwrap();
            let Ok(stream) = self.tls.accept(stream).await else { continue };
            let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
            let peer = peer.map(|it| CertificateInfo::from_der(&it).unwrap().node().unwrap());
            let answer = service_fn(|request| self.answer(request, peer.clone()));
            http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Option<NodeIdentity>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let by = peer.as_ref().map(|it| format!(" by {}", it.node_name())).unwrap_or_default();
        self.requests.borrow_mut().push(format!("{path}{by}"));
        self.asked.notify_waiters();
        let answer = |status, body: Vec<u8>| {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status;
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.clock);
            response.headers_mut().insert(header::DATE, date.unwrap().parse().unwrap());
            Ok(response)
        };
        if self.failures.get() > 0 {
            self.failures.set(self.failures.get() - 1);
            return answer(StatusCode::SERVICE_UNAVAILABLE, b"starting".to_vec());
        }
        if self.behaviour == Behaviour::Floods {
            return answer(StatusCode::OK, vec![0; 1 << 20]);
        }
        if path == "/ca.crt" {
            return answer(StatusCode::OK, self.ca.cert_der().to_vec());
        }
        let bearer = request.headers().get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
        if let Some(bearer) = bearer.filter(|_| peer.is_none()) {
            let verified = verify_bearer(&bearer["Bearer ".len()..], &self.ca, Timestamp::now());
            if let Err(error) = verified {
                return answer(StatusCode::UNAUTHORIZED, error.to_string().into_bytes());
            }
        }
        let node = request.headers()["nodename"].to_str().unwrap().to_owned();
        let csr = request.into_body().collect().await.unwrap().to_bytes();
        answer(StatusCode::OK, self.sign(&csr, &node))
    }

    fn sign(&self, csr: &[u8], node: &str) -> Vec<u8> {
        let now = Timestamp::now();
        match self.behaviour {
            Behaviour::SignsForAnotherNode => self.identity("edge9", DAY).certificate().to_vec(),
            Behaviour::SignsWithAnotherCa => {
                Ca::generate(now).unwrap().sign_node_csr(csr, node, DAY, now).unwrap().to_vec()
            }
            _ => self.ca.sign_node_csr(csr, node, DAY, now).unwrap().to_vec(),
        }
    }
}
