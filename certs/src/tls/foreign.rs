//! With peers that are not ours: certificates and keys come from files of operators, of any kind and in chains.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, resume_nothing};

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn unreadable(what: &'static str) -> impl Fn(rustls_pki_types::pem::Error) -> TlsError {
    move |source| TlsError::Pem { what, source }
}

fn read_roots(roots: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots) {
        store.add(certificate.map_err(unreadable("CA certificate"))?).map_err(TlsError::Root)?;
    }
    Ok(Arc::new(store))
}

fn read_identity(chain: &[u8], key: &[u8]) -> Result<Identity, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(unreadable("key"))?;
    Ok((chain.map_err(unreadable("certificate"))?, key))
}

/// A server that shows the chain with its key. With `clients` it lets in who shows a certificate of one of these CAs, on each
/// connection; without, it asks nobody for one. All is PEM.
///
/// # Errors
/// When something of it cannot be read or used.
pub fn foreign_server_config(
    clients: Option<&[u8]>,
    (chain, key): (&[u8], &[u8]),
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(clients) => {
            let roots = read_roots(clients)?;
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots, provider).build()?,
            )
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = read_identity(chain, key)?;
    let mut config = builder.with_single_cert(chain, key)?;
    if clients.is_some() {
        resume_nothing(&mut config);
    }
    Ok(config)
}

/// A client that trusts the certificates in `roots` and shows, where there is one, the chain with its key. All is PEM.
///
/// # Errors
/// When something of it cannot be read or used.
pub fn foreign_client_config(
    roots: &[u8],
    identity: Option<(&[u8], &[u8])>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(read_roots(roots)?, Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier.build()?);
    let Some((chain, key)) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = read_identity(chain, key)?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}
