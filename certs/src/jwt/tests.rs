//! Web tokens: both algorithms, and the confusions between them.

use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn exp() -> i64 {
    now().as_second() + 60
}

fn es256() -> Es256 {
    Es256::new(PrivateKey::generate().unwrap())
}

#[test]
fn es256_round_trip_with_key_id() {
    let issuer = es256();
    let token = issuer.sign(&json!({"sub": "a", "exp": exp()})).unwrap();
    let claims: Value = issuer.verify(&token, now()).unwrap();
    assert_eq!(claims["sub"], "a");
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some(issuer.key_id()));
    assert_eq!(es256().verify::<Value>(&token, now()), Err(JwtError::Signature));
}

/// RFC 7515 appendix A.1: bytes that others made.
#[test]
fn hs256_known_answer() {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let before = Timestamp::from_second(1_300_819_379).unwrap();
    assert_eq!(verify_hs256::<Value>(token, &key, before).unwrap()["iss"], "joe");
    assert!(matches!(verify_hs256::<Value>(token, &key, now()), Err(JwtError::Expired(_))));
}

#[test]
fn a_public_key_used_as_a_shared_secret_is_refused() {
    let issuer = es256();
    let forged = sign_hs256(&json!({"exp": exp()}), issuer.key().public_point()).unwrap();
    assert!(matches!(issuer.verify::<Value>(&forged, now()), Err(JwtError::Malformed(_))));
}

#[test]
fn a_token_without_signature_is_refused() {
    // {"alg":"none"}
    let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.";
    assert!(verify_hs256::<Value>(token, b"secret", now()).is_err());
}

#[test]
fn times_are_checked_against_the_given_now() {
    let at = |claims| {
        sign_hs256(&claims, b"secret").and_then(|token| verify_hs256::<Value>(&token, b"secret", now()))
    };
    assert!(matches!(at(json!({"exp": now().as_second()})), Err(JwtError::Expired(_))));
    assert!(matches!(at(json!({"exp": exp(), "nbf": exp()})), Err(JwtError::NotYet(_))));
    assert!(matches!(at(json!({"nbf": 0})), Err(JwtError::Claims(_))), "no exp");
    assert!(matches!(at(json!({"exp": "soon"})), Err(JwtError::Claims(_))));
    assert!(at(json!({"exp": exp(), "nbf": now().as_second()})).is_ok());
}
