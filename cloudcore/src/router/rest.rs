//! One request in the cloud for a node: `/<node>/<namespace>/<path of a rule>` (spec cloud-and-wire 6.3).
//!
//! | status | what it means |
//! |---|---|
//! | of the service | a service at the edge has answered so |
//! | 200 `message delivered` | the node has the message for its broker (Skerry), or it was sent to it (stock) |
//! | 400, 413 | the request cannot be passed on |
//! | 401, 403 | there is no token that counts, or it is not good for this rule |
//! | 404 `Request error` | no rule matches |
//! | 429 | the rule is asked too much; nothing was sent |
//! | 503 with `Retry-After` | the node is not connected to any CloudCore, or takes nothing; nothing was sent |
//! | 502 | the connection broke after it was sent, or the answer is none; or a request has come in a circle |
//! | 504 | it was sent, and not answered in time |
//!
//! Each answer says in `X-Message-Sent` whether the node has the message: `yes`, `no`, or `unknown`. Nothing is sent twice: after `unknown`
//! whoever asked must decide whether it may be asked again, after `no` it may. A stock node does not say that it has a message for its
//! broker: `yes` means there that it was put on its way, and it is lost if the connection breaks before it arrives.

mod refusal;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::body::Room;
use chassis::clock::Clock;
use chassis::rng::Rng;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use proto::user::{self, HttpRequest, HttpResponse};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use tokio::sync::watch;
use tokio::time::Instant;

use self::refusal::{MESSAGE_SENT, Refusal, Sent, text};
use super::auth::{Authority, Denied};
use super::delivery::MESSAGE_ID;
use super::headers;
use super::limits::Limits;
use super::metrics::Metrics;
use super::path::{self, Matched, Template};
use super::rules::{Key, Table, Target};
use super::status::Tally;
use super::stock::StockReplicas;
use crate::flow::{NodeName, Reach, Wants};

/// As stock says it.
const DELIVERED: &str = "message delivered";
/// As stock says it.
const NO_RULE: &str = "Request error";

/// Everything that answering takes.
pub(super) struct Front {
    pub(super) table: watch::Receiver<Arc<Table>>,
    pub(super) reach: Arc<dyn Reach>,
    pub(super) stock: Option<StockReplicas>,
    pub(super) authority: Authority,
    pub(super) limits: Limits,
    pub(super) room: Room,
    pub(super) tally: Tally,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    /// A node must answer within this; as long may a body take to come.
    pub(super) timeout: Duration,
}

/// What a request is for.
struct Wanted {
    key: Key,
    node: NodeName,
    request: Outgoing,
    id: String,
}

/// What goes to the node.
enum Outgoing {
    Publish { topic: String },
    Call { resource: String, method: Method },
}

impl Front {
    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        self.respond(request).await.unwrap_or_else(|refusal| refusal.into_response())
    }

    async fn respond<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        let caller =
            self.authority.recognise(&head.headers).await.map_err(|denied| self.denied(&denied, &head))?;
        let wanted = self.find(&head)?;
        let allowed = self.authority.allow(&caller, &wanted.key).await;
        allowed.map_err(|denied| self.denied(&denied, &head))?;
        let _place = self.limits.enter(&wanted.key, Instant::now()).map_err(|limit| {
            self.metrics.limited(&wanted.key);
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, limit.to_string())
        })?;
        let body = self.room.take(body, self.timeout).await.map_err(Refusal::of_body)?;
        if let Some((stock, address)) = self.with_stock(&wanted.node) {
            return self.pass_on((stock, &address), &wanted, &head, &body.bytes).await;
        }
        let message = self.message(&wanted, &head, &body.bytes)?;
        let answer = self.send(&wanted, message).await;
        match &answer {
            Ok(answer) if !answer.status().is_server_error() => self.taken(&wanted.key),
            Ok(answer) => self.failed(&wanted, &format!("the service answered {}", answer.status())),
            Err(refusal) => self.failed(&wanted, &refusal.text),
        }
        let mut answer = answer.map_or_else(Refusal::into_response, |mut answer| {
            answer.headers_mut().insert(MESSAGE_SENT, Sent::Yes.value());
            answer
        });
        if let Ok(id) = HeaderValue::from_str(&wanted.id) {
            answer.headers_mut().insert(MESSAGE_ID, id);
        }
        Ok(answer)
    }

    /// The CloudCore of KubeEdge that holds a node, where requests may be passed on to it.
    fn with_stock(&self, node: &NodeName) -> Option<(&StockReplicas, Arc<str>)> {
        let stock = self.stock.as_ref()?;
        Some((stock, stock.holder(node)?))
    }

    /// It counts for the rule what it does; what it does not get is counted here.
    async fn pass_on(
        &self,
        (stock, address): (&StockReplicas, &Arc<str>),
        wanted: &Wanted,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let how = (self.authority.wants_token(), self.timeout);
        match stock.pass_on(address, head, body, how).await {
            Ok(mut answer) => {
                self.metrics.passed_on("answered");
                let sent = if answer.status().is_success() { Sent::Yes } else { Sent::Unknown };
                answer.headers_mut().insert(MESSAGE_SENT, sent.value());
                Ok(answer)
            }
            Err(error) => {
                self.metrics.passed_on(if error.may_have_been_sent() { "lost" } else { "refused" });
                let refusal = Refusal::not_passed_on(&error);
                self.failed(wanted, &refusal.text);
                Err(refusal)
            }
        }
    }

    fn denied(&self, denied: &Denied, head: &http::request::Parts) -> Refusal {
        let (status, why) = match denied {
            Denied::Unknown(_) => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Denied::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Denied::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let path: String = head.uri.path().chars().take(200).collect();
        tracing::warn!(method = %head.method, path, "denied: {denied}");
        self.metrics.refused(why);
        Refusal::new(status, denied.to_string())
    }

    /// The rule of a request, and what is asked of the node.
    fn find(&self, head: &http::request::Parts) -> Result<Wanted, Refusal> {
        let no_rule = || {
            self.metrics.refused("no_rule");
            Refusal::new(StatusCode::NOT_FOUND, NO_RULE)
        };
        let table = Arc::clone(&self.table.borrow());
        if !table.is_complete {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the rules have not been read yet"));
        }
        let path = head.uri.path();
        let mut parts = path.strip_prefix('/').ok_or_else(no_rule)?.splitn(3, '/');
        let (node, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let own = parts.next().unwrap_or_default();
        if certs::NodeIdentity::new(node).is_err() || own.split('/').count() > path::MAX_SEGMENTS {
            return Err(no_rule());
        }
        let (rule, matched) = table.of_request(namespace, own).ok_or_else(no_rule)?;
        if user::leaves(&matched.rest) || matched.variables.values().any(|value| user::leaves(value)) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "the path leads out of itself"));
        }
        let has_variables =
            matches!(&rule.source, super::rules::Source::Rest(template) if template.has_variables());
        let request = match &rule.target {
            Target::EventBus(template) => {
                let topic = joined(template, &matched, own, has_variables);
                if !path::is_topic(&topic) {
                    return Err(Refusal::new(
                        StatusCode::BAD_REQUEST,
                        format!("{topic:?} is no topic of MQTT"),
                    ));
                }
                Outgoing::Publish { topic }
            }
            Target::ServiceBus { port, path } => {
                let mut resource = format!("{port}:/{}", joined(path, &matched, own, has_variables));
                if let Some(query) = head.uri.query() {
                    resource = format!("{resource}?{query}");
                }
                Outgoing::Call { resource, method: head.method.clone() }
            }
            Target::Rest { .. } => return Err(no_rule()),
        };
        let id = self.rng.uuid().to_string();
        Ok(Wanted { key: rule.key.clone(), node: NodeName::new(node), request, id })
    }

    fn message(
        &self,
        wanted: &Wanted,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Message, Refusal> {
        let (source, operation, resource, content) = match &wanted.request {
            Outgoing::Publish { topic } => {
                let text = std::str::from_utf8(body).map_err(|_| {
                    Refusal::new(
                        StatusCode::BAD_REQUEST,
                        "the body is no text: the channel carries texts to MQTT",
                    )
                })?;
                (Source::RouterEventBus, Operation::Publish, topic.clone(), Content::text(text))
            }
            Outgoing::Call { resource, method } => {
                let request = HttpRequest {
                    header: headers::of_request(&head.headers, self.authority.wants_token()),
                    body: user::Body(body.to_vec()),
                    method: method.to_string(),
                    url: String::new(),
                };
                let content = Content::object(&request)
                    .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
                (Source::RouterServiceBus, Operation::from(method.as_str()), resource.clone(), content)
            }
        };
        let route = Route { source, group: Group::User, operation, resource: Resource::Topic(resource) };
        let stamp = Stamp { id: wanted.id.clone(), timestamp: self.clock.now_ms() };
        Ok(Message::new(stamp, route, content))
    }

    async fn send(&self, wanted: &Wanted, message: Message) -> Result<Response<Full<Bytes>>, Refusal> {
        let is_call = matches!(wanted.request, Outgoing::Call { .. });
        let wants = if is_call { Wants::Answer } else { Wants::Receipt };
        let answer =
            self.reach.send(&wanted.node, message, wants, self.timeout).await.map_err(Refusal::unreached)?;
        let Some(answer) = answer else { return Ok(text(StatusCode::OK, DELIVERED)) };
        let unreadable = |why: String| {
            Refusal::new(StatusCode::BAD_GATEWAY, format!("the answer of the node is none: {why}"))
                .after(Sent::Yes)
        };
        let HttpResponse { header, status_code, body } =
            answer.content.decode().map_err(|error| unreadable(error.to_string()))?;
        let status = StatusCode::from_u16(status_code).ok().filter(|status| status.as_u16() >= 200);
        let status = status.ok_or_else(|| unreadable(format!("its status is {status_code}")))?;
        if !is_call {
            let why = String::from_utf8_lossy(&body.0).into_owned();
            return if status.is_success() {
                Ok(text(StatusCode::OK, DELIVERED))
            } else {
                Err(Refusal::new(status, why).after(Sent::Yes))
            };
        }
        let mut response = Response::new(Full::new(Bytes::from(body.0)));
        *response.status_mut() = status;
        *response.headers_mut() = headers::from_wire(&header);
        Ok(response)
    }

    fn taken(&self, key: &Key) {
        self.metrics.taken(key);
        self.tally.taken(key);
    }

    fn failed(&self, wanted: &Wanted, why: &str) {
        self.metrics.failed(&wanted.key);
        let why = format!("{}: {why}", wanted.node);
        tracing::info!(rule = %format_args!("{}/{}", wanted.key.0, wanted.key.1), msg = wanted.id, "failed: {why}");
        self.tally.failed(&wanted.key, self.clock.now(), &why);
    }
}

/// A target with what is left over of the request. As in stock: of a path without names what comes after it, of one with names the
/// whole, unless the target takes the names.
fn joined(target: &Template, matched: &Matched<'_>, own: &str, has_variables: bool) -> String {
    let rest =
        if has_variables && !target.has_variables() { own.trim_start_matches('/') } else { &matched.rest };
    let target = target.filled(&matched.variables);
    if rest.is_empty() { target } else { format!("{target}/{rest}") }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("authority", &self.authority)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
