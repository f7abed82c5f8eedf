//! What can be reached below an object and is more than a part of it.

use http::Response;

use crate::call::Call;
use crate::dispatch::Verb;
use crate::error::{ApiError, ApiResult};
use crate::registry::Subresource;
use crate::response::Body;

mod binding;
mod eviction;
mod scale;
mod token;

/// Answers a request for a subresource of the object of the path.
pub(crate) async fn answer(call: &Call, subresource: &Subresource, verb: Verb) -> ApiResult<Response<Body>> {
    match subresource {
        Subresource::Binding => binding::bind(call).await,
        Subresource::Eviction => eviction::evict(call).await,
        Subresource::Token => token::issue(call),
        Subresource::Scale(paths) => scale::answer(call, paths, verb).await,
        // These are parts of the object; the generic verbs answer them.
        Subresource::Status
        | Subresource::Finalize
        | Subresource::Approval
        | Subresource::EphemeralContainers => Err(ApiError::method_not_allowed()),
    }
}
