//! A wall clock that jumps by an hour, forward and back. EdgeCore alone is told another time
//! (<https://github.com/wolfcw/libfaketime>); the rest of the machine, its runtime and the cloud have the right one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::wait::until;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::node::{Node, Plan, SOON, pod};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Debian's place for the library.
fn library() -> PathBuf {
    let name = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    assert!(Path::new(&name).exists(), "{name} is not there: apt-get install libfaketime");
    name.into()
}

fn now() -> Timestamp {
    chassis::clock::Clock::system().now()
}

/// Waits until the node's lease is renewed with a time that is about `shift` from ours, and goes on being renewed.
async fn lease_follows(node: &Node, shift: SignedDuration) {
    let renewed = || async {
        let lease =
            node.kubectl().run(&["-n", "kube-node-lease", "get", "lease", "edge-1", "-o", "json"]).await?;
        let lease: Value = serde_json::from_str(&lease)?;
        let time: Timestamp = lease["spec"]["renewTime"].as_str().unwrap_or_default().parse()?;
        anyhow::ensure!((time - (now() + shift)).total(jiff::Unit::Second)?.abs() < 60.0, "{time}, {shift}");
        anyhow::Ok(time)
    };
    let first = until("the lease has the node's time", SOON, renewed).await.unwrap();
    until("the lease is renewed", SOON, || async {
        anyhow::ensure!(renewed().await? > first, "still {first}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_stops_nothing_and_restarts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = dir.path().join("clock");
    let set = |shift: &str| std::fs::write(&clock, shift).unwrap();
    set("+0");
    let environment = environment(&clock);
    let mut node = Node::start_as(Plan { environment, ..Plan::default() }).await;
    // One that may run for ten minutes, one that fails again and again, and one whose token has an hour.
    node.apply(&pod("limited", &["pause"], &json!({"activeDeadlineSeconds": 600}))).await;
    node.apply(&pod("crashes", &["exit", "1"], &json!({}))).await;
    node.apply(&pod("token", &["pause"], &json!({"automountServiceAccountToken": true}))).await;
    for name in ["limited", "token"] {
        node.until_running(name).await;
    }
    let before = (node.lives("limited").await.unwrap(), node.lives("token").await.unwrap());
    for (shift, by) in [("+3600", HOUR), ("-3600", -HOUR), ("+0", SignedDuration::ZERO)] {
        let crashed = restarts(&node).await;
        set(shift);
        lease_follows(&node, by).await;
        node.until_ready("True", "").await;
        // Neither at once nor never: the wait between two tries is no longer than a minute yet.
        until("it is tried again", Duration::from_secs(200), || async {
            let now = restarts(&node).await;
            anyhow::ensure!(now > crashed, "still {now}");
            Ok(())
        })
        .await
        .unwrap();
        assert!(restarts(&node).await <= crashed + 3, "it is not tried without end");
        // A pod that is new has the node's time, and its parts agree.
        let name = format!("new{}", by.as_hours().abs() + i64::from(by.is_negative()));
        node.apply(&pod(&name, &["pause"], &json!({"activeDeadlineSeconds": 600}))).await;
        let new = node.until_running(&name).await;
        let started: Timestamp = new["status"]["startTime"].as_str().unwrap().parse().unwrap();
        let off = (started - (now() + by)).total(jiff::Unit::Second).unwrap().abs();
        assert!(off < 120.0, "{started}");
        node.delete(&name).await;
        let now = (node.lives("limited").await.unwrap(), node.lives("token").await.unwrap());
        assert_eq!(now, before, "after {shift}");
        assert_eq!(node.pod("limited").await.unwrap()["status"]["phase"], "Running", "after {shift}");
        node.is_undisturbed().await;
    }
    a_start_with_a_wrong_clock(&mut node, &clock).await;
    for name in ["limited", "crashes", "token"] {
        node.delete(name).await;
    }
    node.is_undisturbed().await;
}

/// What tells EdgeCore another time.
fn environment(clock: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("LD_PRELOAD", library().to_string_lossy().into_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_string_lossy().into_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // Only the time of day jumps: that is what a clock that is set does.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// As a board without a battery starts.
async fn a_start_with_a_wrong_clock(node: &mut Node, clock: &Path) {
    let set = |shift: &str| std::fs::write(clock, shift).unwrap();
    set("-3600");
    node.kill_edgecore();
    let restored = "pods restored from the store";
    let before = node.edgecore_log().unwrap().matches(restored).count();
    node.start_edgecore(&environment(clock));
    until("it has started", SOON, || async {
        let log = node.edgecore_log()?;
        anyhow::ensure!(log.matches(restored).count() > before, "{log}");
        Ok(())
    })
    .await
    .unwrap();
    set("+0");
    lease_follows(node, SignedDuration::ZERO).await;
    node.until_ready("True", "").await;
}

async fn restarts(node: &Node) -> i64 {
    let pod = node.pod("crashes").await.unwrap();
    pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or_default()
}
