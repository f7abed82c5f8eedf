//! What applications at the edge ask of ServiceBus: one request to the target of the rule, and its answer. Sent once: whoever asked waits,
//! hears what came of it, and knows whether it may be asked again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use proto::user::{Body, CloudRequest, HttpResponse};
use proto::{Content, Group, Message, Source, Stamp};

use super::delivery::{MESSAGE_ID, NODE, shown};
use super::headers;
use super::rules::Form;
use super::web::{Failure, Incoming, Outgoing, Servers};
use crate::flow::NodeName;

/// Asks a server what an application has asked.
///
/// # Errors
/// What the application is told, and why.
pub(super) async fn ask(
    web: &dyn Servers,
    (url, form): (&Uri, Form),
    node: &NodeName,
    message: &Message,
    limit: Duration,
) -> Result<HttpResponse, (HttpResponse, String)> {
    let failed = |status: StatusCode, why: String| {
        let text = format!("{}: {why}", shown(url));
        (HttpResponse::text(status.as_u16(), &text), format!("{node}: {text}"))
    };
    let (method, body) =
        request(form, &message.content).map_err(|why| failed(StatusCode::BAD_REQUEST, why))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in [(NODE, node.as_str()), (MESSAGE_ID, message.header.id.as_str())] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    match web.send(Outgoing { method, url: url.clone(), headers, body }, limit).await {
        Ok(Incoming { status, headers, body }) => {
            let header = headers::to_wire(&headers::passed_on(&headers));
            Ok(HttpResponse { header, status_code: status.as_u16(), body: Body(body.to_vec()) })
        }
        Err(failure) => {
            let status = match failure {
                Failure::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
                Failure::Unreachable(_) | Failure::Broken(_) | Failure::TooLarge(_) => {
                    StatusCode::BAD_GATEWAY
                }
            };
            Err(failed(status, failure.to_string()))
        }
    }
}

/// What the server gets.
fn request(form: Form, content: &Content) -> Result<(Method, Bytes), String> {
    let Content::Text(text) = content else { return Err("the node has sent no request".to_owned()) };
    if form == Form::Stock {
        return Ok((Method::POST, Bytes::from(text.clone())));
    }
    let bytes = BASE64.decode(text).map_err(|_| "the node has sent no base64".to_owned())?;
    let request: CloudRequest<'_> = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let method = match request.method.as_str() {
        "" => Method::POST,
        word => word.to_ascii_uppercase().parse().map_err(|_| format!("{word:?} is no method of HTTP"))?,
    };
    let payload = request.payload.map(|payload| payload.get().to_owned()).unwrap_or_default();
    Ok((method, Bytes::from(payload)))
}

/// The answer as the node understands it. A stock node takes any text for "it worked": it is told only what worked, and waits in vain
/// otherwise, as with a stock cloud.
pub(super) fn reply(
    message: &Message,
    stamp: Stamp,
    outcome: Result<&HttpResponse, &HttpResponse>,
    is_native: bool,
) -> Option<Message> {
    let content = match outcome {
        Ok(answer) | Err(answer) if is_native => Content::object(answer).ok()?,
        Ok(answer) => Content::text(String::from_utf8_lossy(&answer.body.0)),
        Err(_) => return None,
    };
    Some(message.reply(stamp, content).from_module(Source::RouterServiceBus, Group::User))
}

#[cfg(test)]
mod tests {
    use proto::{Operation, Resource, Route};

    use super::*;

    fn content(request: &str) -> Content {
        Content::bytes(request.as_bytes())
    }

    #[test]
    fn a_server_gets_what_stock_sends_or_the_payload() {
        let asked = content(r#"{"method":"put","targetURL":"http://x","payload":{"a":1}}"#);
        let (method, body) = request(Form::Stock, &asked).unwrap();
        assert_eq!((method, body.as_ref()), (Method::POST, asked.data().as_ref()));
        let (method, body) = request(Form::Payload, &asked).unwrap();
        assert_eq!((method, body.as_ref()), (Method::PUT, &br#"{"a":1}"#[..]));
        assert_eq!(request(Form::Payload, &content(r#"{"targetURL":"http://x"}"#)).unwrap().0, Method::POST);
        for wrong in [Content::Null, Content::text("?"), content("x"), content(r#"{"method":"a b"}"#)] {
            assert!(request(Form::Payload, &wrong).is_err());
        }
    }

    #[test]
    fn a_stock_node_hears_only_of_what_worked() {
        let route = Route {
            source: Source::ServiceBus,
            group: Group::User,
            operation: Operation::Upload,
            resource: Resource::Topic("http://x".to_owned()),
        };
        let stamp = || Stamp { id: "a".to_owned(), timestamp: 1 };
        let message = Message::new(Stamp { id: "q".to_owned(), timestamp: 1 }, route, Content::Null);
        let answer = HttpResponse::text(404, "nothing");
        let told = reply(&message, stamp(), Ok(&answer), false).unwrap();
        assert_eq!((told.header.parent_id.as_deref(), &told.content), (Some("q"), &Content::text("nothing")));
        assert_eq!(told.route.operation, Operation::Response);
        assert_eq!(reply(&message, stamp(), Err(&answer), false), None);
        let told = reply(&message, stamp(), Err(&answer), true).unwrap();
        assert_eq!(told.content.decode::<HttpResponse>().unwrap(), answer);
    }
}
