//! Certificates for the tests of the transports.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate chain and the key of its first.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate authority made for one test.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let certificate = params.self_signed(&key).unwrap().into();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }

    pub(super) fn issue(&self, common_names: &[&str], sans: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let sans: Vec<String> = sans.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(sans).unwrap();
        // rcgen keeps one value per type; the second name has the same OID, written out.
        let types = [DnType::CommonName, DnType::CustomDnType(vec![2, 5, 4, 3])];
        for (dn_type, name) in types.into_iter().zip(common_names) {
            params.distinguished_name.push(dn_type, *name);
        }
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.into()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    pub(super) fn server(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), provider.clone()).build().unwrap();
        let (chain, key) = self.issue(&["cloud"], &["127.0.0.1"]);
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    pub(super) fn client(&self, identity: Option<Identity>) -> Arc<rustls::ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots(), provider.clone()).build().unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_webpki_verifier(verifier);
        Arc::new(match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        })
    }

    pub(super) fn node(&self) -> Arc<rustls::ClientConfig> {
        self.client(Some(self.issue(&["system:node:edge-1"], &[])))
    }
}
