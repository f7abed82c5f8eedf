use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority made for one test.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::pem(self.pem.as_bytes()).unwrap()
    }

    /// `ca.crt`, `server.crt` and `server.key` of a server of that name.
    pub(crate) fn write(&self, dir: &Path, name: &str) {
        let (certificate, key) = self.issue(name);
        for (file, text) in [("ca.crt", &self.pem), ("server.crt", &certificate), ("server.key", &key)] {
            std::fs::write(dir.join(file), text).unwrap();
        }
    }

    /// A certificate for a name or an address, and its key, as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server whose certificate is for that name or address.
    pub(crate) fn server(&self, name: &str) -> TlsAcceptor {
        let (certificate, key) = self.issue(name);
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

#[test]
fn a_file_without_certificates_is_no_trust() {
    let error = |pem: &str| format!("{:#}", Trust::pem(pem.as_bytes()).unwrap_err());
    assert!(error("").contains("no certificate"));
    error("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = Trust::file(Path::new("/nonexistent/ca.crt")).unwrap_err();
    assert!(format!("{missing:#}").contains("/nonexistent/ca.crt"));
}
