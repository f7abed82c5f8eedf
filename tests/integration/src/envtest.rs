//! A real Kubernetes API server and its etcd, where `KUBEBUILDER_ASSETS` names a folder that holds both (the
//! convention of the controller-runtime project's envtest).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};

use crate::kubectl::Kubectl;
use crate::ports;
use crate::process::Process;
use crate::wait::until;

/// The variable of the envtest convention.
pub const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// An API server takes about 10 s on two busy cores; ten times that is a failure.
const START: Duration = Duration::from_secs(100);

/// A running API server with its etcd. Both end when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    // Order matters: the API server goes before the etcd that it would otherwise complain about.
    _apiserver: Process,
    _etcd: Process,
    kubeconfig: PathBuf,
}

/// Where the two programs are, when the user gave them.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the tests read their environment")]
pub fn assets() -> Option<PathBuf> {
    std::env::var_os(ASSETS).map(PathBuf::from)
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver from `assets` with all state below `dir`, and waits until the API is ready.
    ///
    /// # Errors
    /// When one of them cannot be started or is not ready in time; the message holds its last output.
    pub async fn start(assets: &Path, dir: &Path) -> anyhow::Result<Self> {
        let [etcd_port, peer_port, api_port] = ports::free()?;
        let keys = Keys::write(dir)?;
        let etcd = start_etcd(assets, dir, etcd_port, peer_port)?;
        let mut apiserver = start_apiserver(assets, dir, &keys, etcd_port, api_port)?;
        let kubeconfig = keys.write_kubeconfig(dir, api_port)?;
        let kubectl = Kubectl::new(&kubeconfig);
        until("kube-apiserver ready", START, || {
            let alive = apiserver.still_runs();
            let kubectl = &kubectl;
            async move {
                match alive {
                    Err(dead) => Ok(Err(dead)),
                    Ok(()) => kubectl.run(&["get", "--raw", "/readyz"]).await.map(|_| Ok(())),
                }
            }
        })
        .await??;
        Ok(Self { _apiserver: apiserver, _etcd: etcd, kubeconfig })
    }

    /// A kubeconfig of group `system:masters`.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

fn start_etcd(assets: &Path, dir: &Path, client: u16, peer: u16) -> anyhow::Result<Process> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    let mut command = Command::new(assets.join("etcd"));
    command
        .args(["--name", "default", "--data-dir"])
        .arg(dir.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .arg("--unsafe-no-fsync");
    Process::start("etcd", &mut command, dir)
}

fn start_apiserver(assets: &Path, dir: &Path, keys: &Keys, etcd: u16, port: u16) -> anyhow::Result<Process> {
    let mut command = Command::new(assets.join("kube-apiserver"));
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--allow-privileged=true", "--authorization-mode=Node,RBAC"])
        .arg("--service-cluster-ip-range=10.255.0.0/24")
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .arg(path_flag("--service-account-key-file", &keys.account_public_key))
        .arg(path_flag("--service-account-signing-key-file", &keys.account_key))
        .arg(path_flag("--client-ca-file", &keys.ca))
        .arg(path_flag("--tls-cert-file", &keys.server_cert))
        .arg(path_flag("--tls-private-key-file", &keys.server_key));
    Process::start("kube-apiserver", &mut command, dir)
}

fn path_flag(flag: &str, path: &Path) -> String {
    format!("{flag}={}", path.display())
}

/// Throw-away keys and certificates of one control plane.
#[derive(Debug)]
struct Keys {
    ca: PathBuf,
    server_cert: PathBuf,
    server_key: PathBuf,
    admin_cert: PathBuf,
    admin_key: PathBuf,
    account_key: PathBuf,
    account_public_key: PathBuf,
}

impl Keys {
    fn write(dir: &Path) -> anyhow::Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "envtest");
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
        server.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut admin = CertificateParams::default();
        admin.distinguished_name.push(DnType::CommonName, "envtest-admin");
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];

        let (server_cert, server_key) = issue(dir, "server", &server, &issuer)?;
        let (admin_cert, admin_key) = issue(dir, "admin", &admin, &issuer)?;
        let accounts = KeyPair::generate()?;
        Ok(Self {
            ca: write(dir, "ca.crt", &ca_pem)?,
            account_key: write(dir, "accounts.key", &accounts.serialize_pem())?,
            account_public_key: write(dir, "accounts.pub", &accounts.public_key_pem())?,
            server_cert,
            server_key,
            admin_cert,
            admin_key,
        })
    }

    fn write_kubeconfig(&self, dir: &Path, port: u16) -> anyhow::Result<PathBuf> {
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "envtest", "cluster": {
                "server": format!("https://127.0.0.1:{port}"), "certificate-authority": self.ca}}],
            "users": [{"name": "admin", "user": {
                "client-certificate": self.admin_cert, "client-key": self.admin_key}}],
            "contexts": [{"name": "envtest", "context": {"cluster": "envtest", "user": "admin"}}],
            "current-context": "envtest",
        });
        write(dir, "kubeconfig", &kubeconfig.to_string())
    }
}

fn issue(
    dir: &Path,
    name: &str,
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, issuer)?.pem();
    Ok((
        write(dir, &format!("{name}.crt"), &cert)?,
        write(dir, &format!("{name}.key"), &key.serialize_pem())?,
    ))
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
