//! Every rustls configuration of the workspace.
//!
//! TLS 1.2 and 1.3, ring as the provider, named in each configuration and not taken from the process.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::key::PrivateKey;

mod foreign;
mod unverified;

pub use self::foreign::{foreign_client_config, foreign_server_config};

/// Why a configuration cannot be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The CA certificate cannot be used as a root.
    #[error("CA certificate cannot be used: {0}")]
    Root(rustls::Error),
    /// A file is not what it should be.
    #[error("the {what} is no PEM of one: {source}")]
    Pem {
        /// What was to be read.
        what: &'static str,
        /// Why it could not be.
        source: rustls_pki_types::pem::Error,
    },
    /// No verifier can be built from the roots.
    #[error("CA certificate cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// Certificate and key cannot be used, for example because they do not belong together.
    #[error("certificate and key cannot be used: {0}")]
    Identity(#[from] rustls::Error),
}

/// A certificate with its private key. `Debug` shows neither.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

impl TlsIdentity {
    /// From its parts; whether they belong together shows when they are used.
    #[must_use]
    pub fn new(certificate: CertificateDer<'static>, key: PrivateKey) -> Self {
        Self { certificate, key }
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }
}

/// Whether a server wants to know who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No connection without a certificate of the CA: the channel on 10000.
    Required,
    /// A certificate is verified if there is one: HTTPS on 10002 (the first request of a node has none), the Kubernetes API (tokens).
    Optional,
}

/// Makes ring the process default, for libraries that take the default. Does nothing from the second time on.
pub fn install_provider() {
    // The error means that there is a default already, and all our binaries install the same one.
    ring::default_provider().install_default().ok();
}

/// A server that shows `identity` and accepts client certificates of `ca`, verified anew on each connection.
pub fn server_config(
    ca: &CertificateDer<'static>,
    identity: &TlsIdentity,
    clients: ClientAuth,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider());
    let verifier = match clients {
        ClientAuth::Required => verifier,
        ClientAuth::Optional => verifier.allow_unauthenticated(),
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(chain(identity), identity.key.to_rustls())?;
    resume_nothing(&mut config);
    Ok(config)
}

/// A session that is resumed shows no certificate, so one that has run out since would do. Clients that come often keep their
/// connections; what all others save by it is a millisecond.
pub(crate) fn resume_nothing(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

/// A client that trusts `ca` alone, verifies the server's name, and shows `identity` if there is one.
pub fn client_config(
    ca: &CertificateDer<'static>,
    identity: Option<&TlsIdentity>,
) -> Result<ClientConfig, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca)?, provider()).build()?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier);
    Ok(match identity {
        Some(identity) => config.with_client_auth_cert(chain(identity), identity.key.to_rustls())?,
        None => config.with_no_client_auth(),
    })
}

/// A client that believes any server. For one use: fetching `/ca.crt`, whose body is then compared with the hash in the
/// join token. Nothing else that such a server says may be believed, and nothing secret may be sent to it.
pub fn unverified_client_config() -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(unverified::AnyServer::new(&provider())))
        .with_no_client_auth();
    Ok(config)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn roots(ca: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).map_err(TlsError::Root)?;
    Ok(Arc::new(roots))
}

pub(crate) fn chain(identity: &TlsIdentity) -> Vec<CertificateDer<'static>> {
    vec![identity.certificate.clone()]
}

#[cfg(test)]
mod tests;
