//! Push by HTTP POST, in the form of stock: one request for each value.

use std::time::Duration;

use futures::future::BoxFuture;

use super::web::{Post, Web};
use super::{Push, Sample, Sink, SinkError, Target, partly};
use crate::tls::Trust;

/// Where the property does not say how long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No request may take longer: a worker waits for it.
const MAX_TIMEOUT: Duration = Duration::from_secs(25);

/// See the module's documentation.
pub(super) struct Http {
    web: Web,
}

impl Http {
    pub(super) fn new(address: &str, trust: &Trust) -> Result<Self, SinkError> {
        Ok(Self { web: Web::new(address, trust)? })
    }

    async fn push_one(&self, push: &Push) -> Result<(), SinkError> {
        let Some(http) = &push.method.http else { return Ok(()) };
        let target = Target::all(&push.method).into_iter().find(|target| target.kind() == "http");
        let address = target.as_ref().map_or("", Target::address);
        let slash = if http.requestpath.starts_with('/') || http.requestpath.is_empty() { "" } else { "/" };
        let timeout = match u64::try_from(http.timeout) {
            Ok(0) | Err(_) => TIMEOUT,
            Ok(milliseconds) => Duration::from_millis(milliseconds).min(MAX_TIMEOUT),
        };
        let url = format!("{address}{slash}{}", http.requestpath);
        let post = Post {
            url: &url,
            content_type: "application/x-www-form-urlencoded",
            authorization: None,
            body: form(&push.sample).into_bytes(),
            timeout,
        };
        self.web.post(post).await.map(drop)
    }
}

impl Sink for Http {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let (mut refused, mut why) = (0, None);
            for push in batch {
                match self.push_one(push).await {
                    Ok(()) => {}
                    Err(SinkError::Refused(reason)) => (refused, why) = (refused + 1, Some(reason)),
                    Err(error) => return Err(error),
                }
            }
            partly(refused, batch.len(), why)
        })
    }
}

/// The body of a request.
pub(super) fn form(sample: &Sample) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair(&sample.property, &sample.value.to_string())
        .append_pair("time", &super::target::time(sample.at))
        .finish()
}
