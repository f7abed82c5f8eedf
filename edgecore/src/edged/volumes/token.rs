//! Service account tokens for projected volumes: what is asked for, and when it is asked again.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection>

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::Pod;

use super::plan::Token;

/// A token is renewed when this part of its life is left.
const LAST_PART: i32 = 5;
/// ... or at this age, whatever its life.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How soon to ask again for a token that is due already: the cloud was out of reach, and the old one was served.
const RETRY: SignedDuration = SignedDuration::from_secs(60);

/// The request for `token`, bound to the pod: it ends with the pod.
pub(super) fn request(pod: &Pod, token: &Token) -> TokenRequest {
    TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: token.audience.clone().map(|audience| vec![audience]),
            expiration_seconds: Some(token.seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
            }),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    }
}

/// The service account that the pod runs as.
pub(super) fn service_account(pod: &Pod) -> &str {
    let name = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    name.filter(|name| !name.is_empty()).unwrap_or("default")
}

/// When to ask again for a token that lives for `seconds` until `expires`.
pub(super) fn refresh_at(expires: Timestamp, seconds: i64, now: Timestamp) -> Timestamp {
    let life = SignedDuration::from_secs(seconds.max(0));
    let due = (life - life / LAST_PART).min(MAX_AGE);
    let issued = expires.checked_sub(life).unwrap_or(Timestamp::MIN);
    let at = issued.checked_add(due).unwrap_or(Timestamp::MAX);
    at.max(now.checked_add(RETRY).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn renewed_in_the_last_fifth() {
        assert_eq!(refresh_at(at(3600), 3600, at(0)), at(2880));
        assert_eq!(refresh_at(at(3600), 3600, at(1000)), at(2880));
    }

    #[test]
    fn renewed_daily_at_the_latest() {
        let week = 7 * 24 * 3600;
        assert_eq!(refresh_at(at(week), week, at(0)), at(24 * 3600));
    }

    #[test]
    fn a_stale_token_is_asked_for_again_but_not_in_a_loop() {
        assert_eq!(refresh_at(at(3600), 3600, at(9000)), at(9060));
    }

    #[test]
    fn requests_are_bound_to_the_pod() {
        let mut pod = Pod::default();
        pod.metadata.name = Some("p".to_owned());
        pod.metadata.uid = Some("u".to_owned());
        assert_eq!(service_account(&pod), "default");
        let token = Token { audience: None, seconds: 3607, path: "token".to_owned() };
        let bound = request(&pod, &token).spec.unwrap().bound_object_ref.unwrap();
        assert_eq!((bound.kind.as_deref(), bound.uid.as_deref()), (Some("Pod"), Some("u")));
    }
}
