//! Certificate signing requests of nodes (PKCS#10, RFC 2986): making one, and checking one before it is signed.
//!
//! Stock CloudCore signs any subject, name and usage that it is asked for and does not check the
//! signature (spec cloud-and-wire 7.1 item 3). Here a request gets a certificate for its own node or none.

use rcgen::{CertificateParams, DistinguishedName, DnType, SubjectPublicKeyInfo};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateSigningRequestDer;
use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{ExtendedKeyUsage, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::armor;
use crate::ca::printable;
use crate::certificate::subject_parts;
use crate::identity::{IdentityError, NODE_ORGANIZATION, NodeIdentity};
use crate::key::PrivateKey;

/// Longest request that is read, in bytes. A P-256 request with a node name of 253 characters is below 700.
pub const MAX_REQUEST: usize = 16 * 1024;
/// Country, province and city of stock requests (spec edge-keadm-mapper 1.1); nobody reads them.
const STOCK_PLACE: [(DnType, &str); 3] = [
    (DnType::CountryName, "CN"),
    (DnType::StateOrProvinceName, "Zhejiang"),
    (DnType::LocalityName, "Hangzhou"),
];
/// `digitalSignature | keyEncipherment` (RFC 5280 4.2.1.3, as x509-parser numbers the bits): what a node certificate gets anyway.
const ALLOWED_KEY_USAGE: u16 = 0b101;
/// PEM label of requests.
const LABEL_REQUEST: &str = "CERTIFICATE REQUEST";
/// Tag of a DER sequence.
const SEQUENCE: u8 = 0x30;
/// What stands between the signed part of a request and its signature: the algorithm `ecdsa-with-SHA256` (RFC 5758 section
/// 3.2), which has no parameters, and the tag of the bit string that follows.
const ECDSA_WITH_SHA256: [u8; 13] =
    [SEQUENCE, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x03];

/// Why a request is not signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Longer than [`MAX_REQUEST`], or not one PKCS#10 request.
    #[error("not a certificate signing request of at most {MAX_REQUEST} bytes")]
    Malformed,
    /// The key is not ECDSA P-256, or the signature is not by it.
    #[error("the request is not signed by the ECDSA P-256 key that it holds")]
    Signature,
    /// The subject is not a node's.
    #[error("subject of the request: {0}")]
    Subject(#[from] IdentityError),
    /// The subject is another node's.
    #[error("the request is for node {requested:?}, but node {asking:?} asks for it")]
    OtherNode {
        /// Node that the subject names.
        requested: String,
        /// Node that sends the request.
        asking: String,
    },
    /// It asks for something that node certificates never have: another name, another usage, being a CA.
    #[error("the request asks for {0}, which node certificates do not get")]
    Extension(&'static str),
    /// The certificate could not be built.
    #[error("signing failed: {0}")]
    Signing(String),
}

/// A request whose signature, subject and extensions have been checked.
#[derive(Debug)]
pub struct NodeCsr {
    node: NodeIdentity,
    public_key: SubjectPublicKeyInfo,
}

impl NodeCsr {
    /// Reads and checks a request from `asking`.
    pub fn check(der: &[u8], asking: &NodeIdentity) -> Result<Self, CsrError> {
        let csr = Self::parse(der)?;
        if csr.node == *asking {
            return Ok(csr);
        }
        Err(CsrError::OtherNode {
            requested: csr.node.node_name().to_owned(),
            asking: asking.node_name().to_owned(),
        })
    }

    /// Reads a request and checks all but who sends it.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_REQUEST {
            return Err(CsrError::Malformed);
        }
        // Not by rcgen's own reader: that one panics on a subject with an empty set of attributes.
        let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let info = &csr.certification_request_info;
        // The wrapping is not signed, and the reader is lax about the class bits of its tags: it has one form here.
        let start = info.raw.as_ptr().addr() - der.as_ptr().addr();
        let wrapped = der[0] == SEQUENCE && der[start + info.raw.len()..].starts_with(&ECDSA_WITH_SHA256);
        if !wrapped || csr.signature_value.unused_bits != 0 {
            return Err(CsrError::Signature);
        }
        let public_key =
            SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| CsrError::Signature)?;
        // ring refuses a point that is not on P-256, so a key of any other kind cannot pass.
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &info.subject_pki.subject_public_key.data)
            .verify(info.raw, &csr.signature_value.data)
            .map_err(|_| CsrError::Signature)?;
        let (common_name, organizations) = subject_parts(&info.subject);
        let node = NodeIdentity::from_subject(common_name.as_deref(), &organizations)?;
        for attribute in info.iter_attributes() {
            check_attribute(attribute.parsed_attribute())?;
        }
        Ok(Self { node, public_key })
    }

    /// The node that the request is for.
    #[must_use]
    pub fn node(&self) -> &NodeIdentity {
        &self.node
    }

    /// The key that the certificate will be for.
    #[must_use]
    pub fn public_key(&self) -> &SubjectPublicKeyInfo {
        &self.public_key
    }
}

/// The node in the subject of a request in PEM, whatever else it asks for: kubelets ask the cluster for serving
/// certificates with addresses in them. The signature is not looked at; the signer does.
pub fn subject(pem: &[u8]) -> Result<NodeIdentity, CsrError> {
    if pem.len() > MAX_REQUEST {
        return Err(CsrError::Malformed);
    }
    let der = armor::decode(pem, &[LABEL_REQUEST]).map_err(|_| CsrError::Malformed)?;
    let (_, csr) = X509CertificationRequest::from_der(&der).map_err(|_| CsrError::Malformed)?;
    let (common_name, organizations) = subject_parts(&csr.certification_request_info.subject);
    Ok(NodeIdentity::from_subject(common_name.as_deref(), &organizations)?)
}

/// The request of a node for `key`, with the subject that stock EdgeCore sends.
pub fn request(
    node: &NodeIdentity,
    key: &PrivateKey,
) -> Result<CertificateSigningRequestDer<'static>, CsrError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in STOCK_PLACE {
        params.distinguished_name.push(kind, printable(value));
    }
    params.distinguished_name.push(DnType::OrganizationName, printable(NODE_ORGANIZATION));
    params.distinguished_name.push(DnType::CommonName, printable(&node.common_name()));
    let csr = params.serialize_request(key).map_err(|error| CsrError::Signing(error.to_string()))?;
    Ok(csr.into())
}

fn check_attribute(attribute: &ParsedCriAttribute<'_>) -> Result<(), CsrError> {
    match attribute {
        ParsedCriAttribute::ExtensionRequest(request) => {
            request.extensions.iter().try_for_each(|extension| check_extension(extension.parsed_extension()))
        }
        _ => Err(CsrError::Extension("an unknown attribute")),
    }
}

fn check_extension(extension: &ParsedExtension<'_>) -> Result<(), CsrError> {
    match extension {
        ParsedExtension::ExtendedKeyUsage(usage) if is_client_auth_only(usage) => Ok(()),
        ParsedExtension::ExtendedKeyUsage(_) => {
            Err(CsrError::Extension("an extended key usage other than clientAuth"))
        }
        ParsedExtension::KeyUsage(usage) if usage.flags & !ALLOWED_KEY_USAGE == 0 => Ok(()),
        ParsedExtension::KeyUsage(_) => {
            Err(CsrError::Extension("a key usage other than digitalSignature and keyEncipherment"))
        }
        ParsedExtension::SubjectAlternativeName(_) => Err(CsrError::Extension("subject alternative names")),
        ParsedExtension::BasicConstraints(constraints) if !constraints.ca => Ok(()),
        ParsedExtension::BasicConstraints(_) => Err(CsrError::Extension("being a CA")),
        _ => Err(CsrError::Extension("an unknown extension")),
    }
}

fn is_client_auth_only(usage: &ExtendedKeyUsage<'_>) -> bool {
    let others = usage.any
        || usage.server_auth
        || usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || !usage.other.is_empty();
    usage.client_auth && !others
}

#[cfg(test)]
mod tests;
