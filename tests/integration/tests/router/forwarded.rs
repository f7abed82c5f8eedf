//! Requests at a CloudCore that does not hold the node: the one that does is real, and so are the node, its broker and its service.

use integration::daemons::{SOON, metrics};
use integration::service::{Answer, Service};
use integration::wait::until;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::scene::Scene;
use crate::second::Second;

/// Stock edges take frames of 5 MB, and base64 is a third more.
const LARGE: usize = 3 << 20;

fn sent(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.headers.get("x-message-sent").map_or("", |value| value.to_str().unwrap()))
}

async fn start() -> (Scene, Second, Service) {
    let scene = Scene::start().await;
    let service = Service::start().await;
    scene.service_endpoint("my-servicebus", service.port).await;
    scene.rule("mqtt", ("my-rest", json!({"path": "/a"})), ("my-eventbus", json!({"topic": "test"}))).await;
    scene.rule("call", ("my-rest", json!({"path": "/b"})), ("my-servicebus", json!({"path": "/api"}))).await;
    scene.attached().await;
    let second = Second::start(&scene).await;
    second.knows("/a").await;
    second.knows("/b").await;
    (scene, second, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_its_node_through_a_cloudcore_that_does_not_hold_it() {
    let (scene, second, service) = start().await;
    second.held_by_the_first(true);
    let listener = scene.broker.subscribe("#").await;
    let answer = second.ask("POST", "/edge-1/default/a/x", "hello").await.unwrap();
    assert_eq!((sent(&answer), answer.body.as_str()), ((200, "yes"), "message delivered"));
    listener.hears("test/x", "what was asked", |payload| payload == "hello").await;

    let answer = second.ask("PUT", "/edge-1/default/b/y?q=1", "payload").await.unwrap();
    assert_eq!((sent(&answer), answer.body.as_str()), ((200, "yes"), "payload"));
    assert_eq!(answer.headers["x-service"], "here");
    let large = "x".repeat(LARGE);
    assert_eq!(second.ask("POST", "/edge-1/default/b", &large).await.unwrap().body, large);
    service.answers(404);
    let answer = second.ask("GET", "/edge-1/default/b", "").await.unwrap();
    assert_eq!(sent(&answer), (404, "yes"));
    let asked = service.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("PUT", "/api/y?q=1"));

    let text = metrics(&scene.cloud.admin).await.unwrap();
    for line in
        [r#"forwarding_served_total{outcome="answered"} 4"#, r#"forwarding_connections{direction="in"} 1"#]
    {
        assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_told_from_what_may_have_been() {
    let (mut scene, second, service) = start().await;
    second.held_by_the_first(true);
    let ask = async || sent(&second.ask("POST", "/edge-1/default/b", "1").await.unwrap()).0;
    assert_eq!(ask().await, 200);
    // The node goes, and comes again: whoever asks meanwhile waits for it.
    scene.kill_edge();
    until("the node has gone", SOON, || async {
        let answer = scene.ask("POST", "/edge-1/default/b", "away").await?;
        anyhow::ensure!(sent(&answer) == (503, "no"), "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();
    let answer = second.ask("POST", "/edge-1/default/b", "away").await.unwrap();
    assert_eq!(sent(&answer), (503, "no"));
    assert!(
        answer.headers.contains_key("retry-after") && answer.body.contains("not connected"),
        "{answer:?}"
    );
    scene.start_edge();
    scene.connected().await;
    until("the node is reached again", SOON, || async {
        let answer = second.ask("POST", "/edge-1/default/b", "2").await?;
        anyhow::ensure!(sent(&answer) == (200, "yes"), "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();

    // It stands still: what it was asked then it may do when it goes on.
    scene.cloud.process.signal(Signal::SIGSTOP).unwrap();
    let answer = second.ask("POST", "/edge-1/default/b", "stopped").await.unwrap();
    assert!([(502, "unknown"), (504, "unknown")].contains(&sent(&answer)), "{answer:?}");
    scene.cloud.process.signal(Signal::SIGCONT).unwrap();
    until("it is asked again", SOON, || async {
        let answer = second.ask("POST", "/edge-1/default/b", "3").await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();

    scene.kill_cloud();
    let answer = second.ask("POST", "/edge-1/default/b", "dead").await.unwrap();
    // The first that asks may find out by asking.
    assert!([(502, "unknown"), (503, "no")].contains(&sent(&answer)), "{answer:?}");
    let answer = second.ask("POST", "/edge-1/default/b", "dead").await.unwrap();
    assert_eq!(sent(&answer), (503, "no"));
    second.held_by_the_first(false);

    let bodies: Vec<String> = service.asked().into_iter().map(|asked| asked.body).collect();
    let count = |body: &str| bodies.iter().filter(|found| *found == body).count();
    assert_eq!((count("away"), count("dead")), (0, 0), "{bodies:?}");
    assert_eq!((count("1"), count("2")), (1, 1), "{bodies:?}");
    assert!(count("stopped") <= 1, "{bodies:?}");
}
