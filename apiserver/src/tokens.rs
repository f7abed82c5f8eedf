//! Service account tokens: issuing them, and knowing the holder of one.
//!
//! ES256 JSON web tokens with the claims of Kubernetes ("Managing Service Accounts", bound tokens). A token that is bound
//! to a pod is good for as long as that pod is there.

use certs::jwt::{Es256, JwtError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::call::parse;
use crate::object;
use crate::server::ApiServer;
use crate::store::Place;
use crate::user::{SERVICE_ACCOUNT_PREFIX, User};

/// Who issues the tokens, and for whom they are when nobody else is named: what the real server calls itself by default.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: Vec<String>,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) iss: String,
    pub(crate) jti: String,
    pub(crate) sub: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) kubernetes: KubernetesClaims,
}

/// What a token says about objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KubernetesClaims {
    pub(crate) namespace: String,
    pub(crate) serviceaccount: ObjectClaim,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<ObjectClaim>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<ObjectClaim>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<ObjectClaim>,
}

/// One object, and no other one of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectClaim {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) uid: String,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum TokenError {
    /// It is not one of ours, or its time is over.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// It was issued by somebody else.
    #[error("token is of issuer {0}")]
    Issuer(String),
    /// It is for somebody else.
    #[error("token audiences {0:?} are not for this server")]
    Audience(Vec<String>),
    /// What it speaks of is gone, or was made anew.
    #[error("{0} has been deleted")]
    Gone(String),
}

/// Holder of a token, and the audiences that it was accepted for.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) user: User,
    pub(crate) audiences: Vec<String>,
}

/// Signs the claims for `account`.
pub(crate) fn issue(
    signer: &Es256,
    kubernetes: KubernetesClaims,
    audiences: Vec<String>,
    lifetime: SignedDuration,
    id: String,
    now: Timestamp,
) -> Result<String, JwtError> {
    let subject =
        format!("{SERVICE_ACCOUNT_PREFIX}{}:{}", kubernetes.namespace, kubernetes.serviceaccount.name);
    signer.sign(&Claims {
        aud: audiences,
        exp: now.as_second().saturating_add(lifetime.as_secs()),
        iat: now.as_second(),
        nbf: now.as_second(),
        iss: ISSUER.to_owned(),
        jti: id,
        sub: subject,
        kubernetes,
    })
}

/// The holder of `token`, if it is for one of `audiences` and what it is bound to is still there.
pub(crate) fn authenticate(
    api: &ApiServer,
    token: &str,
    audiences: &[String],
) -> Result<Accepted, TokenError> {
    let claims: Claims = api.signer().verify(token, api.clock().now())?;
    if claims.iss != ISSUER {
        return Err(TokenError::Issuer(claims.iss));
    }
    let accepted: Vec<String> = claims.aud.iter().filter(|own| audiences.contains(own)).cloned().collect();
    if accepted.is_empty() {
        return Err(TokenError::Audience(claims.aud));
    }
    let KubernetesClaims { namespace, serviceaccount, pod, secret, node } = &claims.kubernetes;
    check_present(api, "serviceaccounts", namespace, serviceaccount)?;
    for (resource, namespace, claim) in
        [("pods", namespace.as_str(), pod), ("secrets", namespace.as_str(), secret), ("nodes", "", node)]
    {
        // A node that comes back under its name keeps its pods, so only pods and secrets end a token.
        if let Some(claim) = claim.as_ref().filter(|_| resource != "nodes") {
            check_present(api, resource, namespace, claim)?;
        }
    }
    let mut user = User::service_account(namespace, &serviceaccount.name, &serviceaccount.uid);
    let mut tell = |key: &str, value: &str| {
        user.extra.push((format!("authentication.kubernetes.io/{key}"), value.to_owned()));
    };
    tell("credential-id", &format!("JTI={}", claims.jti));
    for (kind, claim) in [("pod", pod), ("node", node)] {
        if let Some(claim) = claim {
            tell(&format!("{kind}-name"), &claim.name);
            tell(&format!("{kind}-uid"), &claim.uid);
        }
    }
    Ok(Accepted { user, audiences: accepted })
}

fn check_present(
    api: &ApiServer,
    resource: &str,
    namespace: &str,
    claim: &ObjectClaim,
) -> Result<(), TokenError> {
    let entry = api.store().get(resource, &Place::new(namespace, &claim.name));
    let uid = entry.and_then(|entry| parse(&entry.object).ok()).map(|object| object::uid(&object).to_owned());
    match uid {
        Some(uid) if uid == claim.uid => Ok(()),
        _ => Err(TokenError::Gone(format!("{resource} {namespace}/{}", claim.name))),
    }
}
