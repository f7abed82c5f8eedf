//! How nodes get their certificates: from a folder of an earlier run, else with a join token, as real edges do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use certs::{
    CertificateInfo, JoinToken, NodeIdentity, PrivateKey, TlsIdentity, armor, certificate, csr, tls,
};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::endpoint::Endpoint;
use crate::https;

/// The name of the node that asks (spec cloud-and-wire 2.8).
const NODE_NAME: HeaderName = HeaderName::from_static("nodename");
/// The CA's certificate in the folder; no node can be called so, because of the suffix of their files.
const CA_FILE: &str = "ca.crt";

/// Where certificates come from.
#[derive(Debug)]
pub struct Joiner {
    /// The hub's HTTPS server.
    pub https: Endpoint,
    /// Not needed when all certificates are in the folder.
    pub token: Option<JoinToken>,
    /// Where certificates are kept.
    pub folder: Option<PathBuf>,
    /// Nodes that may be joining at a time.
    pub at_once: usize,
}

/// Certificates of a fleet.
#[derive(Debug)]
pub struct Joined {
    /// The hub's CA.
    pub ca: CertificateDer<'static>,
    /// Those of the nodes, in the order of the names.
    pub keys: Vec<Arc<CertifiedKey>>,
    /// How many were not in the folder.
    pub new: usize,
}

/// What joining takes, made once for all nodes.
struct Clerk<'a> {
    joiner: &'a Joiner,
    ca: CertificateDer<'static>,
    issuer: Vec<u8>,
    unverified: Arc<ClientConfig>,
    verified: Arc<ClientConfig>,
}

impl Joiner {
    /// The certificates of these nodes.
    ///
    /// # Errors
    /// When one cannot be had.
    pub async fn join(&self, names: &[Box<str>]) -> anyhow::Result<Joined> {
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let unverified = Arc::new(tls::unverified_client_config()?);
        let ca = self.ca(&unverified).await?;
        let issuer = CertificateInfo::from_der(&ca)?.public_key;
        let verified = Arc::new(tls::client_config(&ca, None)?);
        let clerk = Clerk { joiner: self, ca, issuer, unverified, verified };
        let keys: Vec<_> = futures::stream::iter(names)
            .map(|name| clerk.key(name))
            .buffered(self.at_once.max(1))
            .try_collect()
            .await?;
        let new = keys.iter().filter(|(_, is_new)| *is_new).count();
        Ok(Joined { ca: clerk.ca, keys: keys.into_iter().map(|(key, _)| key).collect(), new })
    }

    /// The CA of an earlier run, unless the token is for another one.
    async fn ca(&self, unverified: &Arc<ClientConfig>) -> anyhow::Result<CertificateDer<'static>> {
        let file = self.folder.as_ref().map(|folder| folder.join(CA_FILE));
        if let Some(text) = file.as_ref().and_then(|file| std::fs::read(file).ok()) {
            let ca = armor::decode_certificate(&text)?;
            if self.token.as_ref().is_none_or(|token| token.check_ca(&ca).is_ok()) {
                return Ok(ca);
            }
        }
        let ca = self.fetch_ca(unverified).await?;
        if let Some(file) = file {
            std::fs::write(&file, armor::encode_certificate(&ca))
                .with_context(|| format!("write {}", file.display()))?;
        }
        Ok(ca)
    }

    async fn fetch_ca(&self, unverified: &Arc<ClientConfig>) -> anyhow::Result<CertificateDer<'static>> {
        let token = self.token.as_ref().context("not all certificates are there, and there is no --token")?;
        let ca = https::get(&self.https, "/ca.crt", unverified.clone(), HeaderMap::new(), Vec::new()).await;
        let ca = CertificateDer::from(ca.context("GET /ca.crt")?.to_vec());
        token.check_ca(&ca)?;
        Ok(ca)
    }
}

impl Clerk<'_> {
    /// The certificate of a node, and whether it is a new one.
    async fn key(&self, name: &str) -> anyhow::Result<(Arc<CertifiedKey>, bool)> {
        let file = self.joiner.folder.as_ref().map(|folder| folder.join(format!("{name}.pem")));
        if let Some(identity) = file.as_deref().and_then(read)
            && certificate::is_signed_by(identity.certificate(), &self.issuer)
        {
            return Ok((certified(&identity)?, false));
        }
        let identity = self.request(name).await.with_context(|| format!("node {name} cannot join"))?;
        if let Some(file) = file {
            write(&file, &identity).with_context(|| format!("write {}", file.display()))?;
        }
        Ok((certified(&identity)?, true))
    }

    /// Every node fetches the CA too, as a real one does: it is part of what joining costs the hub.
    async fn request(&self, name: &str) -> anyhow::Result<TlsIdentity> {
        let node = NodeIdentity::new(name)?;
        self.joiner.fetch_ca(&self.unverified).await?;
        let key = PrivateKey::generate()?;
        let request = csr::request(&node, &key)?;
        let mut headers = HeaderMap::from_iter([(NODE_NAME, HeaderValue::try_from(name)?)]);
        if let Some(token) = &self.joiner.token {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.bearer()))?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let answer =
            https::get(&self.joiner.https, "/edge.crt", self.verified.clone(), headers, request.to_vec());
        let issued = CertificateDer::from(answer.await.context("GET /edge.crt")?.to_vec());
        let info = CertificateInfo::from_der(&issued)?;
        anyhow::ensure!(
            info.belongs_to(&key) && info.node().as_ref() == Ok(&node),
            "the certificate is another's"
        );
        Ok(TlsIdentity::new(issued, key))
    }
}

fn certified(identity: &TlsIdentity) -> anyhow::Result<Arc<CertifiedKey>> {
    let chain = vec![identity.certificate().clone()];
    let key = CertifiedKey::from_der(chain, identity.key().to_rustls(), &default_provider())?;
    Ok(Arc::new(key))
}

/// What is not there or of no use is made anew.
fn read(file: &Path) -> Option<TlsIdentity> {
    let text = std::fs::read(file).ok()?;
    let certificate = armor::decode_certificate(&text).ok()?;
    Some(TlsIdentity::new(certificate, PrivateKey::from_pem(&text).ok()?))
}

/// Not synced, unlike a real node's: ten thousand of them are cheap to make again.
fn write(file: &Path, identity: &TlsIdentity) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(identity.key().to_pem().as_bytes())?;
    file.write_all(armor::encode_certificate(identity.certificate()).as_bytes())
}
