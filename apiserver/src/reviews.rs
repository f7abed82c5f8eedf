//! Questions that are answered and not stored: who am I, may I.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::access::{self, Attributes};
use crate::call::Call;
use crate::error::{ApiError, ApiResult};
use crate::object::{list, text};
use crate::response::Body;
use crate::tokens::{self, ISSUER};
use crate::user::{MASTERS, User};

/// Answers the review in the body of the call.
pub(crate) fn answer(call: &Call, mut review: Value) -> ApiResult<Response<Body>> {
    let status = match call.kind.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": describe(&call.user)}),
        "SelfSubjectAccessReview" => access_status(&call.user, &review),
        "SubjectAccessReview" => access_status(&subject(&review), &review),
        "SelfSubjectRulesReview" => rules(&call.user),
        "TokenReview" => token_status(call, &review),
        _ => return Err(ApiError::method_not_allowed()),
    };
    review["apiVersion"] = call.kind.api_version().into();
    review["kind"] = call.kind.kind.clone().into();
    review["status"] = status;
    call.respond_value(StatusCode::CREATED, review)
}

fn describe(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.clone().into();
    }
    let extra: Map<String, Value> =
        user.extra.iter().map(|(key, value)| (key.clone(), json!([value]))).collect();
    if !extra.is_empty() {
        info["extra"] = extra.into();
    }
    info
}

/// The user that a SubjectAccessReview asks about.
fn subject(review: &Value) -> User {
    let groups = list(review, "/spec/groups").iter().filter_map(Value::as_str);
    User::new(text(review, "/spec/user"), groups.map(str::to_owned))
}

fn access_status(user: &User, review: &Value) -> Value {
    let path = text(review, "/spec/nonResourceAttributes/path");
    let allowed = if path.is_empty() {
        let field = |name: &str| text(review, &format!("/spec/resourceAttributes/{name}"));
        let attributes = Attributes {
            verb: field("verb"),
            group: field("group"),
            resource: field("resource"),
            subresource: field("subresource"),
            namespace: field("namespace"),
            name: field("name"),
        };
        access::allows(user, &attributes)
    } else {
        access::allows_path(user, path)
    };
    json!({"allowed": allowed})
}

fn rules(user: &User) -> Value {
    let (resources, paths) = if user.is_in(MASTERS) {
        (
            json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
            json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]),
        )
    } else {
        (
            json!([
                {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
                 "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
                {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
            ]),
            json!([{"verbs": ["get"], "nonResourceURLs": ["*"]}]),
        )
    };
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}

fn token_status(call: &Call, review: &Value) -> Value {
    let mut audiences: Vec<String> =
        list(review, "/spec/audiences").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    match tokens::authenticate(&call.api, text(review, "/spec/token"), &audiences) {
        Ok(accepted) => {
            json!({"authenticated": true, "user": describe(&accepted.user), "audiences": accepted.audiences})
        }
        Err(error) => json!({"authenticated": false, "error": error.to_string()}),
    }
}
