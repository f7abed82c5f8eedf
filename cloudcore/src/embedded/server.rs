//! The embedded API server: its files, its certificates, its socket.
//!
//! ```text
//! <dataDir>/state.db          every object
//!           ca.crt ca.key     signs what follows; not the CA of the edge nodes: an edge certificate opens nothing here
//!           server.crt .key   the server's own, issued anew when its addresses change
//!           accounts.key      signs service account tokens
//!           admin.kubeconfig  group system:masters, for the owner of this machine
//! ```

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use apiserver::registry::Hooks;
use apiserver::store::{Database, Limits};
use apiserver::{ApiServer, Options, User};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use certs::armor::encode_certificate;
use certs::ca::Ca;
use certs::certificate::CertificateInfo;
use certs::files;
use certs::key::PrivateKey;
use certs::san::SanList;
use certs::tls::{ClientAuth, TlsIdentity, server_config};
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use serde_json::json;
use tokio::net::TcpListener;

use super::{definitions, service};

/// Life of the admin certificate. The kubeconfig is written anew at every start, so this only has to outlast one run.
const ADMIN_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// Name of the administrator in the certificate; what it may do comes from the group.
const ADMIN: &str = "skerry:admin";
/// Group that may do everything (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/>).
const MASTERS: &str = "system:masters";

/// Where the server keeps and shows itself; from `modules.embedded`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of all its files.
    pub data_dir: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Further address that clients use, if any.
    pub advertise: Option<String>,
    /// Rules for custom kinds ([`Options::custom_hooks`]).
    pub hooks: Vec<(String, Hooks)>,
}

/// The server with its socket open, not serving yet.
pub struct EmbeddedApi {
    api: ApiServer,
    listener: TcpListener,
    tls: ServerConfig,
    address: SocketAddr,
    kubeconfig: PathBuf,
    ca_pem: String,
    /// Where pods find it.
    service: Option<SocketAddr>,
}

impl std::fmt::Debug for EmbeddedApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedApi").field("address", &self.address).finish_non_exhaustive()
    }
}

impl EmbeddedApi {
    /// Opens the database and the socket, makes what keys and certificates are missing, and writes the kubeconfig.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the address is taken.
    pub async fn open(config: &Config, clock: Clock, rng: Rng) -> anyhow::Result<Self> {
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let now = clock.now();
        let ca = load_or_create_ca(dir, now)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listen on {} (modules.embedded.address, .port)", config.listen))?;
        let address = listener.local_addr()?;
        let identity = load_or_issue_server(dir, &ca, &names(config), now)?;
        let tls = server_config(ca.cert_der(), &identity, ClientAuth::Optional)?;
        let options = Options {
            database: Database::File(dir.join("state.db")),
            limits: Limits::default(),
            custom_hooks: config.hooks.clone(),
            service_account_key: load_or_create_key(&dir.join("accounts.key"))?,
            clock,
            rng,
        };
        let api = ApiServer::open(options).await.context("open the embedded API's database")?;
        let kubeconfig = dir.join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, &ca, client_address(config, address), now)?;
        let ca_pem = encode_certificate(ca.cert_der());
        let service = service::address(address, config.advertise.as_deref());
        Ok(Self { api, listener, tls, address, kubeconfig, ca_pem, service })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The administrator's client inside this process: the same API, without a socket and TLS in between.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.api.service(User::admin()), "default")
    }

    /// Brings to the API what CloudCore itself wants there: the kinds that it works with, and where pods find the API.
    ///
    /// # Errors
    /// What the API refused.
    pub async fn furnish(&self) -> anyhow::Result<()> {
        definitions::install(&self.client()).await?;
        service::publish(&self.client(), self.service).await
    }

    /// Adds what the server counts.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.api.register_metrics(registry);
    }

    /// What clients verify the server with, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

impl Module for EmbeddedApi {
    const NAME: &'static str = "embedded-api";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        self.api.serve(self.listener, self.tls, shutdown).await.context("serve the embedded API")
    }
}

fn load_or_create_ca(dir: &Path, now: Timestamp) -> anyhow::Result<Ca> {
    let (certificate, key) = (dir.join("ca.crt"), dir.join("ca.key"));
    if let Some(found) = files::read_pair(&certificate, &key)? {
        let (certificate, key) = (found.certificate().clone(), PrivateKey::from_der(found.key().sec1_der())?);
        return Ok(Ca::new(certificate, key)?);
    }
    let ca = Ca::generate(now)?;
    let identity = TlsIdentity::new(ca.cert_der().clone(), PrivateKey::from_der(ca.key().sec1_der())?);
    files::write_pair(&certificate, &key, &identity)?;
    Ok(ca)
}

/// Everything that a client may call the server by.
fn names(config: &Config) -> SanList {
    let ip = config.listen.ip();
    let listen = (!ip.is_unspecified()).then(|| ip.to_string());
    let fixed = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let given = listen.into_iter().chain(config.advertise.clone());
    SanList::new(fixed.into_iter().map(str::to_owned).chain(given))
}

/// The certificate on disk serves on while it is valid, ours, and has every name.
fn load_or_issue_server(dir: &Path, ca: &Ca, names: &SanList, now: Timestamp) -> anyhow::Result<TlsIdentity> {
    let (certificate, key) = (dir.join("server.crt"), dir.join("server.key"));
    if let Some(found) = files::read_pair(&certificate, &key)? {
        let info = CertificateInfo::from_der(found.certificate())?;
        if ca.issued(found.certificate(), now) && info.is_valid_at(now) && info.names.covers(names) {
            return Ok(found);
        }
    }
    let issued = ca.issue_server(names, now)?;
    files::write_pair(&certificate, &key, &issued)?;
    Ok(issued)
}

fn load_or_create_key(path: &Path) -> anyhow::Result<PrivateKey> {
    if let Some(key) = files::read_key(path)? {
        return Ok(key);
    }
    let key = PrivateKey::generate()?;
    files::write_atomically(path, key.to_pem().as_bytes(), files::MODE_SECRET)?;
    Ok(key)
}

/// What goes into the kubeconfig: the advertised address, else where it listens, and this machine for "everywhere".
fn client_address(config: &Config, address: SocketAddr) -> String {
    let host = config.advertise.clone().unwrap_or_else(|| match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    });
    format!("https://{host}:{}", address.port())
}

fn write_kubeconfig(path: &Path, ca: &Ca, server: String, now: Timestamp) -> anyhow::Result<()> {
    let admin = ca.issue_client(ADMIN, MASTERS, ADMIN_LIFETIME, now)?;
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "skerry", "cluster": {
            "server": server,
            "certificate-authority-data": BASE64.encode(encode_certificate(ca.cert_der())),
        }}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": BASE64.encode(encode_certificate(admin.certificate())),
            "client-key-data": BASE64.encode(admin.key().to_pem().as_bytes()),
        }}],
        "contexts": [{"name": "skerry", "context": {"cluster": "skerry", "user": "admin"}}],
        "current-context": "skerry",
    });
    // JSON is YAML, and kubectl reads it.
    let text = serde_json::to_string_pretty(&kubeconfig)?;
    files::write_atomically(path, text.as_bytes(), files::MODE_SECRET)?;
    Ok(())
}
