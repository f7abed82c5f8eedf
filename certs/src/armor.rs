//! PEM (RFC 7468) as far as we need it: the first block with a wanted label.

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::CertificateDer;
use thiserror::Error;

/// PEM label of certificates.
const LABEL_CERTIFICATE: &str = "CERTIFICATE";

/// Why a text is not the PEM that was expected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArmorError {
    /// The text is not PEM at all, or a block in it is broken.
    #[error("not PEM: {0}")]
    Malformed(#[from] pem::PemError),
    /// There are blocks, but none with a wanted label.
    #[error("no PEM block labelled {0}")]
    Missing(String),
}

/// A certificate as a PEM block, with a newline at its end.
#[must_use]
pub fn encode_certificate(certificate: &CertificateDer<'_>) -> String {
    encode(LABEL_CERTIFICATE, certificate)
}

/// The first certificate of a PEM text.
pub fn decode_certificate(text: &[u8]) -> Result<CertificateDer<'static>, ArmorError> {
    decode(text, &[LABEL_CERTIFICATE]).map(CertificateDer::from)
}

/// One block, with a newline at its end.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), config)
}

/// Content of the first block that has one of `labels`.
pub(crate) fn decode(text: &[u8], labels: &[&str]) -> Result<Vec<u8>, ArmorError> {
    pem::parse_many(text)?
        .into_iter()
        .find(|block| labels.contains(&block.tag()))
        .map(Pem::into_contents)
        .ok_or_else(|| ArmorError::Missing(labels.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_label_is_passed_over() {
        let text = format!("{}{}", encode("A", b"a"), encode("B", b"b"));
        assert_eq!(decode(text.as_bytes(), &["B"]).unwrap(), b"b");
        assert!(matches!(decode(text.as_bytes(), &["C"]), Err(ArmorError::Missing(_))));
    }

    #[test]
    fn a_truncated_block_is_refused() {
        let text = encode(LABEL_CERTIFICATE, b"something");
        assert!(decode_certificate(&text.as_bytes()[..text.len() / 2]).is_err());
    }
}
