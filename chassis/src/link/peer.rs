//! Who is at the other end of a link.

use http::HeaderMap;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use super::Dialect;

/// Who is at the other end of a link. What stands in the certificate has been proven by the TLS handshake; what
/// stands in the headers is only the peer's word.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The certificate's common name; none when it has several, because then it names no one.
    pub common_name: Option<String>,
    /// The certificate's organizations.
    pub organizations: Vec<String>,
    /// Where it is: IP address and port, for the log.
    pub address: String,
    /// At an acceptor: the headers of the upgrade request. At a dialer: those of the answer.
    pub headers: HeaderMap,
    /// What it speaks on this link.
    pub dialect: Dialect,
    /// The certificate it proved to own.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Peer {
    /// A peer that proved to own the first of `certificates`. What cannot be read of it is left out.
    pub(super) fn proven(address: String, certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let certificate = certificates.and_then(<[_]>::first).map(|der| der.clone().into_owned());
        let mut peer = Self { address, ..Self::default() };
        if let Some(Ok((_, parsed))) = certificate.as_deref().map(X509Certificate::from_der) {
            let mut names = parsed.subject().iter_common_name().filter_map(text);
            peer.common_name = names.next().filter(|_| names.next().is_none());
            peer.organizations = parsed.subject().iter_organization().filter_map(text).collect();
        }
        peer.certificate = certificate;
        peer
    }

    /// A header's value; `None` when it is absent, given with different values or not visible ASCII. The same value
    /// several times is one: a stock edge adds `ConnectionUse` once more with every attempt to connect.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        if values.all(|other| other == value) { value.to_str().ok() } else { None }
    }
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    attribute.as_str().ok().map(str::to_owned)
}
