//! The server as a tower service, so that a client in the same process needs no socket.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use tower_service::Service;

use crate::response::Body;
use crate::server::ApiServer;
use crate::user::User;

/// Everything that one user asks. `kube::Client::new(api.service(user), "default")` makes a client of it.
#[derive(Debug, Clone)]
pub struct ApiService {
    api: ApiServer,
    user: User,
}

impl ApiServer {
    /// The server as `user` sees it.
    #[must_use]
    pub fn service(&self, user: User) -> ApiService {
        ApiService { api: self.clone(), user }
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { api, user } = self.clone();
        Box::pin(async move { Ok(api.respond(user, request).await) })
    }
}
