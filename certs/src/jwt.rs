//! JSON web tokens (RFC 7519): HS256 for join tokens, ES256 for service accounts.
//!
//! The `jsonwebtoken` crate does the format; its cryptography is pluggable, and `jwt/provider.rs` plugs in ring, so that the tree
//! keeps one provider. Times are checked here and not there, because there they are compared with the system clock.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::key::PrivateKey;

mod provider;

/// Why a token is refused or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwtError {
    /// Not three parts of base64 with JSON inside, or another algorithm than the expected one.
    #[error("not a web token of the expected kind: {0}")]
    Malformed(String),
    /// The signature is not by the expected key.
    #[error("signature of the token is wrong: it is from another authority, or was changed")]
    Signature,
    /// `exp` is not after now.
    #[error("token expired at {0}")]
    Expired(Timestamp),
    /// `nbf` is after now.
    #[error("token is not valid before {0}: is the clock right?")]
    NotYet(Timestamp),
    /// The claims are not those of such a token.
    #[error("claims of the token: {0}")]
    Claims(String),
    /// The token could not be built.
    #[error("token cannot be signed: {0}")]
    Signing(String),
}

/// The registered claims that bound a token in time (RFC 7519 4.1). One without `exp` is refused.
#[derive(Deserialize)]
struct Times {
    exp: i64,
    nbf: Option<i64>,
}

/// Signs `claims` with a shared secret.
pub fn sign_hs256<T: Serialize>(claims: &T, secret: &[u8]) -> Result<String, JwtError> {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret))
}

/// Checks signature, algorithm and times of a token, and reads its claims.
pub fn verify_hs256<T: DeserializeOwned>(token: &str, secret: &[u8], now: Timestamp) -> Result<T, JwtError> {
    decode(token, Algorithm::HS256, &DecodingKey::from_secret(secret), now)
}

/// Signs tokens with a P-256 key and verifies them: an issuer of service account tokens.
#[derive(Debug, Clone)]
pub struct Es256 {
    key: PrivateKey,
    key_id: String,
}

impl Es256 {
    /// An issuer with this key. `kid` in its tokens is the key's fingerprint, so that keys can be told apart.
    #[must_use]
    pub fn new(key: PrivateKey) -> Self {
        let key_id = provider::key_id(key.public_point());
        Self { key, key_id }
    }

    /// What `kid` in the tokens says.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key: its public point is what a JWKS document needs.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs `claims`.
    pub fn sign<T: Serialize>(&self, claims: &T) -> Result<String, JwtError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        encode(&header, claims, &EncodingKey::from_ec_der(self.key.sec1_der()))
    }

    /// Checks signature, algorithm and times of a token, and reads its claims.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, now: Timestamp) -> Result<T, JwtError> {
        let key = DecodingKey::from_ec_der(self.key.public_point());
        decode(token, Algorithm::ES256, &key, now)
    }
}

fn encode<T: Serialize>(header: &Header, claims: &T, key: &EncodingKey) -> Result<String, JwtError> {
    provider::install();
    jsonwebtoken::encode(header, claims, key).map_err(|error| JwtError::Signing(error.to_string()))
}

fn decode<T: DeserializeOwned>(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
    now: Timestamp,
) -> Result<T, JwtError> {
    provider::install();
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims: Value =
        jsonwebtoken::decode(token, key, &validation).map_err(|error| refusal(&error))?.claims;
    check_times(&claims, now)?;
    serde_json::from_value(claims).map_err(|error| JwtError::Claims(error.to_string()))
}

fn check_times(claims: &Value, now: Timestamp) -> Result<(), JwtError> {
    let times = Times::deserialize(claims).map_err(|error| JwtError::Claims(error.to_string()))?;
    let at = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    if now.as_second() >= times.exp {
        return Err(JwtError::Expired(at(times.exp)));
    }
    match times.nbf {
        Some(nbf) if now.as_second() < nbf => Err(JwtError::NotYet(at(nbf))),
        _ => Ok(()),
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> JwtError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => JwtError::Signature,
        _ => JwtError::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
