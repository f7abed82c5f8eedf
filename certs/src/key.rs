//! Private keys: ECDSA P-256 only, kept as SEC1 DER, which is what stock Secrets and key files hold
//! (spec cloud-and-wire 2.9).

use std::fmt;
use std::sync::Arc;

use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _,
};
use rustls_pki_types::{PrivateKeyDer, PrivateSec1KeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::armor::{self, ArmorError};

mod der;

/// PEM label of the key files that we write (spec edge-keadm-mapper 1.1).
const LABEL_SEC1: &str = "EC PRIVATE KEY";
/// PEM label of PKCS#8; stock CloudCore puts SEC1 under it too (spec cloud-and-wire 2.9), so the content decides.
const LABEL_PKCS8: &str = "PRIVATE KEY";

/// Why bytes are not a usable private key. Never holds any of the bytes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither SEC1 (RFC 5915) nor PKCS#8 (RFC 5958) with a P-256 key and its public point.
    #[error("not an ECDSA P-256 private key in SEC1 or PKCS#8 form")]
    Malformed,
    /// Well formed, but the public point does not belong to the secret, or the secret is out of range.
    #[error("private and public part of the key do not belong together")]
    Inconsistent,
    /// Not PEM, or no private key in it.
    #[error("private key: {0}")]
    Pem(#[from] ArmorError),
    /// The system has no randomness to give.
    #[error("the system's random number generator failed")]
    Random,
}

/// An ECDSA P-256 private key. Cheap to clone; wiped when the last clone goes; never shown by `Debug`.
#[derive(Clone)]
pub struct PrivateKey {
    sec1: Arc<Zeroizing<Vec<u8>>>,
    pair: Arc<EcdsaKeyPair>,
}

impl PrivateKey {
    /// A new key from the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::Random)?;
        Self::from_der(pkcs8.as_ref())
    }

    /// Reads SEC1 or PKCS#8 DER. SEC1 is kept byte for byte: the bytes of the CA's key are also the key of join tokens.
    pub fn from_der(bytes: &[u8]) -> Result<Self, KeyError> {
        let (parts, sec1) = match der::parse_sec1(bytes) {
            Some(parts) => (parts, Zeroizing::new(bytes.to_vec())),
            None => {
                let parts = der::parse_pkcs8(bytes).ok_or(KeyError::Malformed)?;
                let sec1 = der::write_sec1(&parts);
                (parts, sec1)
            }
        };
        let pair = pair(&ECDSA_P256_SHA256_ASN1_SIGNING, &parts)?;
        Ok(Self { sec1: Arc::new(sec1), pair: Arc::new(pair) })
    }

    /// Reads the first private key of a PEM text.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let der = Zeroizing::new(armor::decode(text, &[LABEL_SEC1, LABEL_PKCS8])?);
        Self::from_der(&der)
    }

    /// SEC1 DER (RFC 5915), as stock Secrets hold it. Treat as secret.
    #[must_use]
    pub fn sec1_der(&self) -> &[u8] {
        &self.sec1
    }

    /// PEM with label `EC PRIVATE KEY`, as stock key files hold it. Treat as secret.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(armor::encode(LABEL_SEC1, &self.sec1))
    }

    /// The public key as an uncompressed point (65 bytes, SEC1 2.3.3).
    #[must_use]
    pub fn public_point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// A signer whose signatures are the two numbers side by side, as JSON web tokens want them (RFC 7518 3.4).
    pub(crate) fn fixed_signer(&self) -> Result<EcdsaKeyPair, KeyError> {
        let parts = der::parse_sec1(&self.sec1).ok_or(KeyError::Malformed)?;
        pair(&ECDSA_P256_SHA256_FIXED_SIGNING, &parts)
    }

    /// A secret of another purpose that is the same as long as this key is: HMAC-SHA256 of the purpose's name (RFC 2104).
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.sec1);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        secret
    }

    /// The form that rustls takes.
    #[must_use]
    pub fn to_rustls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(self.sec1.to_vec()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(P-256, not shown)")
    }
}

// rcgen signs with our key directly: its own key pair cannot read SEC1 over ring.
impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        self.public_point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature =
            self.pair.sign(&SystemRandom::new(), message).map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

fn pair(algorithm: &'static EcdsaSigningAlgorithm, parts: &der::Parts<'_>) -> Result<EcdsaKeyPair, KeyError> {
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, parts.scalar, parts.point, &SystemRandom::new())
        .map_err(|_| KeyError::Inconsistent)
}

#[cfg(test)]
mod tests;
