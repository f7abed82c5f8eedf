//! A server with throw-away certificates, and the kubeconfig of its administrator.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::armor::encode_certificate;
use certs::ca::Ca;
use certs::san::SanList;
use certs::tls::{ClientAuth, TlsIdentity, server_config};
use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use serde_json::json;
use tokio::net::TcpListener;

/// A day: longer than anybody tries something out.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A listener with what it takes to serve on it and to reach it.
pub(crate) struct Endpoint {
    pub(crate) listener: TcpListener,
    pub(crate) tls: ServerConfig,
    pub(crate) kubeconfig: PathBuf,
}

impl Endpoint {
    /// Listens on a port of this machine (0: any) and writes `kubeconfig` to `dir`.
    pub(crate) async fn bind(dir: &Path, port: u16) -> Result<Self, Box<dyn Error>> {
        let now = Timestamp::now();
        let ca = Ca::generate(now)?;
        let server = ca.issue_server(&SanList::new(["127.0.0.1", "localhost"]), now)?;
        let admin = ca.issue_client("admin", "system:masters", LIFETIME, now)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let kubeconfig = dir.join("kubeconfig");
        std::fs::write(&kubeconfig, of(&ca, address, &admin))?;
        let tls = server_config(ca.cert_der(), &server, ClientAuth::Optional)?;
        Ok(Self { listener, tls, kubeconfig })
    }
}

/// A kubeconfig as JSON, which is YAML.
fn of(ca: &Ca, address: SocketAddr, user: &TlsIdentity) -> String {
    let certificate = STANDARD.encode(encode_certificate(user.certificate()));
    let key = STANDARD.encode(user.key().to_pem().as_bytes());
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "try",
        "clusters": [{"name": "try", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority-data": STANDARD.encode(encode_certificate(ca.cert_der())),
        }}],
        "users": [{"name": "try", "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": "try", "context": {"cluster": "try", "user": "try"}}],
    })
    .to_string()
}
