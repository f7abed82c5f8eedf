use chassis::channel::bounded;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;

use super::super::web::tests::Scripted;
use super::*;
use crate::flow::{Replies, UserSession};

const LIMIT: Duration = Duration::from_secs(60);

type Answer = Result<(u16, &'static str), Failure>;
/// Method, what is answered, what comes of it, and by how many tries.
type Case = (&'static str, Vec<Answer>, Result<u16, bool>, usize);

fn address() -> Arc<str> {
    "10.0.0.9".into()
}

fn rig(answers: impl IntoIterator<Item = Answer>) -> (StockReplicas, Arc<Scripted>) {
    let servers = Scripted::new(answers);
    let stock = StockReplicas::new(9443, Holders::new().1, LocalNodes::default(), servers.clone());
    (stock, servers)
}

fn head(method: &str, headers: &[(&'static str, &'static str)]) -> request::Parts {
    let mut request = Request::builder().method(method).uri("/edge-1/default/a?b=c");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn refused() -> Answer {
    Err(Failure::Unreachable("refused".to_owned()))
}

fn broken() -> Answer {
    Err(Failure::Broken("reset".to_owned()))
}

/// What came of a request: its status, or whether it may have been sent; how often it was tried; and how long it took.
async fn outcome(
    method: &str,
    answers: Vec<Answer>,
    limit: Duration,
) -> (Result<u16, bool>, usize, Duration) {
    let (stock, servers) = rig(answers);
    let begun = Instant::now();
    let answer = stock.pass_on(&address(), &head(method, &[]), &Bytes::new(), (false, limit)).await;
    let outcome = match answer {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(error.may_have_been_sent()),
    };
    (outcome, servers.asked().len(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn only_what_was_not_sent_is_tried_again_whatever_the_method() {
    let cases: Vec<Case> = vec![
        ("POST", vec![Ok((201, ""))], Ok(201), 1),
        ("POST", vec![refused(), Ok((200, ""))], Ok(200), 2),
        ("POST", vec![refused(), refused(), refused(), Ok((200, ""))], Err(false), 3),
        ("POST", vec![broken(), Ok((200, ""))], Err(true), 1),
        ("POST", vec![refused(), broken(), Ok((200, ""))], Err(true), 2),
        ("PATCH", vec![Err(Failure::TimedOut(LIMIT))], Err(true), 1),
        ("PUT", vec![broken(), Ok((200, ""))], Err(true), 1),
        ("GET", vec![broken(), Ok((200, ""))], Err(true), 1),
        ("GET", vec![Err(Failure::TimedOut(LIMIT)), Ok((200, ""))], Err(true), 1),
        ("DELETE", vec![refused(), refused(), Ok((200, ""))], Ok(200), 3),
        // What the other one says is what it is.
        ("GET", vec![Ok((500, ""))], Ok(500), 1),
    ];
    for (method, answers, expected, tries) in cases {
        let shown = format!("{method} {answers:?}");
        let (outcome, tried, took) = outcome(method, answers, LIMIT).await;
        assert_eq!((outcome, tried), (expected, tries), "{shown}");
        assert_eq!(took.as_secs(), u64::try_from(tries - 1).unwrap(), "{shown}");
    }
    let (_, tried, took) = outcome("GET", vec![refused(), refused()], Duration::from_millis(1500)).await;
    assert_eq!((tried, took.as_secs()), (2, 1), "within the time that there is");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_in_a_circle_is_stopped() {
    let (stock, servers) = rig([]);
    let ask =
        async |head: request::Parts| stock.pass_on(&address(), &head, &Bytes::new(), (true, LIMIT)).await;
    let first = head("POST", &[("authorization", "Bearer x"), ("connection", "close"), ("x-own", "1")]);
    let answer = ask(first).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(servers.headers(PASSED_ON.as_str()), ["1"]);
    assert_eq!((servers.with_header("authorization"), servers.with_header("connection")), (0, 0));
    // As it comes back from a CloudCore of KubeEdge: with all its headers.
    let again = ask(head("POST", &[("x-skerry-forwarded", "1")])).await.unwrap_err();
    assert!(matches!(again, NotPassedOn::Loop) && !again.may_have_been_sent());
    assert_eq!(servers.asked().len(), 1);
}

#[test]
fn an_annotation_that_is_no_address_leads_nowhere() {
    let (stock, _) = rig([]);
    let uri: Uri = "/a?b=c".parse().unwrap();
    let url = |address| stock.url(address, &uri).map(|url| url.to_string());
    assert_eq!(url("10.0.0.9").unwrap(), "http://10.0.0.9:9443/a?b=c");
    assert_eq!(url("fd00::1").unwrap(), "http://[fd00::1]:9443/a?b=c");
    for address in ["", "cloud.example", "10.0.0.9:80/x", "10.0.0.9/x?", "user@10.0.0.9"] {
        assert_eq!(url(address), None, "{address}");
    }
}

#[test]
fn a_node_that_is_here_is_nobody_elses() {
    let (writer, holders) = Holders::new();
    let nodes = LocalNodes::default();
    let stock = StockReplicas::new(9443, holders, nodes.clone(), Scripted::new([]));
    let node = NodeName::new("edge-1");
    assert_eq!(stock.holder(&node), None);
    writer.set(&node, Holder::Stock(address()));
    assert_eq!(stock.holder(&node), Some(address()));
    let (tx, rx) = bounded("replies", 1);
    nodes.connected(UserSession { node: node.clone(), replies: Replies::new(tx), is_native: true });
    assert_eq!(stock.holder(&node), None);
    drop(rx);
    assert_eq!(stock.holder(&node), Some(address()));
    writer.set(&node, Holder::Us);
    assert_eq!(stock.holder(&node), None);
}
