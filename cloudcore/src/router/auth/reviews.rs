//! What the Kubernetes API says of a token, and of a right.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use proto::api::rule::GROUP;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::cache::Cache;
use super::{AUDIENCE, Caller, Denied, Fingerprint, May};
use crate::router::rules::Key;

/// Questions to the API at once: who asks with ever new tokens must not take what others need of it.
const CALLS: usize = 16;
/// Who asks waits; so the API has less time than elsewhere.
const CALL_TIME: Duration = Duration::from_secs(10);
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// As the API knows somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    uid: Option<String>,
    groups: Option<Vec<String>>,
}

/// Asks, and remembers for a while what was answered.
#[derive(Debug)]
pub(in crate::router) struct Reviews {
    client: ShownNot<Client>,
    calls: Semaphore,
    callers: Cache<Fingerprint, Caller>,
    rights: Cache<(Fingerprint, Key), ()>,
}

/// Something that does not show itself.
struct ShownNot<T>(T);

impl<T> std::fmt::Debug for ShownNot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Reviews {
    pub(super) fn new(client: Client) -> Self {
        let (callers, rights) = (Cache::new(), Cache::new());
        Self { client: ShownNot(client), calls: Semaphore::new(CALLS), callers, rights }
    }

    pub(super) async fn recognise(&self, token: &str, fingerprint: Fingerprint) -> Result<Caller, Denied> {
        let unknown =
            Denied::Unknown("the Kubernetes API does not know it for the audience router.kubeedge.io");
        if let Some(known) = self.callers.get(&fingerprint, Instant::now()) {
            return known.ok_or(unknown);
        }
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: Some(vec![AUDIENCE.to_owned()]) };
        let review = self.create(&TokenReview { spec, ..TokenReview::default() }).await?;
        let status = review.status.unwrap_or_default();
        // An API that knows no audiences says nothing of them: such a token may be for anything.
        let is_for_us = status.audiences.iter().flatten().any(|audience| audience == AUDIENCE);
        let user = status.user.filter(|_| status.authenticated == Some(true) && is_for_us);
        let caller = user.and_then(|user| caller(user, fingerprint));
        self.callers.put(fingerprint, caller.clone(), Instant::now());
        caller.ok_or(unknown)
    }

    pub(super) async fn may(
        &self,
        user: &User,
        fingerprint: Fingerprint,
        rule: &Key,
    ) -> Result<bool, Denied> {
        let key = (fingerprint, rule.clone());
        if let Some(known) = self.rights.get(&key, Instant::now()) {
            return Ok(known.is_some());
        }
        let text = |text: &str| Some(text.to_owned());
        let attributes = ResourceAttributes {
            verb: text("create"),
            group: text(GROUP),
            resource: text("rules"),
            subresource: text("messages"),
            namespace: text(&rule.0),
            name: text(&rule.1),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = self.create(&SubjectAccessReview { spec, ..SubjectAccessReview::default() }).await?;
        let is_allowed = review.status.is_some_and(|status| status.allowed);
        self.rights.put(key, is_allowed.then_some(()), Instant::now());
        Ok(is_allowed)
    }

    async fn create<K>(&self, review: &K) -> Result<K, Denied>
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        // The semaphore is never closed, so a permit always comes.
        let _permit = self.calls.acquire().await;
        let api: Api<K> = Api::all(self.client.0.clone());
        match timeout(CALL_TIME, api.create(&PostParams::default(), review)).await {
            Ok(Ok(review)) => Ok(review),
            Ok(Err(error)) => Err(Denied::Unavailable(error.to_string())),
            Err(_) => Err(Denied::Unavailable(format!("no answer within {CALL_TIME:?}"))),
        }
    }
}

fn caller(user: UserInfo, fingerprint: Fingerprint) -> Option<Caller> {
    let name = user.username.filter(|name| !name.is_empty())?;
    let own = name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
    let own = own.map(|(namespace, _)| namespace.to_owned());
    let user = User { name: name.clone(), uid: user.uid, groups: user.groups };
    Some(Caller { name, fingerprint, may: May::Ask { own, user: Box::new(user) } })
}
