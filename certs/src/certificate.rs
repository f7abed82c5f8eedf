//! What we read from a certificate: its subject, its names, its time, its key.

use jiff::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::identity::{IdentityError, NodeIdentity};
use crate::key::PrivateKey;
use crate::san::SanList;

/// Why a certificate cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not one X.509 certificate in DER.
    #[error("not an X.509 certificate in DER form")]
    Malformed,
    /// Its dates are outside of what a timestamp can say.
    #[error("certificate with dates out of range")]
    Dates,
}

/// The parts of a certificate that decisions are made on. Reading it verifies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Common name of the subject; none when there are several, because readers differ in which one counts.
    pub common_name: Option<String>,
    /// Organisations of the subject.
    pub organizations: Vec<String>,
    /// DNS and IP subject alternative names.
    pub names: SanList,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Whether basic constraints say that it is a CA.
    pub is_ca: bool,
    /// The subject's public key: content of its bit string.
    pub public_key: Vec<u8>,
}

impl CertificateInfo {
    /// Reads one certificate that fills `der` to its end.
    pub fn from_der(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let (common_name, organizations) = subject_parts(certificate.subject());
        let validity = certificate.validity();
        let time = |seconds| Timestamp::from_second(seconds).map_err(|_| CertificateError::Dates);
        Ok(Self {
            common_name,
            organizations,
            names: alternative_names(&certificate),
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
            is_ca: certificate.is_ca(),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// Whether the certificate is for this key.
    #[must_use]
    pub fn belongs_to(&self, key: &PrivateKey) -> bool {
        self.public_key == key.public_point()
    }

    /// Whether `now` is within the validity.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The node that the subject names.
    pub fn node(&self) -> Result<NodeIdentity, IdentityError> {
        NodeIdentity::from_subject(self.common_name.as_deref(), &self.organizations)
    }
}

/// Whether the holder of the ECDSA P-256 key with this public point signed the certificate. Times and usages are not looked at.
#[must_use]
pub fn is_signed_by(certificate: &CertificateDer<'_>, public_point: &[u8]) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_point)
            .verify(parsed.tbs_certificate.as_ref(), &parsed.signature_value.data)
            .is_ok()
    })
}

/// Common name and organisations of a subject. A value that is not text counts as an empty one, so that it matches nothing.
pub(crate) fn subject_parts(name: &X509Name<'_>) -> (Option<String>, Vec<String>) {
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().unwrap_or_default().to_owned()
    };
    let mut common_names = name.iter_common_name();
    let common_name = match (common_names.next(), common_names.next()) {
        (Some(only), None) => Some(text(only)),
        _ => None,
    };
    (common_name, name.iter_organization().map(text).collect())
}

fn alternative_names(certificate: &X509Certificate<'_>) -> SanList {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return SanList::default();
    };
    SanList::new(extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }))
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}
