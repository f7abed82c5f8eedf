//! `serviceaccounts/token`: a token for a service account, perhaps bound to a pod.

use http::{Response, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::call::{Call, parse};
use crate::error::{ApiError, ApiResult};
use crate::field_error::FieldError;
use crate::intake;
use crate::object::{self, list, text};
use crate::response::{self, Body};
use crate::store::Place;
use crate::tokens::{self, ISSUER, KubernetesClaims, ObjectClaim};

/// How long a token is valid when the request does not say, and how short it may be, in seconds (API reference,
/// TokenRequestSpec).
const DEFAULT_SECONDS: i64 = 3600;
const SHORTEST_SECONDS: i64 = 600;
/// The real server's limit: 2^32 seconds.
const LONGEST_SECONDS: i64 = 1 << 32;

pub(super) fn issue(call: &Call) -> ApiResult<Response<Body>> {
    let mut request = intake::decode_any(call)?;
    let account = parse(&call.entry()?.object)?;
    let lifetime = lifetime(call, &request)?;
    let mut audiences: Vec<String> =
        list(&request, "/spec/audiences").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let mut claims = KubernetesClaims {
        namespace: call.namespace().to_owned(),
        serviceaccount: ObjectClaim { name: call.name()?.to_owned(), uid: object::uid(&account).to_owned() },
        pod: None,
        secret: None,
        node: None,
    };
    bind(call, &request["spec"]["boundObjectRef"], &mut claims)?;
    let now = call.api.clock().now();
    let id = call.api.rng().uuid().to_string();
    let token = tokens::issue(call.api.signer(), claims, audiences.clone(), lifetime, id, now)
        .map_err(ApiError::internal)?;
    let expires = now.saturating_add(lifetime).unwrap_or(now);
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["metadata"] = json!({
        "name": call.name()?, "namespace": call.namespace(), "creationTimestamp": object::time(now),
    });
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = lifetime.as_secs().into();
    request["status"] = json!({"token": token, "expirationTimestamp": object::time(expires)});
    Ok(response::json(StatusCode::CREATED, &request))
}

fn lifetime(call: &Call, request: &Value) -> ApiResult<SignedDuration> {
    let asked = &request["spec"]["expirationSeconds"];
    let seconds = asked.as_i64().unwrap_or(DEFAULT_SECONDS);
    let wrong = match seconds {
        _ if seconds < SHORTEST_SECONDS => "may not specify a duration less than 10 minutes",
        _ if seconds > LONGEST_SECONDS => "may not specify a duration larger than 2^32 seconds",
        _ => return Ok(SignedDuration::from_secs(seconds)),
    };
    let error = FieldError::invalid("spec.expirationSeconds", asked, wrong);
    Err(ApiError::invalid(&call.kind, call.name()?, &[error]))
}

/// Binds the token to the object that the request names: it must be there, and a pod must run as this account.
fn bind(call: &Call, reference: &Value, claims: &mut KubernetesClaims) -> ApiResult<()> {
    let kind = match text(reference, "/kind") {
        "" => return Ok(()),
        kind => kind,
    };
    let name = text(reference, "/name");
    let (plural, namespace) = match kind {
        "Pod" => ("pods", call.namespace()),
        "Secret" => ("secrets", call.namespace()),
        "Node" => ("nodes", ""),
        other => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type v1, Kind={other}"
            )));
        }
    };
    let registry = call.api.registry();
    let bound_kind = registry.resource("", "v1", plural).ok_or_else(ApiError::no_such_path)?;
    let entry = call.api.store().get(plural, &Place::new(namespace, name));
    let bound = parse(&entry.ok_or_else(|| ApiError::not_found(bound_kind, name))?.object)?;
    let (asked, uid) = (text(reference, "/uid"), object::uid(&bound));
    if !asked.is_empty() && asked != uid {
        let why = format!(
            "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(bound_kind, name, &why));
    }
    let claim = ObjectClaim { name: name.to_owned(), uid: uid.to_owned() };
    match kind {
        "Pod" => bind_pod(call, &bound, claim, claims),
        "Secret" => {
            claims.secret = Some(claim);
            Ok(())
        }
        _ => {
            claims.node = Some(claim);
            Ok(())
        }
    }
}

fn bind_pod(call: &Call, pod: &Value, claim: ObjectClaim, claims: &mut KubernetesClaims) -> ApiResult<()> {
    if text(pod, "/spec/serviceAccountName") != call.name()? {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            call.name()?
        )));
    }
    let node = text(pod, "/spec/nodeName");
    if !node.is_empty() {
        let entry = call.api.store().get("nodes", &Place::new("", node));
        let object = entry.map(|entry| parse(&entry.object)).transpose()?;
        let uid = object.as_ref().map(object::uid).unwrap_or_default().to_owned();
        claims.node = Some(ObjectClaim { name: node.to_owned(), uid });
    }
    claims.pod = Some(claim);
    Ok(())
}
