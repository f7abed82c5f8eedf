use clap::Parser as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::testing::terminal;
use super::*;
use crate::args::{Args, Command};
use crate::host::{Change, Facts, Recording};

const PODS: &str = r#"{"kind":"PodList","items":[
    {"metadata":{"namespace":"default","name":"web","uid":"u-1","creationTimestamp":"2026-11-28T08:00:00Z","labels":{"app":"web"}},
     "spec":{"nodeName":"edge-1","containers":[{"name":"nginx","image":"nginx:1"}]},
     "status":{"phase":"Running","podIP":"10.0.0.7","conditions":[{"type":"Ready","status":"True"}],
               "containerStatuses":[{"name":"nginx","ready":true,"restartCount":2,"image":"nginx:1","imageID":"","state":{"running":{"startedAt":"2026-11-28T08:00:05Z"}}}]}},
    {"metadata":{"namespace":"default","name":"held","uid":"u-2","annotations":{"edge.kubeedge.io/hold-upgrade":"true"}},
     "spec":{"containers":[{"name":"a"},{"name":"b"}]},
     "status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Held","message":"waits"}]}}]}"#;

struct Server {
    address: std::net::SocketAddr,
    questions: mpsc::Receiver<(String, String)>,
    _task: chassis::task::AbortOnDrop<()>,
}

/// A stand-in for EdgeCore's local server: what was asked, as the first line and the body, comes out of the channel.
async fn server(answer: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, questions) = mpsc::channel(8);
    let task = chassis::task::spawn(tracing::Span::none(), async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
            let (status, said) = match line.as_str() {
                line if line.contains(" /pods ") => ("200 OK", PODS),
                line if line.contains("/containerLogs/") => ("200 OK", "one\ntwo\n"),
                _ if answer.is_empty() => ("404 Not Found", "pod \"default/no\" not found\n"),
                _ => ("200 OK", answer),
            };
            asked.send((line, body)).await.unwrap();
            let text = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
                said.len()
            );
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    Server { address, questions, _task: task }
}

/// What `keadm ctl` with these words prints, with the server in its configuration.
async fn ctl(address: std::net::SocketAddr, words: &[&str]) -> (String, anyhow::Result<()>) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("edgecore.yaml");
    let text = format!(
        "modules:\n  edged:\n    hostnameOverride: edge-1\n    tailoredKubeletConfig:\n      address: {}\n      readOnlyPort: {}\n",
        address.ip(),
        address.port()
    );
    std::fs::write(&config, text).unwrap();
    let printer = Printer::capturing();
    let config = config.to_string_lossy().into_owned();
    let all = ["keadm", "ctl"].iter().chain(words).copied().chain(["--config", &config]);
    let action = match Args::try_parse_from(all).unwrap().command {
        Command::Ctl(ctl) => ctl.action,
        other => panic!("not ctl: {other:?}"),
    };
    let result = run(action, &printer).await;
    (terminal(&printer, &result).replace(&address.to_string(), "ADDRESS"), result)
}

#[tokio::test]
async fn pods_are_listed_and_described() {
    let server = server("").await;
    let address = server.address;
    let (shown, result) = ctl(address, &["get", "pod", "web", "-o", "wide"]).await;
    result.unwrap();
    // The age moves.
    let columns: Vec<&str> = shown.split_whitespace().collect();
    assert!(columns.starts_with(&["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]), "{shown}");
    assert!(columns.contains(&"10.0.0.7") && columns.contains(&"1/1"), "{shown}");
    let (shown, result) = ctl(address, &["describe", "pods", "--show-events=true"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    let (shown, result) = ctl(address, &["get", "po", "nobody"]).await;
    assert!(result.is_err());
    insta::assert_snapshot!("a_pod_that_is_not_there", shown);
}

#[tokio::test]
async fn logs_are_asked_for_as_kubelet_is_asked() {
    let mut server = server("").await;
    let address = server.address;
    let (shown, result) = ctl(address, &["logs", "web", "--tail", "5", "-f", "--since-second=60"]).await;
    result.unwrap();
    assert_eq!(shown, "one\ntwo\n");
    server.questions.recv().await.unwrap();
    let (line, _) = server.questions.recv().await.unwrap();
    assert_eq!(line, "GET /containerLogs/default/web/nginx?follow=true&sinceSeconds=60&tailLines=5 HTTP/1.1");
}

#[tokio::test]
async fn of_several_containers_one_must_be_named() {
    let server = server("").await;
    let address = server.address;
    let (shown, result) = ctl(address, &["logs", "held"]).await;
    assert!(crate::hint::is_usage(&result.unwrap_err()));
    insta::assert_snapshot!(shown);
    ctl(address, &["logs", "held", "-c", "b"]).await.1.unwrap();
    assert!(ctl(address, &["logs", "held", "-c", "c"]).await.1.is_err());
}

#[tokio::test]
async fn held_pods_are_let_go() {
    let mut server = server("pod default/held goes on\n").await;
    let address = server.address;
    let (shown, result) = ctl(address, &["unhold-upgrade", "pod", "held"]).await;
    result.unwrap();
    assert_eq!(shown, "pod default/held goes on\n");
    let (line, body) = server.questions.recv().await.unwrap();
    assert_eq!((line.as_str(), body.as_str()), ("POST /api/v1/pods/unhold-upgrade HTTP/1.1", "default/held"));
    ctl(address, &["unhold-upgrade", "node"]).await.1.unwrap();
    let (line, body) = server.questions.recv().await.unwrap();
    assert_eq!((line.as_str(), body.as_str()), ("POST /api/v1/nodes/unhold-upgrade HTTP/1.1", "edge-1"));
    ctl(address, &["confirm"]).await.1.unwrap();
    assert!(server.questions.recv().await.unwrap().0.starts_with("POST /api/v1/taskupgrade/confirm-upgrade"));
}

#[tokio::test]
async fn what_edgecore_refuses_is_said_in_its_words() {
    let server = server("").await;
    let address = server.address;
    let (shown, result) = ctl(address, &["unhold-upgrade", "pod", "no"]).await;
    assert!(result.is_err());
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn where_nobody_answers_it_is_said_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (shown, result) = ctl(address, &["get", "pod"]).await;
    assert!(result.is_err());
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn containers_are_stopped_by_the_runtime() {
    let printer = Printer::capturing();
    let host = Recording::acting(Facts::default(), printer.clone());
    let words = ["keadm", "ctl", "restart", "pod", "web", "db", "-n", "shop"];
    let Command::Ctl(ctl) = Args::try_parse_from(words).unwrap().command else { panic!("not ctl") };
    let CtlAction::Restart(restart) = ctl.action else { panic!("not restart") };
    restart_pods(&host, restart, &printer).await.unwrap();
    assert_eq!(host.changes(), ["shop/web", "shop/db"].map(|pod| Change::StopContainers(pod.to_owned())));
    insta::assert_snapshot!(printer.captured());
}
