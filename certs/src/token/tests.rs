//! Join tokens: shape, time, and whose they are.

use proptest::prelude::*;

use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn ca() -> Ca {
    Ca::generate(now()).unwrap()
}

#[test]
fn a_token_is_good_at_its_ca_until_it_expires() {
    let ca = ca();
    let token = JoinToken::issue(&ca, now(), DAY).unwrap();
    let read = JoinToken::parse(&format!(" {}\n", token.expose())).unwrap();
    assert_eq!(read.verify(&ca, now()).unwrap(), now() + DAY);
    read.verify(&ca, now() + DAY - SignedDuration::from_secs(1)).unwrap();
    assert_eq!(read.verify(&ca, now() + DAY), Err(TokenError::Jwt(JwtError::Expired(now() + DAY))));
}

#[test]
fn a_token_says_when_it_expires_to_whoever_has_it() {
    let token = JoinToken::issue(&ca(), now(), DAY).unwrap();
    assert_eq!(token.claimed_expiry(), Some(now() + DAY));
    let odd = JoinToken::parse(&format!("{}.a.b.c", "0".repeat(64))).unwrap();
    assert_eq!(odd.claimed_expiry(), None);
}

#[test]
fn a_token_of_another_ca_is_refused_on_both_sides() {
    let (ours, theirs) = (ca(), ca());
    let token = JoinToken::issue(&theirs, now(), DAY).unwrap();
    assert!(matches!(token.check_ca(ours.cert_der()), Err(TokenError::OtherCa { .. })));
    assert!(matches!(token.verify(&ours, now()), Err(TokenError::OtherCa { .. })));
    assert_eq!(verify_bearer(token.bearer(), &ours, now()), Err(TokenError::Jwt(JwtError::Signature)));
}

/// The header and claims that stock makes: `{"alg":"HS256","typ":"JWT"}` and `exp` alone.
#[test]
fn header_and_claims_are_those_of_stock() {
    let token = JoinToken::issue(&ca(), now(), DAY).unwrap();
    let parts: Vec<serde_json::Value> = token
        .bearer()
        .split('.')
        .take(2)
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
        .map(|json| serde_json::from_slice(&json).unwrap())
        .collect();
    assert_eq!(parts[0], serde_json::json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!(parts[1], serde_json::json!({"exp": (now() + DAY).as_second()}));
}

#[test]
fn texts_without_the_shape_of_a_token_are_refused() {
    let good = JoinToken::issue(&ca(), now(), DAY).unwrap().expose();
    let parts: Vec<&str> = good.split('.').collect();
    let cases = [
        String::new(),
        "....".into(),
        parts[..3].join("."),
        format!("{good}.more"),
        parts[1..].join("."),
        format!("{}.{}..{}", parts[0], parts[1], parts[3]),
        format!("{}g{}", &good[..10], &good[11..]),
        format!("{good}{}", "a".repeat(MAX_TOKEN)),
    ];
    for text in cases {
        assert_eq!(JoinToken::parse(&text), Err(TokenError::Malformed), "{text}");
    }
}

#[test]
fn debug_does_not_show_the_token() {
    let token = JoinToken::issue(&ca(), now(), DAY).unwrap();
    assert!(!format!("{token:?}").contains(token.bearer()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,200}", hash in "[0-9a-f]{64}") {
        prop_assert!(JoinToken::parse(&text).is_err());
        if let Ok(token) = JoinToken::parse(&format!("{hash}.{text}")) {
            prop_assert_eq!(JoinToken::parse(&token.expose()).unwrap(), token);
        }
    }

    #[test]
    fn a_changed_token_is_refused(at in 65_usize..150, to in "[A-Za-z0-9_-]") {
        let ca = ca();
        let token = JoinToken::issue(&ca, now(), DAY).unwrap().expose();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != token);
        let verified = JoinToken::parse(&changed).and_then(|it| it.verify(&ca, now()));
        prop_assert!(verified.is_err());
    }
}
