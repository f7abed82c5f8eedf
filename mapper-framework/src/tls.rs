//! Whom this mapper trusts when it speaks TLS, to whatever it pushes to: the certificate authorities of the system, or those in
//! the file of `tls.ca_file`. Certificates and names are always verified.

#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// See the module's documentation. Cheap to clone; clones read the system's authorities once, and only when they are needed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Those of the file, if there is one.
    given: Option<Arc<RootCertStore>>,
    certificates: Arc<Vec<CertificateDer<'static>>>,
    made: Arc<OnceLock<Result<Made, String>>>,
}

#[derive(Debug, Clone)]
struct Made {
    client: Arc<ClientConfig>,
    #[cfg_attr(
        not(feature = "mysql"),
        expect(dead_code, reason = "only the client of MySQL wants them one by one")
    )]
    certificates: Arc<Vec<CertificateDer<'static>>>,
}

impl Trust {
    /// Trusts the certificates in a file of PEM, and nobody else.
    ///
    /// # Errors
    /// When it cannot be read, or one of its certificates makes no sense, or there is none.
    pub(crate) fn file(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Self::pem(&pem).with_context(|| format!("{}", path.display()))
    }

    fn pem(pem: &[u8]) -> anyhow::Result<Self> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
        anyhow::ensure!(!certificates.is_empty(), "there is no certificate in it");
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone())?;
        }
        Ok(Self { given: Some(Arc::new(store)), certificates: Arc::new(certificates), made: Arc::default() })
    }

    /// How a client speaks TLS.
    ///
    /// # Errors
    /// In words, when there is nobody to trust.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is built in that speaks TLS"))]
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        self.made().map(|made| made.client)
    }

    /// Who is trusted, each one as DER.
    ///
    /// # Errors
    /// As [`Trust::client`].
    #[cfg(feature = "mysql")]
    pub(crate) fn certificates(&self) -> Result<Arc<Vec<CertificateDer<'static>>>, String> {
        self.made().map(|made| made.certificates)
    }

    fn made(&self) -> Result<Made, String> {
        let make = || {
            let (store, certificates) = match &self.given {
                Some(store) => (Arc::clone(store), Arc::clone(&self.certificates)),
                None => system()?,
            };
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let builder = builder.map_err(|error| error.to_string())?;
            let client = builder.with_root_certificates(store).with_no_client_auth();
            Ok(Made { client: Arc::new(client), certificates })
        };
        self.made.get_or_init(make).clone()
    }
}

/// The authorities that this system trusts. One that cannot be read is left out: others may be enough.
fn system() -> Result<(Arc<RootCertStore>, Arc<Vec<CertificateDer<'static>>>), String> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let is_one = |certificate: &CertificateDer<'static>| store.add(certificate.clone()).is_ok();
    let mut certificates = found.certs;
    certificates.retain(is_one);
    if certificates.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(format!("this system has no certificate authorities{why}: name a file with tls.ca_file"));
    }
    Ok((Arc::new(store), Arc::new(certificates)))
}
