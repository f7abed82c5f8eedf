//! Calls of applications in the cloud, and of the cloud here.

use proto::user::{Body, Headers, HttpResponse};
use proto::{Content, Group, Message, Operation, Resource, Route, Source};

use super::{Answers, reply};
use crate::flow::{MetaError, ServiceRequest};
use crate::metamanager::cloud::{CallError, taken};
use crate::metamanager::intake::answer;

impl Answers {
    pub(super) async fn service(&self, request: ServiceRequest) {
        match request {
            ServiceRequest::Ask { url, body, reply: to } => reply(to, self.ask_cloud(url, &body).await),
            ServiceRequest::Answer { id, response } => {
                let answer = answer(Source::ServiceBus, &id, &response, self.cloud.stamp());
                if !self.cloud.is_connected() || self.cloud.send(answer).await.is_err() {
                    tracing::warn!(msg = id, "the answer of a service is lost: there is no link");
                }
            }
        }
    }

    async fn ask_cloud(&self, url: String, body: &[u8]) -> Result<HttpResponse, MetaError> {
        if !self.cloud.is_connected() {
            return Err(MetaError::Offline { what: url });
        }
        let route = Route {
            source: Source::ServiceBus,
            group: Group::User,
            operation: Operation::Upload,
            resource: Resource::Topic(url.clone()),
        };
        let message = Message::new(self.cloud.stamp(), route, Content::bytes(body));
        let answer = self.cloud.ask(message).await.and_then(|answer| read(&answer));
        answer.map_err(|error| match error {
            CallError::Offline => MetaError::Offline { what: url },
            // Nobody knows what came of it.
            CallError::Lost => MetaError::Lost,
            CallError::Timeout(_) => {
                MetaError::Refused { reason: "Timeout".to_owned(), message: error.to_string() }
            }
            CallError::Refused { reason, message } => MetaError::Refused { reason, message },
            CallError::Unreadable(message) => MetaError::Refused { reason: "Unreadable".to_owned(), message },
        })
    }
}

/// A cloud of stock says what it has got and nothing else.
fn read(answer: &Message) -> Result<HttpResponse, CallError> {
    if answer.route.operation == Operation::Error {
        taken(Some(answer))?;
    }
    if let Content::Json(_) = &answer.content
        && let Ok(response) = answer.content.decode::<HttpResponse>()
    {
        return Ok(response);
    }
    taken(Some(answer))?;
    let body = Body(answer.content.data().into_owned());
    Ok(HttpResponse { header: Headers::new(), status_code: 200, body })
}
