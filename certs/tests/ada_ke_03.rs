//! ADA-KE-03 (CVE-2022-31076, CVE-2022-31077): `null`, nothing, deep nesting and the like to every decoder. Each gives an
//! error and none panics. ADA-KE-12: what comes out is typed, or nothing comes out.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use certs::csr::NodeCsr;
use certs::token::verify_bearer;
use certs::{Ca, CertificateInfo, JoinToken, NodeIdentity, PrivateKey, armor, csr};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

/// DER that is nested as deep as it is long: a SEQUENCE in a SEQUENCE, each with a length that fits.
fn deep_der() -> Vec<u8> {
    let mut der = Vec::new();
    for _ in 0..5000 {
        let length = u32::try_from(der.len()).unwrap().to_be_bytes();
        let head = [&[0x30, 0x84][..], &length].concat();
        der.splice(0..0, head);
    }
    der
}

fn odd() -> Vec<Vec<u8>> {
    let pem = |body: &str| {
        ["CERTIFICATE", "CERTIFICATE REQUEST", "EC PRIVATE KEY", "PRIVATE KEY"]
            .map(|label| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"))
            .concat()
            .into_bytes()
    };
    let mut odd: Vec<Vec<u8>> =
        ["null", "[]", "0", "", "\"\"", "{}", "true", "a.b.c", "..", "\0", " ", "5.5", "\u{feff}"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
    odd.extend([b"[".repeat(100_000), b".".repeat(100_000), vec![0x30], vec![0x30, 0x80], vec![0xff; 4096]]);
    // Lengths that are declared and not there.
    odd.extend([vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], vec![0x30, 0x88, 0x7f, 0xff, 0xff, 0xff]]);
    odd.extend([deep_der(), pem(""), pem("bnVsbA=="), pem("@@@@"), pem("MIT/////")]);
    odd
}

#[test]
fn ada_ke_03_odd_input_to_every_decoder_is_an_error() {
    let ca = Ca::generate(Timestamp::now()).unwrap();
    let node = NodeIdentity::new("edge-1").unwrap();
    for bytes in odd() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let der = CertificateDer::from(bytes.clone());
        assert!(CertificateInfo::from_der(&der).is_err(), "certificate {shown:?}");
        assert!(NodeCsr::parse(&bytes).is_err(), "request {shown:?}");
        assert!(NodeCsr::check(&bytes, &node).is_err(), "request {shown:?}");
        assert!(csr::subject(&bytes).is_err(), "request in PEM {shown:?}");
        assert!(PrivateKey::from_der(&bytes).is_err(), "key {shown:?}");
        assert!(PrivateKey::from_pem(&bytes).is_err(), "key in PEM {shown:?}");
        assert!(Ca::from_der(&bytes, &bytes).is_err(), "CA {shown:?}");
        assert!(Ca::from_der(ca.cert_der(), &bytes).is_err(), "CA's key {shown:?}");
        assert!(!certs::certificate::is_signed_by(&der, ca.key().public_point()), "{shown:?}");
        assert!(certs::tls::client_config(&der, None).is_err(), "root {shown:?}");
        if let Ok(text) = std::str::from_utf8(&bytes) {
            assert!(JoinToken::parse(text).is_err(), "token {shown:?}");
            assert!(verify_bearer(text, &ca, Timestamp::now()).is_err(), "bearer {shown:?}");
            let is_a_name = ["null", "0", "true", "5.5", "a.b.c"].contains(&text);
            assert_eq!(NodeIdentity::new(text).is_ok(), is_a_name, "name {shown:?}");
        }
        // A certificate in PEM is only unwrapped; what is in it is read by the first of these.
        if let Ok(der) = armor::decode_certificate(&bytes) {
            assert!(CertificateInfo::from_der(&der).is_err(), "certificate in PEM {shown:?}");
        }
    }
}
