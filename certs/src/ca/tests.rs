//! The CA against stock's, byte by byte where it matters, and what it refuses to sign.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::*;
use crate::csr;

const STOCK_CA: &[u8] = include_bytes!("../../testdata/stock-ca.der");
const STOCK_REQUEST: &[u8] = include_bytes!("../../testdata/stock-edge1-request.der");
const STOCK_CERTIFICATE: &[u8] = include_bytes!("../../testdata/stock-edge1-certificate.der");

const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

fn now() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn parse(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

/// Everything of a certificate but key, serial, times and signature, for comparing with stock's.
fn shape(der: &[u8]) -> String {
    let certificate = parse(der);
    let extensions: Vec<String> = certificate
        .extensions()
        .iter()
        .filter(|it| {
            !it.oid.to_id_string().starts_with("2.5.29.14") && !it.oid.to_id_string().starts_with("2.5.29.35")
        })
        .map(|it| format!("{} critical={} {:02x?}", it.oid, it.critical, it.value))
        .collect();
    let subject: Vec<String> = certificate
        .subject()
        .iter_attributes()
        .map(|it| format!("{}={:?} {}", it.attr_type(), it.as_str(), it.attr_value().header.tag()))
        .collect();
    let issuer = certificate.issuer();
    let algorithm = &certificate.signature_algorithm.algorithm;
    let mut extensions = extensions;
    extensions.sort();
    format!("{} {subject:?} {issuer} {algorithm} {extensions:#?}", certificate.version())
}

#[test]
fn a_new_ca_has_the_attributes_of_a_stock_one() {
    let ca = Ca::generate(now()).unwrap();
    assert_eq!(shape(ca.cert_der()), shape(STOCK_CA));
    let (ours, stock) = (parse(ca.cert_der()), parse(STOCK_CA));
    assert_eq!(ours.raw_serial(), stock.raw_serial());
    let lifetime =
        |it: &X509Certificate<'_>| it.validity().not_after.timestamp() - it.validity().not_before.timestamp();
    assert_eq!(lifetime(&ours), lifetime(&stock));
    assert_eq!(ours.validity().not_before.timestamp(), now().as_second());
}

#[test]
fn a_stock_request_gets_a_certificate_of_the_stock_shape() {
    let ca = Ca::generate(now()).unwrap();
    let certificate = ca.sign_node_csr(STOCK_REQUEST, "edge1", YEAR, now()).unwrap();
    assert_eq!(shape(&certificate), shape(STOCK_CERTIFICATE));

    let (info, stock) = (info(&certificate), info(&CertificateDer::from(STOCK_CERTIFICATE)));
    assert_eq!(info.public_key, stock.public_key);
    assert_eq!(info.node().unwrap().node_name(), "edge1");
    assert_eq!(info.not_after, now() + YEAR);
    assert_eq!(info.not_before, now() - CLOCK_SKEW);
    assert!(ca.issued(&certificate, now()));
    assert!(!ca.issued(&certificate, now() + YEAR + SignedDuration::from_secs(1)), "expired");
    assert!(!ca.issued(&CertificateDer::from(STOCK_CERTIFICATE), now()), "of another CA");
}

fn info(der: &CertificateDer<'_>) -> CertificateInfo {
    CertificateInfo::from_der(der).unwrap()
}

#[test]
fn a_request_for_another_node_is_refused() {
    let ca = Ca::generate(now()).unwrap();
    let refused = ca.sign_node_csr(STOCK_REQUEST, "edge2", YEAR, now()).unwrap_err();
    assert_eq!(refused, CsrError::OtherNode { requested: "edge1".into(), asking: "edge2".into() });
}

#[test]
fn a_lifetime_beyond_the_end_of_time_ends_there() {
    let ca = Ca::generate(now()).unwrap();
    let node = NodeIdentity::new("a").unwrap();
    let request = csr::request(&node, &PrivateKey::generate().unwrap()).unwrap();
    let certificate = ca.sign_node_csr(&request, "a", SignedDuration::MAX, now()).unwrap();
    assert!(info(&certificate).is_valid_at(now() + YEAR * 1000));
}

#[test]
fn a_server_certificate_has_the_names_and_no_empty_one() {
    let ca = Ca::generate(now()).unwrap();
    let names = SanList::new(["", "10.1.2.3", "cloud.example"]);
    let server = ca.issue_server(&names, now()).unwrap();
    let info = info(server.certificate());
    assert_eq!(info.names, names);
    assert_eq!(info.common_name.as_deref(), Some("KubeEdge"));
    assert_eq!(info.organizations, ["KubeEdge"]);
    assert!(info.belongs_to(server.key()));
    assert!(matches!(ca.issue_server(&SanList::new([""]), now()), Err(CaError::NoNames)));
}

#[test]
fn a_ca_is_only_made_of_parts_that_belong_together() {
    let (one, other) = (Ca::generate(now()).unwrap(), Ca::generate(now()).unwrap());
    let reread = Ca::from_der(one.cert_der(), one.key().sec1_der()).unwrap();
    assert_eq!(reread.fingerprint(), one.fingerprint());
    assert!(matches!(Ca::from_der(one.cert_der(), other.key().sec1_der()), Err(CaError::Mismatch)));
    let leaf = one.issue_server(&SanList::new(["a"]), now()).unwrap();
    assert!(matches!(Ca::from_der(leaf.certificate(), leaf.key().sec1_der()), Err(CaError::NotCa)));
    assert!(matches!(Ca::from_der(b"", one.key().sec1_der()), Err(CaError::Certificate(_))));
}

#[test]
fn debug_does_not_show_the_key() {
    let ca = Ca::generate(now()).unwrap();
    let shown = format!("{ca:?}");
    let hex: String = ca.key().sec1_der()[7..15].iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", &ca.key().sec1_der()[7..15]);
    assert!(!shown.contains(&hex) && !shown.contains(list.trim_matches(['[', ']'])), "{shown}");
}
