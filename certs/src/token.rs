//! Join tokens: `<hex SHA-256 of the CA certificate>.<JWT>` (spec cloud-and-wire 2.9).
//!
//! The JWT is HS256 with the CA's private key in SEC1 DER as the key, and its only claim is `exp`. That is stock's
//! choice, kept so that tokens of either kind of CloudCore are good at the other.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::ca::Ca;
use crate::jwt::{self, JwtError};

/// Longest token that is read, in bytes. Ours have about 200.
pub const MAX_TOKEN: usize = 4096;
/// Parts of a token: the hash, and the three parts of a JWT.
const PARTS: usize = 4;
/// Hex digits of a SHA-256.
const HASH_LEN: usize = 64;

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not four parts of the expected shape.
    #[error("not a join token: expected <64 hex digits>.<header>.<claims>.<signature>")]
    Malformed,
    /// The CA certificate is not the one that the token was made for.
    #[error("the token is for a CA with SHA-256 {expected}, but this CA has {found}")]
    OtherCa {
        /// Hash that the token holds.
        expected: String,
        /// Hash of the certificate.
        found: String,
    },
    /// The JWT inside is not acceptable.
    #[error("join token: {0}")]
    Jwt(#[from] JwtError),
}

/// A token in its right shape; whether it is good is for [`JoinToken::verify`] to say. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    hash: String,
    jwt: String,
}

/// Stock's only claim.
#[derive(Serialize, Deserialize)]
struct Claims {
    exp: i64,
}

impl JoinToken {
    /// A token that is good until `now + ttl`.
    pub fn issue(ca: &Ca, now: Timestamp, ttl: SignedDuration) -> Result<Self, TokenError> {
        let exp = now.as_second().saturating_add(ttl.as_secs());
        let jwt = jwt::sign_hs256(&Claims { exp }, ca.key().sec1_der())?;
        Ok(Self { hash: ca.fingerprint(), jwt })
    }

    /// Reads a token's text; white space around it is left out, because it is often pasted.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let (hash, jwt) = text.split_once('.').ok_or(TokenError::Malformed)?;
        let hex = hash.len() == HASH_LEN && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts: Vec<&str> = text.split('.').take(PARTS + 1).collect();
        if text.len() > MAX_TOKEN || !hex || parts.len() != PARTS || parts.contains(&"") {
            return Err(TokenError::Malformed);
        }
        Ok(Self { hash: hash.to_ascii_lowercase(), jwt: jwt.to_owned() })
    }

    /// Checks at the edge that `certificate` is the CA that the token was made for.
    pub fn check_ca(&self, certificate: &CertificateDer<'_>) -> Result<(), TokenError> {
        let found = fingerprint(certificate);
        if found == self.hash {
            return Ok(());
        }
        Err(TokenError::OtherCa { expected: self.hash.clone(), found })
    }

    /// Checks in the cloud that the token is of this CA and not expired, and returns the moment of its expiry.
    pub fn verify(&self, ca: &Ca, now: Timestamp) -> Result<Timestamp, TokenError> {
        self.check_ca(ca.cert_der())?;
        verify_bearer(&self.jwt, ca, now)
    }

    /// When the token says that it expires, for showing: nobody has verified that. None when it does not say.
    #[must_use]
    pub fn claimed_expiry(&self) -> Option<Timestamp> {
        let claims = URL_SAFE_NO_PAD.decode(self.jwt.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        Timestamp::from_second(claims.exp).ok()
    }

    /// The part that is sent as `Authorization: Bearer`. Treat as secret.
    #[must_use]
    pub fn bearer(&self) -> &str {
        &self.jwt
    }

    /// The whole token. Treat as secret.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{}.{}", self.hash, self.jwt)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken(for CA {}, not shown)", self.hash)
    }
}

/// Checks the JWT that came as `Authorization: Bearer`, and returns the moment of its expiry.
pub fn verify_bearer(jwt: &str, ca: &Ca, now: Timestamp) -> Result<Timestamp, TokenError> {
    if jwt.len() > MAX_TOKEN {
        return Err(TokenError::Malformed);
    }
    let claims: Claims = jwt::verify_hs256(jwt, ca.key().sec1_der(), now)?;
    Ok(Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX))
}

/// Lower-case hex of the SHA-256 of a certificate.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(HASH_LEN);
    for byte in Sha256::digest(certificate) {
        // Writing to a String cannot fail.
        if write!(hex, "{byte:02x}").is_err() {
            break;
        }
    }
    hex
}

#[cfg(test)]
mod tests;
