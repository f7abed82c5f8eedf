//! How a node gets its certificate: from the files of an earlier start, else with a join token (spec edge-keadm-mapper 1.1).
//!
//! Joining: fetch the CA certificate from a server that is not trusted yet, compare it with the hash in the token, and then ask the
//! server, verified against that CA, for a certificate. `bootstrap/rotation.rs` renews it before it ends.

mod error;
mod https;
mod rotation;

use std::path::PathBuf;
use std::sync::Arc;

use certs::files::{MODE_PUBLIC, read_certificate, read_pair, write_atomically, write_pair};
use certs::{
    CertificateInfo, JoinToken, NodeIdentity, PrivateKey, TlsIdentity, armor, certificate, csr, tls,
};
use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::clock::Clock;
use chassis::rng::Rng;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use proto::hello::clocks_apart;
use rustls_pki_types::CertificateDer;
use tokio::time::{Duration, sleep};

pub use error::BootstrapError;
pub use https::Endpoint;
pub use rotation::{Credentials, Rotation};

pub use super::validity::Validity;

/// Name of the node that asks (spec cloud-and-wire 2.8).
const NODE_NAME: HeaderName = HeaderName::from_static("nodename");
/// How failed requests are spaced: a cloud that is still starting is there within seconds, and one that is down is asked every half minute,
/// as stock does.
pub const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(30), factor: 2.0, jitter: 0.5 };

/// Where a node's certificates come from and where they are kept; from `modules.edgeHub` of the config file.
#[derive(Debug, Clone)]
pub struct Config {
    /// `httpServer`
    pub server: Endpoint,
    /// Name of this node (`edged.hostnameOverride`).
    pub node: NodeIdentity,
    /// `token`; not needed once there is a certificate.
    pub token: Option<JoinToken>,
    /// `tlsCAFile`
    pub ca_file: PathBuf,
    /// `tlsCertFile`
    pub certificate_file: PathBuf,
    /// `tlsPrivateKeyFile`
    pub key_file: PathBuf,
    /// How failed requests are spaced: [`RETRY`].
    pub retry: BackoffPolicy,
}

/// What a node proves itself with, and what it verifies the cloud against.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Certificate of the cloud's CA.
    pub ca: CertificateDer<'static>,
    /// Certificate and key of the node.
    pub identity: TlsIdentity,
}

/// The node's certificate: from its files, or by joining. While the cloud cannot be reached it tries again, with a line in the log
/// each time; whoever calls may drop it.
///
/// # Errors
/// What trying again does not help against: no token, a refused one, another CA than the token's, files that cannot be written.
pub async fn load_or_join(config: &Config, clock: &Clock, rng: &Rng) -> Result<Joined, BootstrapError> {
    if let Some(joined) = load(config, clock).await? {
        return Ok(joined);
    }
    let token = config.token.as_ref().ok_or_else(|| BootstrapError::NoToken {
        node: config.node.node_name().to_owned(),
        file: config.certificate_file.clone(),
    })?;
    let mut backoff = Backoff::new(config.retry, rng.clone());
    loop {
        match join(config, token, clock, PrivateKey::generate()?).await {
            Ok(joined) => {
                tracing::info!(node = config.node.node_name(), server = %config.server, "joined");
                return Ok(joined);
            }
            Err(error) if error.is_transient() => {
                let delay = backoff.next_delay();
                tracing::warn!(%error, retry_in = ?delay, hint = error.hint(), "could not join yet");
                sleep(delay).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What an earlier start has left, if it is this node's. One that has expired is kept: the clock may be what is wrong, and where it
/// is not, [`Rotation`] joins anew as soon as there is a cloud.
async fn load(config: &Config, clock: &Clock) -> Result<Option<Joined>, BootstrapError> {
    let found = read_files(config.clone()).await?;
    let Some(joined) = found else { return Ok(None) };
    let info = CertificateInfo::from_der(joined.identity.certificate())?;
    if info.node().as_ref() != Ok(&config.node) {
        let subject = info.common_name.unwrap_or_default();
        tracing::warn!(
            subject,
            node = config.node.node_name(),
            "the certificate is of another node: joining anew"
        );
        return Ok(None);
    }
    let now = clock.now();
    if now < info.not_before {
        tracing::warn!(valid_from = %info.not_before, clock = %now,
            "by this node's clock its certificate is not valid yet: the clock is probably wrong");
    }
    if now > info.not_after {
        tracing::warn!(expired = %info.not_after, clock = %now, file = %config.certificate_file.display(),
            "by this node's clock its certificate has expired: if the clock is right the cloud will refuse it; `keadm cert renew` with a token of `keadm gettoken` gets a new one");
    }
    Ok(Some(joined))
}

async fn read_files(config: Config) -> Result<Option<Joined>, BootstrapError> {
    blocking(move || {
        let ca = read_certificate(&config.ca_file)?;
        let identity = read_pair(&config.certificate_file, &config.key_file)?;
        Ok(ca.zip(identity).map(|((ca, _), identity)| Joined { ca, identity }))
    })
    .await
}

async fn join(
    config: &Config,
    token: &JoinToken,
    clock: &Clock,
    key: PrivateKey,
) -> Result<Joined, BootstrapError> {
    let unverified = Arc::new(tls::unverified_client_config()?);
    let server = &config.server;
    let answer = https::get(server, "/ca.crt", unverified, HeaderMap::new(), Vec::new()).await?;
    let ca = CertificateDer::from(answer.body);
    token.check_ca(&ca).map_err(|source| BootstrapError::OtherCa { server: server.to_string(), source })?;

    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.bearer()))
        .map_err(|_| BootstrapError::Token(certs::token::TokenError::Malformed))?;
    bearer.set_sensitive(true);
    let verified = tls::client_config(&ca, None)?;
    compare_clocks(clock.now(), answer.date);
    let identity = request_certificate(config, &ca, verified, Some(bearer), key).await;
    let identity = identity.map_err(|error| error.by_server_clock(answer.date))?;
    write_ca(config.clone(), ca.clone()).await?;
    write_identity(config.clone(), identity.clone()).await?;
    Ok(Joined { ca, identity })
}

/// A clock that is wrong makes good certificates bad: it is said before that happens.
fn compare_clocks(now: Timestamp, server: Option<Timestamp>) {
    let Some(server) = server else { return };
    if let Some(seconds) = clocks_apart(now.as_millisecond(), server.as_millisecond()) {
        tracing::warn!(edge = %now, cloud = %server, "this node's clock and CloudCore's are {seconds} s apart");
    }
}

/// Asks for a certificate for the key, and checks what comes.
async fn request_certificate(
    config: &Config,
    ca: &CertificateDer<'static>,
    tls: rustls::ClientConfig,
    authorization: Option<HeaderValue>,
    key: PrivateKey,
) -> Result<TlsIdentity, BootstrapError> {
    let request = csr::request(&config.node, &key)?;
    let name = HeaderValue::try_from(config.node.node_name()).map_err(|_| BootstrapError::NodeName)?;
    let mut headers = HeaderMap::from_iter([(NODE_NAME, name)]);
    headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
    let server = &config.server;
    let answer = https::get(server, "/edge.crt", Arc::new(tls), headers, request.to_vec()).await?;

    let issued = CertificateDer::from(answer.body);
    let info = CertificateInfo::from_der(&issued)?;
    let issuer = CertificateInfo::from_der(ca)?;
    let ours = info.belongs_to(&key)
        && info.node().as_ref() == Ok(&config.node)
        && certificate::is_signed_by(&issued, &issuer.public_key);
    if !ours {
        return Err(BootstrapError::WrongCertificate { server: server.to_string() });
    }
    Ok(TlsIdentity::new(issued, key))
}

async fn write_ca(config: Config, ca: CertificateDer<'static>) -> Result<(), BootstrapError> {
    blocking(move || {
        Ok(write_atomically(&config.ca_file, armor::encode_certificate(&ca).as_bytes(), MODE_PUBLIC)?)
    })
    .await
}

async fn write_identity(config: Config, identity: TlsIdentity) -> Result<(), BootstrapError> {
    blocking(move || Ok(write_pair(&config.certificate_file, &config.key_file, &identity)?)).await
}

/// File functions block, for as long as the disk takes to sync.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BootstrapError> + Send + 'static,
) -> Result<T, BootstrapError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BootstrapError::Stopped)?
}

#[cfg(test)]
mod tests;
