//! What CloudCores are to each other: replicas, who show certificates of their common CA that nobody else has.
//!
//! `CN=skerry:replica:<name>, O=skerry:replicas`, for servers and for clients, and short-lived: each replica has the CA's key and makes its
//! own, anew at each start and while it runs. A node's certificate, or the one that CloudHub shows to nodes, opens nothing here; one of these
//! opens nothing that is for nodes, because it names none.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::CertificateInfo;
use crate::tls::{TlsError, TlsIdentity, chain, provider, resume_nothing, roots};

/// Organisation of every replica's certificate.
pub const REPLICA_ORGANIZATION: &str = "skerry:replicas";
/// What stands before the replica's name in the common name.
pub const REPLICA_COMMON_NAME_PREFIX: &str = "skerry:replica:";
/// A name that is in the certificate of every replica, and that is asked for in place of a host's: any replica may answer at an address, and
/// those of pods change. `.internal` is nobody's (ICANN resolution 2024.07.29.06).
pub const REPLICA_SERVER_NAME: &str = "replica.skerry.internal";
/// HTTP/2, and nothing else.
const ALPN: &[u8] = b"h2";

/// The replica that a certificate is of, once it has been verified.
#[must_use]
pub fn replica_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let info = CertificateInfo::from_der(certificate).ok()?;
    if info.organizations != [REPLICA_ORGANIZATION] {
        return None;
    }
    let name = info.common_name?.strip_prefix(REPLICA_COMMON_NAME_PREFIX)?.to_owned();
    (!name.is_empty()).then_some(name)
}

/// A server that shows `identity`, and that only replicas can talk to.
///
/// # Errors
/// When the CA or the identity cannot be used.
pub fn replica_server_config(
    ca: &CertificateDer<'static>,
    identity: &TlsIdentity,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(ReplicaClients { verifier }))
        .with_single_cert(chain(identity), identity.key().to_rustls())?;
    resume_nothing(&mut config);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// A client that shows `identity`, and that talks only to replicas.
///
/// # Errors
/// When the CA or the identity cannot be used.
pub fn replica_client_config(
    ca: &CertificateDer<'static>,
    identity: &TlsIdentity,
) -> Result<ClientConfig, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca)?, provider()).build()?;
    let name = ServerName::try_from(REPLICA_SERVER_NAME).expect("the constant is a DNS name");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ReplicaServers { verifier, name }))
        .with_client_auth_cert(chain(identity), identity.key().to_rustls())?;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// A certificate of the CA that is good may still be somebody else's.
fn check(certificate: &CertificateDer<'_>) -> Result<(), Error> {
    match replica_of(certificate) {
        Some(_) => Ok(()),
        None => Err(CertificateError::ApplicationVerificationFailure.into()),
    }
}

/// What is verified of a client: what is verified of any, and that it is a replica.
#[derive(Debug)]
struct ReplicaClients {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// What is verified of a server: the same. The name of the host says nothing about it.
#[derive(Debug)]
struct ReplicaServers {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ClientCertVerifier for ReplicaClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl ServerCertVerifier for ReplicaServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)?;
        check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
