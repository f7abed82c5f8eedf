//! Files and Secrets with certificates and keys, and the certificates that peers present: any bytes are read or refused, and a
//! key survives being written and read.
#![no_main]

use certs::{CertificateInfo, PrivateKey, armor};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;

fuzz_target!(|bytes: &[u8]| {
    for key in [PrivateKey::from_der(bytes), PrivateKey::from_pem(bytes)].into_iter().flatten() {
        let written = key.to_pem();
        let again = PrivateKey::from_pem(written.as_bytes()).expect("what was written is read");
        assert_eq!(again.public_point(), key.public_point());
    }
    let der = armor::decode_certificate(bytes).unwrap_or_else(|_| CertificateDer::from(bytes.to_vec()));
    if let Ok(certificate) = CertificateInfo::from_der(&der) {
        let _ = certificate.node();
    }
});
