//! Key forms: round trips, and what is refused.

use proptest::prelude::*;

use super::*;

#[test]
fn a_generated_key_reads_back_from_both_forms() {
    let key = PrivateKey::generate().unwrap();
    let from_der = PrivateKey::from_der(key.sec1_der()).unwrap();
    let from_pem = PrivateKey::from_pem(key.to_pem().as_bytes()).unwrap();
    assert_eq!(from_der.public_point(), key.public_point());
    assert_eq!(from_pem.sec1_der(), key.sec1_der());
}

#[test]
fn sec1_under_the_pkcs8_label_is_read_as_stock_does() {
    let key = PrivateKey::generate().unwrap();
    let text = armor::encode(LABEL_PKCS8, key.sec1_der());
    assert_eq!(PrivateKey::from_pem(text.as_bytes()).unwrap().sec1_der(), key.sec1_der());
}

#[test]
fn debug_shows_nothing_of_the_key() {
    let key = PrivateKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(P-256, not shown)");
}

#[test]
fn a_public_point_of_another_key_is_refused() {
    let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let mut mixed = one.sec1_der().to_vec();
    let tail = mixed.len() - 65;
    mixed[tail..].copy_from_slice(other.public_point());
    assert!(matches!(PrivateKey::from_der(&mixed), Err(KeyError::Inconsistent)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(PrivateKey::from_der(&bytes).is_err());
    }

    #[test]
    fn truncation_is_always_refused(cut in 1_usize..121) {
        let key = PrivateKey::generate().unwrap();
        let der = key.sec1_der();
        prop_assert!(PrivateKey::from_der(&der[..der.len() - cut]).is_err());
    }
}

#[test]
fn derived_secrets_differ_by_key_and_by_purpose_and_stay_the_same() {
    let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let again = PrivateKey::from_der(one.sec1_der()).unwrap();
    assert_eq!(one.derive("a"), again.derive("a"));
    assert_ne!(one.derive("a"), one.derive("b"));
    assert_ne!(one.derive("a"), other.derive("a"));
}
