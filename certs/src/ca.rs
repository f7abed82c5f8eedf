//! The certificate authority: our own, with the attributes of a stock one (spec cloud-and-wire 2.9).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::certificate::{CertificateError, CertificateInfo, is_signed_by};
use crate::csr::{CsrError, NodeCsr};
use crate::identity::{NODE_ORGANIZATION, NodeIdentity};
use crate::key::{KeyError, PrivateKey};
use crate::replica::{REPLICA_COMMON_NAME_PREFIX, REPLICA_ORGANIZATION, REPLICA_SERVER_NAME};
use crate::san::SanList;
use crate::tls::TlsIdentity;

/// Common name of the CA, and common name and organisation of the server certificate.
const STOCK_NAME: &str = "KubeEdge";
/// Serial number of the CA certificate.
const CA_SERIAL: u64 = 1024;
/// Lifetime of the CA and of the server certificate: 364 * 100 days. Edges pin the CA by hash, so it has to outlive them.
const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(364 * 100 * 24);
/// Node certificates (and those of clients and replicas) begin this long before they are made: edge clocks are often a little behind, and a certificate
/// "from the future" would lock the node out. Longer would only cost lifetime.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Why a CA cannot be made, read or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaError {
    /// The CA's key cannot be read.
    #[error("CA key: {0}")]
    Key(#[from] KeyError),
    /// The CA's certificate cannot be read.
    #[error("CA certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate is not for this key.
    #[error("CA certificate and CA key do not belong together")]
    Mismatch,
    /// The certificate is not one of a CA.
    #[error("the certificate given as CA is not a CA certificate")]
    NotCa,
    /// A server certificate needs at least one name.
    #[error("no address or DNS name to issue a server certificate for")]
    NoNames,
    /// A certificate could not be built.
    #[error("signing failed: {0}")]
    Signing(String),
}

/// A CA certificate with its key.
#[derive(Debug, Clone)]
pub struct Ca {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

impl Ca {
    /// A new self-signed CA that is valid from `now` on.
    pub fn generate(now: Timestamp) -> Result<Self, CaError> {
        let key = PrivateKey::generate()?;
        let mut params = profile(now, add(now, CA_LIFETIME));
        params.serial_number = Some(SerialNumber::from(CA_SERIAL));
        params.use_authority_key_identifier_extension = false;
        params.distinguished_name = subject(None, STOCK_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(&key).map_err(signing)?;
        Ok(Self { certificate: certificate.der().clone(), key })
    }

    /// A CA from a certificate in DER and its key in SEC1 or PKCS#8 DER.
    pub fn from_der(certificate: &[u8], key: &[u8]) -> Result<Self, CaError> {
        Self::new(CertificateDer::from(certificate.to_vec()), PrivateKey::from_der(key)?)
    }

    /// A CA from its parts, which must belong together.
    pub fn new(certificate: CertificateDer<'static>, key: PrivateKey) -> Result<Self, CaError> {
        let info = CertificateInfo::from_der(&certificate)?;
        if !info.is_ca {
            return Err(CaError::NotCa);
        }
        if !info.belongs_to(&key) {
            return Err(CaError::Mismatch);
        }
        Ok(Self { certificate, key })
    }

    /// The CA certificate.
    #[must_use]
    pub fn cert_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's private key. Its SEC1 bytes are also the key of join tokens.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Lower-case hex of the SHA-256 of the CA certificate: the first part of a join token.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        crate::token::fingerprint(&self.certificate)
    }

    /// A server certificate with a new key, with the subject and lifetime of a stock one.
    pub fn issue_server(&self, names: &SanList, now: Timestamp) -> Result<TlsIdentity, CaError> {
        if names.is_empty() {
            return Err(CaError::NoNames);
        }
        let mut params = profile(now, add(now, CA_LIFETIME));
        params.distinguished_name = subject(Some(STOCK_NAME), STOCK_NAME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = names.to_rcgen();
        self.issue(params)
    }

    /// A client certificate with a new key: for users of the embedded API server, for example.
    pub fn issue_client(
        &self,
        common_name: &str,
        organization: &str,
        lifetime: SignedDuration,
        now: Timestamp,
    ) -> Result<TlsIdentity, CaError> {
        let mut params = profile(add(now, -CLOCK_SKEW), add(now, lifetime));
        params.distinguished_name = subject(Some(organization), common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// The certificate that a CloudCore shows to others, at both ends, with a new key; see [`crate::replica`].
    pub fn issue_replica(
        &self,
        name: &str,
        addresses: &SanList,
        lifetime: SignedDuration,
        now: Timestamp,
    ) -> Result<TlsIdentity, CaError> {
        let mut params = profile(add(now, -CLOCK_SKEW), add(now, lifetime));
        let common_name = format!("{REPLICA_COMMON_NAME_PREFIX}{name}");
        params.distinguished_name = subject(Some(REPLICA_ORGANIZATION), &common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = SanList::new([REPLICA_SERVER_NAME]).union(addresses).to_rcgen();
        self.issue(params)
    }

    /// Checks the request that `node_name` sends (see [`NodeCsr::check`]) and signs it for `lifetime` from `now`.
    pub fn sign_node_csr(
        &self,
        der: &[u8],
        node_name: &str,
        lifetime: SignedDuration,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, CsrError> {
        self.sign_node_csr_since(der, node_name, lifetime, now, None)
    }

    /// As [`Ca::sign_node_csr`], for a node of which certificates from before `since` are revoked: this one begins no earlier.
    pub fn sign_node_csr_since(
        &self,
        der: &[u8],
        node_name: &str,
        lifetime: SignedDuration,
        now: Timestamp,
        since: Option<Timestamp>,
    ) -> Result<CertificateDer<'static>, CsrError> {
        let asking = NodeIdentity::new(node_name)?;
        let csr = NodeCsr::check(der, &asking)?;
        let from = since.unwrap_or(Timestamp::MIN).max(add(now, -CLOCK_SKEW));
        self.sign_node(&csr, from, add(now, lifetime)).map_err(|error| CsrError::Signing(error.to_string()))
    }

    /// Whether `certificate` is valid at `now` and signed by this CA's key.
    #[must_use]
    pub fn issued(&self, certificate: &CertificateDer<'_>, now: Timestamp) -> bool {
        CertificateInfo::from_der(certificate).is_ok_and(|info| info.is_valid_at(now))
            && is_signed_by(certificate, self.key.public_point())
    }

    fn sign_node(
        &self,
        csr: &NodeCsr,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<CertificateDer<'static>, CaError> {
        let mut params = profile(from, until);
        params.distinguished_name = subject(Some(NODE_ORGANIZATION), &csr.node().common_name());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, csr.public_key())
    }

    fn issue(&self, params: CertificateParams) -> Result<TlsIdentity, CaError> {
        let key = PrivateKey::generate()?;
        let certificate = self.sign(params, &key)?;
        Ok(TlsIdentity::new(certificate, key))
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        public_key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, CaError> {
        params.serial_number = Some(random_serial()?);
        let issuer = Issuer::from_ca_cert_der(&self.certificate, self.key.clone()).map_err(signing)?;
        let certificate = params.signed_by(public_key, &issuer).map_err(signing)?;
        Ok(certificate.der().clone())
    }
}

/// What all our certificates share. The serial number comes last, when signing.
fn profile(from: Timestamp, until: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    // rcgen's time type is of a crate that we do not use elsewhere; its own epoch leads there.
    let at = |moment: Timestamp| {
        let seconds = u64::try_from(moment.as_second()).unwrap_or(0);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = at(from);
    params.not_after = at(until);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    params
}

/// Organisation, then common name, in the order that Go writes them.
fn subject(organization: Option<&str>, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, printable(organization));
    }
    name.push(DnType::CommonName, printable(common_name));
    name
}

/// A PrintableString where the text allows it, as Go writes names; UTF-8 otherwise.
pub(crate) fn printable(text: &str) -> DnValue {
    match PrintableString::try_from(text) {
        Ok(printable) => DnValue::PrintableString(printable),
        Err(_) => DnValue::Utf8String(text.to_owned()),
    }
}

/// A positive number of 63 random bits, as stock draws them.
fn random_serial() -> Result<SerialNumber, CaError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(SerialNumber::from(u64::from_be_bytes(bytes) >> 1))
}

/// `now` moved by `by`, stopping at the ends of time: a configured lifetime may be any number.
fn add(now: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    now.checked_add(by).unwrap_or(end)
}

fn signing(error: rcgen::Error) -> CaError {
    CaError::Signing(error.to_string())
}

#[cfg(test)]
mod tests;
