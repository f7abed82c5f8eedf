//! Logs, over files that the test writes as a runtime would.

use std::fs::{self, File as LogFile, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use http::StatusCode;

use super::client::{read_until, text};
use super::*;

const LOGS: &str = "/containerLogs/shop/web/app";

/// The log of the container `app` of the pod `web`.
struct Log {
    path: PathBuf,
    file: LogFile,
}

impl Log {
    fn new(node: &Node, attempt: u32) -> Self {
        let folder = node.disk.path().join("logs/shop_web_uid-web/app");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{attempt}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        Self { path, file }
    }

    fn write(&mut self, tag: &str, text: &str) {
        writeln!(self.file, "2026-11-23T08:00:01.5Z stdout {tag} {text}").unwrap();
    }

    /// What kubelet and runtime do when a log is full.
    fn rotate(&mut self) {
        fs::rename(&self.path, self.path.with_extension("log.20261123-080001")).unwrap();
        self.write("F", "still into the old file");
        self.file = OpenOptions::new().create(true).append(true).open(&self.path).unwrap();
    }
}

#[tokio::test]
async fn a_log_is_read_as_asked() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let mut log = Log::new(&node, 0);
    for (tag, line) in [("F", "one"), ("P", "tw"), ("F", "o"), ("F", "three")] {
        log.write(tag, line);
    }
    assert_eq!(local.client.get(LOGS).await, (StatusCode::OK, "one\ntwo\nthree\n".to_owned()));
    let get = async |query: &str| local.client.get(&format!("{LOGS}{query}")).await.1;
    assert_eq!(get("?tailLines=2").await, "two\nthree\n");
    assert_eq!(get("?tailLines=0").await, "");
    assert_eq!(get("?limitBytes=5").await, "one\nt");
    assert_eq!(get("?timestamps=true&tailLines=1").await, "2026-11-23T08:00:01.5Z three\n");
    assert_eq!(get("?sinceTime=2026-11-23T08:00:02Z").await, "");
    assert_eq!(get("?sinceSeconds=3600").await, "one\ntwo\nthree\n");
    assert_eq!(get("?stream=Stderr").await, "");
    let refused = local.client.get(&format!("{LOGS}?tailLines=x")).await;
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
    let unknown = local.client.get("/containerLogs/shop/web/other").await;
    assert_eq!(unknown, (StatusCode::NOT_FOUND, "container \"other\" not found in pod \"web\"\n".to_owned()));
}

#[tokio::test]
async fn following_goes_on_across_a_rotation_and_ends_with_the_container() {
    let node = Node { runtime: FakeRuntime::new(Clock::system()).with_events(), ..Node::new() };
    let node = node.with_image(APP, Behaviour::serves());
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Never")).await;
    let mut log = Log::new(&node, 0);
    log.write("F", "before");
    let mut answer = local.client.ask("GET", &format!("{LOGS}?follow=true"), &[]).await;
    assert_eq!(read_until(&mut answer, "before\n").await, "before\n");
    log.write("F", "live");
    assert_eq!(read_until(&mut answer, "live\n").await, "live\n");
    log.rotate();
    log.write("F", "new file");
    let read = read_until(&mut answer, "new file\n").await;
    assert_eq!(read, "still into the old file\nnew file\n", "nothing is lost");
    log.write("F", "last words");
    log.write("P", "and no end");
    node.runtime.exit("app", 0);
    assert_eq!(text(answer).await, "last words\nand no end");

    // What has ended is not waited for.
    let ended = local.client.ask("GET", &format!("{LOGS}?follow=true"), &[]).await;
    assert_eq!(text(ended).await, "new file\nlast words\nand no end");
}

#[tokio::test]
async fn the_previous_container_has_a_log_too() {
    let node = Node { runtime: FakeRuntime::new(Clock::system()).with_events(), ..Node::new() };
    let node = node.with_image(APP, Behaviour::serves());
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    Log::new(&node, 0).write("F", "first");
    let missing = local.client.get(&format!("{LOGS}?previous=true")).await;
    assert_eq!(missing.0, StatusCode::BAD_REQUEST);
    assert!(
        missing.1.contains("previous terminated container \"app\" in pod \"shop/web\" not found"),
        "{missing:?}"
    );
    node.runtime.exit("app", 1);
    let restarted = |status: &k8s_openapi::api::core::v1::PodStatus| {
        let app = crate::edged::testing::container(status, "app");
        app.restart_count == 1 && app.ready
    };
    local.edge.meta.until_status("web", "restarted", restarted).await;
    Log::new(&node, 1).write("F", "second");
    assert_eq!(local.client.get(LOGS).await.1, "second\n");
    assert_eq!(local.client.get(&format!("{LOGS}?previous=true")).await.1, "first\n");
}

#[tokio::test]
async fn there_are_only_so_many_readers_and_each_gives_its_place_back() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    Log::new(&node, 0).write("F", "one");
    let mut readers = Vec::new();
    let refused = loop {
        let answer = local.client.ask("GET", &format!("{LOGS}?follow=true"), &[]).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        readers.push(answer);
    };
    assert_eq!((readers.len(), refused.status()), (64, StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(local.client.get("/healthz").await.0, StatusCode::OK, "others are still served");
    drop(readers);
    client::until("places are free", || async {
        local.client.get(&format!("{LOGS}?tailLines=1")).await.0 == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_process_ends_a_follower() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    Log::new(&node, 0).write("F", "one");
    let mut answer = local.client.ask("GET", &format!("{LOGS}?follow=true"), &[]).await;
    read_until(&mut answer, "one\n").await;
    local.stop.request();
    local.server.await.unwrap();
}
