//! Towards servers that are not ours: their certificates and keys come from files of their operators, of any kind and in chains.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// A client that trusts the certificates in `roots` and shows, where there is one, the chain with its key. All is PEM.
///
/// # Errors
/// When something of it cannot be read or used.
pub fn foreign_client_config(
    roots: &[u8],
    identity: Option<(&[u8], &[u8])>,
) -> Result<ClientConfig, TlsError> {
    let unreadable = |what: &'static str| move |error| TlsError::Pem { what, source: error };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots) {
        store.add(certificate.map_err(unreadable("CA certificate"))?).map_err(TlsError::Root)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier.build()?);
    let Some((chain, key)) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(unreadable("key"))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}
