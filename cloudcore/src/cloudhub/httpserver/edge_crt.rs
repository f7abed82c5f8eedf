//! Who gets a certificate: a pure decision on headers, client certificate and body.

use certs::csr::CsrError;
use certs::identity::IdentityError;
use certs::token::{TokenError, verify_bearer};
use certs::{Ca, CertificateInfo, NodeIdentity};
use chassis::clock::Clock;
use http::{HeaderMap, HeaderName, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use proto::ban::BanList;
use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::flow::{Bans, Barred};

/// Name of the node that asks.
pub(super) const NODE_NAME: HeaderName = HeaderName::from_static("nodename");
/// Usages that the certificate should have, as a JSON array of the numbers of Go's `x509.ExtKeyUsage`.
const EXT_KEY_USAGES: HeaderName = HeaderName::from_static("extkeyusages");
/// Client authentication in Go's numbering; stock's default, and all that a node certificate gets.
const CLIENT_AUTH: [u8; 1] = [2];

/// Signs node certificates.
#[derive(Debug)]
pub struct Issuer {
    ca: Ca,
    lifetimes: Lifetimes,
    bans: Bans,
    clock: Clock,
}

/// How long what is issued is good.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Of a node's certificate (`modules.cloudHub.edgeCertSigningDuration`).
    pub certificate: SignedDuration,
    /// Of a join token: with its expiry it says when the token was made.
    pub token: SignedDuration,
}

/// Why a node gets no certificate.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("header NodeName: {0}")]
    NodeName(IdentityError),
    #[error("header ExtKeyUsages: only [2] (client authentication) is issued")]
    Usages,
    #[error(
        "no client certificate, and no header \"Authorization: Bearer <token>\"; get a new token with `keadm gettoken`"
    )]
    NoCredentials,
    #[error("{0}; get a new token with `keadm gettoken`")]
    Token(TokenError),
    #[error("the client certificate is not for this node: {0}")]
    Certificate(String),
    #[error("{0}")]
    Barred(#[from] Barred),
    #[error("{0}")]
    Request(CsrError),
}

impl Refusal {
    /// 401 for who asks, 403 for asking in another's name, 400 for what cannot be read, 500 for our own failure. A stock edge
    /// shows the text of any of them.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NodeName(_) | Self::Usages => StatusCode::BAD_REQUEST,
            Self::NoCredentials | Self::Token(_) | Self::Certificate(_) => StatusCode::UNAUTHORIZED,
            Self::Barred(Barred::Unknown) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Barred(_) => StatusCode::FORBIDDEN,
            Self::Request(CsrError::Signing(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Request(CsrError::Subject(_) | CsrError::OtherNode { .. }) => StatusCode::FORBIDDEN,
            Self::Request(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl Issuer {
    /// Signs with `ca` for who is not in `bans`.
    #[must_use]
    pub fn new(ca: Ca, lifetimes: Lifetimes, bans: Bans, clock: Clock) -> Self {
        Self { ca, lifetimes, bans, clock }
    }

    pub(super) fn ca(&self) -> &Ca {
        &self.ca
    }

    /// The certificate for a request, or why there is none. `certificate` has been verified against the CA by TLS.
    pub(super) fn answer(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        headers: &HeaderMap,
        request: &[u8],
    ) -> Result<CertificateDer<'static>, Refusal> {
        let name = text(headers, &NODE_NAME).unwrap_or_default();
        let node = NodeIdentity::new(name).map_err(Refusal::NodeName)?;
        let bans = self.bans.get()?;
        bans.check_name(node.node_name()).map_err(Barred::from)?;
        match certificate {
            Some(certificate) => check_certificate(certificate, &node, &bans)?,
            None => self.check_token(headers, &bans)?,
        }
        check_usages(headers)?;
        let now = self.clock.now();
        let since = bans.certificates_since(node.node_name());
        let lifetime = self.lifetimes.certificate;
        let issued = self.ca.sign_node_csr_since(request, node.node_name(), lifetime, now, since);
        let issued = issued.map_err(Refusal::Request)?;
        let how = if certificate.is_some() { "certificate" } else { "token" };
        tracing::info!(node = node.node_name(), authenticated_by = how, "certificate issued");
        Ok(issued)
    }

    fn check_token(&self, headers: &HeaderMap, bans: &BanList) -> Result<(), Refusal> {
        let bearer = text(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .ok_or(Refusal::NoCredentials)?
            .1;
        let expiry = verify_bearer(bearer, &self.ca, self.clock.now()).map_err(Refusal::Token)?;
        let issued = expiry.saturating_sub(self.lifetimes.token).unwrap_or(Timestamp::MIN);
        Ok(bans.check_token(issued).map_err(Barred::from)?)
    }
}

/// A node renews its own certificate only. Stock also takes `CN=kubeedge.io`, good for any node (spec cloud-and-wire 7.1 item 3).
fn check_certificate(
    certificate: &CertificateDer<'_>,
    node: &NodeIdentity,
    bans: &BanList,
) -> Result<(), Refusal> {
    let info =
        CertificateInfo::from_der(certificate).map_err(|error| Refusal::Certificate(error.to_string()))?;
    match info.node() {
        Ok(holder) if holder == *node => {
            Ok(bans.check(node.node_name(), Some(info.not_before)).map_err(Barred::from)?)
        }
        Ok(holder) => Err(Refusal::Certificate(format!("it is for {holder}"))),
        Err(error) => Err(Refusal::Certificate(error.to_string())),
    }
}

fn check_usages(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(&EXT_KEY_USAGES) else { return Ok(()) };
    match serde_json::from_slice::<Vec<u8>>(value.as_bytes()) {
        Ok(usages) if usages == CLIENT_AUTH => Ok(()),
        _ => Err(Refusal::Usages),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
