//! `pods/eviction`: what `kubectl drain` asks for. Without disruption budgets it is a deletion.

use http::{Response, StatusCode};
use serde_json::json;

use crate::call::Call;
use crate::error::ApiResult;
use crate::intake;
use crate::response::{self, Body};
use crate::verbs::delete::{Deletion, remove};

pub(super) async fn evict(call: &Call) -> ApiResult<Response<Body>> {
    let eviction = intake::decode_any(call)?;
    let deletion = Deletion::of_value(&call.params, &eviction["deleteOptions"])?;
    remove(&call.api, &call.kind, call.entry()?, &deletion).await?;
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(response::json(StatusCode::CREATED, &status))
}
