//! Users' messages as Rules say, with the real CloudCore and EdgeCore, mosquitto, and HTTP servers at both ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod forwarded;
mod scene;
mod second;

use integration::daemons::SOON;
use integration::service::{Ask, Service, authority};
use integration::wait::until;
use serde_json::{Value, json};

use self::scene::{Scene, TOKEN};

/// The manifests of stock's documentation apply as they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_the_cloud_is_published_at_the_edge() {
    let scene = Scene::start().await;
    scene.rule("down", ("my-rest", json!({"path": "/a"})), ("my-eventbus", json!({"topic": "test"}))).await;
    let devices = json!({"topic": "devices/{device}/set"});
    scene.rule("named", ("my-rest", json!({"path": "/a/{device}/set"})), ("my-eventbus", devices)).await;
    scene.attached().await;
    let listener = scene.broker.subscribe("#").await;
    let answer = until("the rule is known", SOON, || async {
        let answer = scene.ask("POST", "/edge-1/default/a", "hello").await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(answer)
    });
    assert_eq!(answer.await.unwrap().body, "message delivered");
    listener.hears("test", "what was asked", |payload| payload == "hello").await;
    // The most specific rule takes it; what is left over of a path goes along.
    assert_eq!(scene.ask("PUT", "/edge-1/default/a/lamp/set", "on").await.unwrap().status, 200);
    listener.hears("devices/lamp/set", "a named one", |payload| payload == "on").await;
    assert_eq!(scene.ask("POST", "/edge-1/default/a/b/c", "rest").await.unwrap().status, 200);
    listener.hears("test/b/c", "what is left over", |payload| payload == "rest").await;
    scene.counted("down", 2, 0).await;
    scene.counted("named", 1, 0).await;

    for (path, status) in
        [("/edge-1/default/b", 404), ("/edge-2/default/a", 503), ("/edge-1/default/a/+", 400), ("/", 404)]
    {
        assert_eq!(scene.ask("POST", path, "x").await.unwrap().status, status, "{path}");
    }
    scene.counted("down", 2, 1).await;
    let errors = scene.cloud.kubectl.value("rule/down", "{.status.errors[0]}").await.unwrap();
    assert!(errors.contains("edge-2: the node is not connected"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_knows_who_asks() {
    let scene = Scene::start().await;
    scene.rule("down", ("my-rest", json!({"path": "/a"})), ("my-eventbus", json!({"topic": "test"}))).await;
    let url = scene.url("/edge-1/default/a");
    let ca = authority(scene.cloud.https).await;
    let ask = |token| Ask { method: "POST", url: &url, ca: Some(&ca), token, body: "x" };
    let ask = async |token| ask(token).send().await.unwrap().status;
    assert_eq!(ask(None).await, 401);
    assert_eq!(ask(Some("wrong-wrong-wrong-wrong")).await, 401);
    // Good for one namespace, and not for this one.
    assert_eq!(ask(Some(scene::ELSEWHERE)).await, 403);
    assert_eq!(ask(Some(TOKEN)).await, 200);
    scene.cloud.logs(&["denied: no valid token", "/edge-1/default/a"]).await;
    scene.cloud.logs(&["denied: elsewhere may not use this rule"]).await;
    let plain = url.replace("https", "http");
    let plain = Ask { method: "POST", url: &plain, ca: None, token: Some(TOKEN), body: "x" };
    assert!(plain.send().await.is_err(), "nobody speaks plain HTTP");
}

/// A service account of the cluster that has a token for the router.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_kubernetes_api_opens_its_namespace() {
    let scene = Scene::start_with(|config| config.modules.router.token_file.clear()).await;
    scene.rule("down", ("my-rest", json!({"path": "/a"})), ("my-eventbus", json!({"topic": "test"}))).await;
    let kubectl = &scene.cloud.kubectl;
    kubectl.run(&["create", "serviceaccount", "app"]).await.unwrap();
    let ours = kubectl.run(&["create", "token", "app", "--audience", "router.kubeedge.io"]).await.unwrap();
    let of_the_api = kubectl.run(&["create", "token", "app"]).await.unwrap();
    let url = scene.url("/edge-1/default/a");
    let ask = async |token: &str| {
        let ask = Ask { method: "POST", url: &url, ca: None, token: Some(token.trim()), body: "x" };
        ask.send().await.unwrap().status
    };
    assert_eq!(ask(&ours).await, 200);
    assert_eq!(ask(&of_the_api).await, 401);
    kubectl.run(&["create", "namespace", "other"]).await.unwrap();
    kubectl.run(&["-n", "other", "create", "serviceaccount", "app"]).await.unwrap();
    let args = ["-n", "other", "create", "token", "app", "--audience", "router.kubeedge.io"];
    assert_eq!(ask(&kubectl.run(&args).await.unwrap()).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_the_cloud_reaches_a_service_at_the_edge() {
    let scene = Scene::start().await;
    let service = Service::start().await;
    scene.service_endpoint("my-servicebus", service.port).await;
    scene.rule("down", ("my-rest", json!({"path": "/b"})), ("my-servicebus", json!({"path": "/api"}))).await;
    let answer = scene.ask("PUT", "/edge-1/default/b/x?q=1", "payload").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "payload"));
    assert_eq!(answer.headers["x-service"], "here");
    let asked = service.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("PUT", "/api/x?q=1"));
    assert!(!asked[0].headers.contains_key("authorization"), "the token is for us");
    // Whatever it answers comes back, and is asked once.
    for status in [404, 500, 302] {
        service.answers(status);
        assert_eq!(scene.ask("POST", "/edge-1/default/b", "").await.unwrap().status, status);
    }
    assert_eq!(service.asked().len(), 4);
    assert_eq!(scene.ask("POST", "/edge-1/default/b/../../secret", "").await.unwrap().status, 400);
    assert_eq!(service.asked().len(), 4);
    scene.counted("down", 3, 1).await;
    // Nobody listens there any more.
    drop(service);
    let answer = scene.ask("POST", "/edge-1/default/b", "").await.unwrap();
    assert!(answer.status == 502 && answer.body.contains("no service at port"), "{answer:?}");
    // A port of EdgeCore's own is no service, whatever a rule says.
    let kubelet = scene.edge.modules.edged.tailored_kubelet_config.read_only_port;
    scene.service_endpoint("kubelet", kubelet).await;
    scene.rule("kubelet", ("my-rest", json!({"path": "/kubelet"})), ("kubelet", json!({"path": "/"}))).await;
    let answer = scene.ask("GET", "/edge-1/default/kubelet/pods", "").await.unwrap();
    assert!(answer.status == 403 && answer.body.contains("EdgeCore's own"), "{answer:?}");
}

const MESSAGES: usize = 500;

/// Nothing is lost and the order stays, though the server refuses at first, and CloudCore and EdgeCore are killed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_at_the_edge_reaches_a_server_in_the_cloud() {
    let mut scene = Scene::start().await;
    let server = Service::start().await;
    let target = json!({"resource": format!("http://127.0.0.1:{}/in", server.port)});
    let from = json!({"topic": "up", "node_name": "edge-1"});
    scene.rule("up", ("my-eventbus", from), ("my-rest", target)).await;
    scene.attached().await;
    until("the node is subscribed", SOON, || async {
        scene.broker.publish("default/up", 1, "probe\n".to_owned()).await;
        anyhow::ensure!(server.asked().iter().any(|asked| asked.body == "probe"), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let first = &server.asked()[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str(), first.headers["nodename"].as_bytes()),
        ("POST", "/in", &b"edge-1"[..])
    );
    let lines = |range: std::ops::Range<usize>| range.map(|number| format!("{number}\n")).collect::<String>();
    server.answers(503);
    scene.broker.publish("default/up", 1, lines(0..MESSAGES / 2)).await;
    server.until("it is asked and refuses", |asked| asked.iter().any(|asked| asked.body == "0")).await;
    scene.kept_at_the_edge(MESSAGES / 2).await;
    scene.kill_cloud();
    scene.kill_edge();
    scene.start_edge();
    scene.attached().await;
    scene.broker.publish("default/up", 1, lines(MESSAGES / 2..MESSAGES)).await;
    server.answers(200);
    scene.start_cloud();
    let last = (MESSAGES - 1).to_string();
    let asked = server.until("the last arrives", |asked| asked.iter().any(|asked| asked.body == last)).await;
    // Each once by its id, in the order in which it was published; those that were refused came again with the same id.
    let mut ids = std::collections::BTreeSet::new();
    let taken = asked.iter().filter(|asked| asked.body != "probe");
    let distinct: Vec<usize> = taken
        .filter(|asked| ids.insert(asked.headers["x-message-id"].to_str().unwrap().to_owned()))
        .map(|asked| asked.body.parse().unwrap())
        .collect();
    assert_eq!(distinct, (0..MESSAGES).collect::<Vec<_>>());
    until("it is counted", SOON, || async {
        let taken = scene.cloud.kubectl.value("rule/up", "{.status.successMessages}").await?;
        anyhow::ensure!(taken.parse::<usize>()? >= MESSAGES, "{taken}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A rule that comes and goes while the node is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_subscribes_when_it_comes() {
    let mut scene = Scene::start().await;
    let server = Service::start().await;
    let up = async |scene: &Scene, name: &str, topic: &str| {
        let target = json!({"resource": format!("http://127.0.0.1:{}/{name}", server.port)});
        let from = json!({"topic": topic, "node_name": "edge-1"});
        scene.rule(name, ("my-eventbus", from), ("my-rest", target)).await;
    };
    up(&scene, "old", "old").await;
    scene.attached().await;
    let arrives = async |scene: &Scene, topic: &str, path: &str| {
        until(&format!("{topic} arrives"), SOON, || async {
            scene.broker.publish(topic, 1, "x\n".to_owned()).await;
            anyhow::ensure!(server.asked().iter().any(|asked| asked.path == path), "{:?}", server.asked());
            Ok(())
        })
        .await
        .unwrap();
    };
    arrives(&scene, "default/old", "/old").await;
    scene.kill_edge();
    up(&scene, "new", "new/+").await;
    scene.cloud.kubectl.run(&["delete", "rule", "old"]).await.unwrap();
    scene.start_edge();
    scene.attached().await;
    arrives(&scene, "default/new/a", "/new").await;
    let before = server.asked().len();
    scene.broker.publish("default/old", 1, "x\n".to_owned()).await;
    scene.broker.publish("default/new/b", 1, "last\n".to_owned()).await;
    let asked =
        server.until("the last arrives", |asked| asked.iter().any(|asked| asked.body == "last")).await;
    assert!(asked[before..].iter().all(|asked| asked.path == "/new"), "{asked:?}");
}

/// An application at the edge asks a server in the cloud, through stock's interface on port 9060.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_at_the_edge_asks_a_server_in_the_cloud() {
    let scene = Scene::start().await;
    let server = Service::start().await;
    let target = json!({"resource": format!("http://127.0.0.1:{}/in", server.port)});
    let from = json!({"target_url": "http://anything/at-all", "node_name": "edge-1"});
    scene.rule("call", ("my-servicebus", from), ("my-payload", target)).await;
    let asked = |url: &str| json!({"method": "POST", "targetURL": url, "payload": {"a": 1}}).to_string();
    let answer = until("the rule is known at the edge", SOON, || async {
        let answer = scene.ask_at_the_edge(&asked("http://anything/at-all")).await?;
        anyhow::ensure!(answer["code"] == 200, "{answer}");
        Ok(answer)
    });
    let answer: Value = answer.await.unwrap();
    assert_eq!(answer["body"], r#"{"a":1}"#);
    assert_eq!(server.asked()[0].body, r#"{"a":1}"#);
    server.answers(409);
    let answer = scene.ask_at_the_edge(&asked("http://anything/at-all")).await.unwrap();
    assert_eq!((&answer["code"], &answer["body"]), (&json!(409), &json!(r#"{"a":1}"#)));
    let refused = scene.ask_at_the_edge(&asked("http://elsewhere")).await.unwrap();
    assert_eq!(refused["code"], 400, "{refused}");
    drop(server);
    let answer = scene.ask_at_the_edge(&asked("http://anything/at-all")).await.unwrap();
    assert_eq!(answer["code"], 502, "{answer}");
    // Without a rule there is no listener.
    scene.cloud.kubectl.run(&["delete", "rule", "call"]).await.unwrap();
    until("the listener closes", SOON, || async {
        anyhow::ensure!(scene.ask_at_the_edge("{}").await.is_err(), "it listens");
        Ok(())
    })
    .await
    .unwrap();
}
