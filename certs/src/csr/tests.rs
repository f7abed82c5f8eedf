//! Requests: what a hostile edge might send, and what it gets.

use proptest::prelude::*;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};

use super::*;

const STOCK_REQUEST: &[u8] = include_bytes!("../../testdata/stock-edge1-request.der");

fn node(name: &str) -> NodeIdentity {
    NodeIdentity::new(name).unwrap()
}

/// A request that is right, changed by `change`.
fn changed(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, NODE_ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, "system:node:edge1");
    change(&mut params);
    let key = PrivateKey::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

#[test]
fn the_stock_request_is_read() {
    let csr = NodeCsr::check(STOCK_REQUEST, &node("edge1")).unwrap();
    assert_eq!(csr.node(), &node("edge1"));
}

#[test]
fn our_request_has_the_subject_of_the_stock_one() {
    let ours = request(&node("edge1"), &PrivateKey::generate().unwrap()).unwrap();
    let subject = |der: &[u8]| {
        let (_, csr) = X509CertificationRequest::from_der(der).unwrap();
        let mut parts: Vec<String> = csr
            .certification_request_info
            .subject
            .iter_attributes()
            .map(|it| format!("{}={:?}", it.attr_type(), it.as_str()))
            .collect();
        parts.sort();
        parts
    };
    assert_eq!(subject(&ours), subject(STOCK_REQUEST));
    assert_eq!(NodeCsr::parse(&ours).unwrap().node(), &node("edge1"));
}

#[test]
fn usages_that_a_node_certificate_has_anyway_may_be_asked_for() {
    let der = changed(|params| {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    });
    NodeCsr::parse(&der).unwrap();
}

#[test]
fn whatever_else_is_asked_for_is_refused() {
    let cases: [(&str, Vec<u8>); 6] = [
        ("a name", changed(|it| it.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())])),
        ("serverAuth", changed(|it| it.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth))),
        ("any usage", changed(|it| it.extended_key_usages.push(ExtendedKeyUsagePurpose::Any))),
        ("signing certificates", changed(|it| it.key_usages.push(KeyUsagePurpose::KeyCertSign))),
        ("being a CA", changed(|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        (
            "an unknown extension",
            changed(|it| {
                it.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]))
            }),
        ),
    ];
    for (what, der) in cases {
        assert!(
            matches!(NodeCsr::parse(&der), Err(CsrError::Extension(_))),
            "{what}: {:?}",
            NodeCsr::parse(&der)
        );
    }
}

#[test]
fn subjects_that_are_not_a_nodes_are_refused() {
    let cases = [
        changed(|it| it.distinguished_name.push(DnType::OrganizationName, "system:masters")),
        changed(|it| it.distinguished_name.push(DnType::CommonName, "kubeedge.io")),
        changed(|it| it.distinguished_name.push(DnType::CommonName, "system:node:")),
        changed(|it| it.distinguished_name.push(DnType::CommonName, "system:node:../edge1")),
        changed(|it| it.distinguished_name = DistinguishedName::new()),
    ];
    for der in cases {
        assert!(matches!(NodeCsr::parse(&der), Err(CsrError::Subject(_))));
    }
}

#[test]
fn a_request_with_another_key_or_another_subject_than_signed_is_refused() {
    let mut der = STOCK_REQUEST.to_vec();
    let at = der.windows(5).position(|window| window == b"edge1").unwrap();
    der[at + 4] = b'2';
    assert_eq!(NodeCsr::parse(&der).unwrap_err(), CsrError::Signature);
}

#[test]
fn a_key_of_another_curve_is_refused() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let der = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    assert_eq!(NodeCsr::parse(&der).unwrap_err(), CsrError::Signature);
}

#[test]
fn what_is_too_long_or_has_a_tail_is_refused() {
    let mut der = STOCK_REQUEST.to_vec();
    der.push(0);
    assert_eq!(NodeCsr::parse(&der).unwrap_err(), CsrError::Malformed);
    der.resize(MAX_REQUEST + 1, 0);
    assert_eq!(NodeCsr::parse(&der).unwrap_err(), CsrError::Malformed);
}

/// A subject whose set of attributes is empty: rcgen's own reader panics on it.
#[test]
fn an_empty_set_in_the_subject_is_refused() {
    let good = changed(|it| it.distinguished_name = DistinguishedName::new());
    // SEQUENCE { version 0, subject SEQUENCE {} ... }: put an empty SET into the subject.
    let at = good.windows(5).position(|window| window == [2, 1, 0, 0x30, 0]).unwrap();
    let mut der = good[..at + 3].to_vec();
    der.extend([0x30, 2, 0x31, 0]);
    der.extend(&good[at + 5..]);
    // Both lengths around it, the outer one in the long form.
    assert_eq!((der[1], der[3]), (0x81, 0x30));
    for length_at in [2, 4] {
        der[length_at] += 2;
    }
    // It is read to the end, and only then found not to be what was signed.
    assert_eq!(NodeCsr::parse(&der).unwrap_err(), CsrError::Signature);
}

#[test]
fn a_change_of_the_class_of_any_tag_is_refused() {
    for at in 0..STOCK_REQUEST.len() {
        for flip in [0x40, 0x80, 0xc0] {
            let mut der = STOCK_REQUEST.to_vec();
            der[at] ^= flip;
            assert!(NodeCsr::check(&der, &node("edge1")).is_err(), "byte {at} changed by {flip:#x}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_change_of_one_byte_is_refused(at in 0_usize..STOCK_REQUEST.len(), flip in 1_u8..) {
        let mut der = STOCK_REQUEST.to_vec();
        der[at] ^= flip;
        prop_assert!(NodeCsr::check(&der, &node("edge1")).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(NodeCsr::parse(&bytes).is_err());
    }
}

#[test]
fn the_subject_of_a_request_in_pem_is_its_node() {
    let pem = |der: &[u8]| armor::encode(LABEL_REQUEST, der).into_bytes();
    let with_address = changed(|params| {
        params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
    });
    assert_eq!(subject(&pem(&with_address)).unwrap(), node("edge1"), "serving certificates have addresses");
    assert_eq!(subject(&pem(STOCK_REQUEST)).unwrap(), node("edge1"));
    let nobody = changed(|params| params.distinguished_name = DistinguishedName::new());
    for wrong in [
        Vec::new(),
        b"garbage".to_vec(),
        with_address,
        pem(b"garbage"),
        pem(&nobody),
        vec![b'-'; MAX_REQUEST + 1],
    ] {
        assert!(subject(&wrong).is_err(), "{}", String::from_utf8_lossy(&wrong));
    }
}
