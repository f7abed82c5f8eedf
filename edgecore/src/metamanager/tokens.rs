//! Service account tokens: which one can be served again, and how it is filed.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenRequest;
use sha2::{Digest as _, Sha256};

/// A token is asked for again when this share of its life is over (spec edge-keadm-mapper 3.9).
const FRESH_SHARE: f64 = 0.8;
/// However long it lives, a token is asked for again after a day (kubelet's limit, same section).
const FRESH_SECONDS: f64 = 24.0 * 3600.0;
/// Life of a token whose request does not say, in seconds: the API's default.
const DEFAULT_SECONDS: i64 = 3600;

/// Key of a request. It is made of what was asked, never of the answer: the API fills in audiences, and a key made of
/// those is not found again (the stock edge's mistake, spec edge-keadm-mapper 3.9).
pub(super) fn key(namespace: &str, account: &str, request: &TokenRequest) -> String {
    let spec = request.spec.as_ref();
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    part(namespace);
    part(account);
    for audience in spec.and_then(|spec| spec.audiences.as_deref()).unwrap_or_default() {
        part(audience);
    }
    part(&life(request).to_string());
    part(&pod_uid(request));
    format!("{:x}", hash.finalize())
}

/// UID of the pod that the token is bound to.
pub(super) fn pod_uid(request: &TokenRequest) -> String {
    let bound = request.spec.as_ref().and_then(|spec| spec.bound_object_ref.as_ref());
    bound.and_then(|bound| bound.uid.clone()).unwrap_or_default()
}

/// Whether the token can be served without asking for a new one.
pub(super) fn is_fresh(issued: &TokenRequest, now: Timestamp) -> bool {
    let expires = issued.status.as_ref().and_then(|status| status.expiration_timestamp.as_ref());
    let Some(expires) = expires else { return false };
    let life = life(issued) as f64;
    let left = expires.0.duration_since(now).as_secs_f64();
    let age = life - left;
    left > life * (1.0 - FRESH_SHARE) && age < FRESH_SECONDS
}

/// Life of a token in seconds, as asked or as granted.
fn life(request: &TokenRequest) -> i64 {
    request.spec.as_ref().and_then(|spec| spec.expiration_seconds).unwrap_or(DEFAULT_SECONDS)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use k8s_openapi::api::authentication::v1::{
        BoundObjectReference, TokenRequest, TokenRequestSpec, TokenRequestStatus,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::{is_fresh, key, pod_uid};

    fn request(uid: &str, audiences: &[&str]) -> TokenRequest {
        TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(audiences.iter().map(|&audience| audience.to_owned()).collect()),
                expiration_seconds: Some(3600),
                bound_object_ref: Some(BoundObjectReference {
                    uid: Some(uid.to_owned()),
                    ..BoundObjectReference::default()
                }),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        }
    }

    fn issued(now: Timestamp, left: i64) -> TokenRequest {
        let mut token = request("u1", &[]);
        token.status = Some(TokenRequestStatus {
            expiration_timestamp: Some(Time(now + SignedDuration::from_secs(left))),
            token: Some("t".into()),
        });
        token
    }

    #[test]
    fn the_key_tells_requests_apart() {
        let base = key("default", "default", &request("u1", &[]));
        assert_eq!(base, key("default", "default", &request("u1", &[])));
        for other in [
            key("other", "default", &request("u1", &[])),
            key("default", "other", &request("u1", &[])),
            key("default", "default", &request("u2", &[])),
            key("default", "default", &request("u1", &["vault"])),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(pod_uid(&request("u1", &[])), "u1");
    }

    #[test]
    fn a_token_is_fresh_for_four_fifths_of_its_life() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(is_fresh(&issued(now, 3600), now));
        assert!(is_fresh(&issued(now, 721), now));
        assert!(!is_fresh(&issued(now, 719), now));
        assert!(!is_fresh(&issued(now, -5), now));
        assert!(!is_fresh(&request("u1", &[]), now));
    }
}
