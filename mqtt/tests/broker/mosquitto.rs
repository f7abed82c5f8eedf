//! `mosquitto_pub` and `mosquitto_sub` as devices.

use std::collections::VecDeque;
use std::process::Stdio;

use mqtt::Limits;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{Running, soon};

/// `mosquitto_sub`, once it has subscribed.
pub(crate) struct Subscriber {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What came before it had subscribed, because its session had waited for it.
    early: VecDeque<String>,
}

impl Subscriber {
    /// The next message; what else it says of itself is passed over.
    pub(crate) async fn line(&mut self) -> Option<String> {
        if let Some(early) = self.early.pop_front() {
            return Some(early);
        }
        loop {
            let line = soon(self.lines.next_line()).await.unwrap()?;
            if let Some(payload) = line.strip_prefix('=') {
                return Some(payload.to_owned());
            }
        }
    }

    /// All messages, until it has as many as it was told.
    pub(crate) async fn lines(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(line) = self.line().await {
            all.push(line);
        }
        assert!(soon(self.child.wait()).await.unwrap().success());
        all
    }
}

fn command(program: &str, port: u16, tls: &[String], arguments: &[&str]) -> Command {
    // By itself it keeps what it says to a pipe until there is a lot of it.
    let mut command = Command::new("stdbuf");
    command.args(["-oL", program]);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(tls).args(arguments);
    command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts `mosquitto_sub`, and waits until it has subscribed, which it says when it is told to say all.
pub(crate) async fn subscribe(port: u16, tls: &[String], arguments: &[&str]) -> Subscriber {
    let mut command = command("mosquitto_sub", port, tls, &["-d", "-F", "=%p"]);
    let mut child = command.args(arguments).spawn().expect("apt install mosquitto-clients");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut early = VecDeque::new();
    loop {
        let line = soon(lines.next_line()).await.unwrap().expect("it is connected");
        if line.starts_with("Subscribed") {
            return Subscriber { child, lines, early };
        }
        early.extend(line.strip_prefix('=').map(str::to_owned));
    }
}

/// Runs `mosquitto_pub`; returns whether all was taken.
pub(crate) async fn publish(port: u16, tls: &[String], arguments: &[&str], input: Option<&str>) -> bool {
    let mut child =
        command("mosquitto_pub", port, tls, arguments).spawn().expect("apt install mosquitto-clients");
    let mut stdin = child.stdin.take().unwrap();
    if let Some(input) = input {
        // One that is refused does not read its input.
        stdin.write_all(input.as_bytes()).await.ok();
    }
    drop(stdin);
    soon(child.wait_with_output()).await.unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_quality_arrives_and_wildcards_do_not_name_special_topics() {
    let broker = Running::start(Limits::default()).await;
    let port = broker.address.port();
    let mut all = subscribe(port, &[], &["-t", "#", "-q", "2", "-C", "3"]).await;
    let mut special = subscribe(port, &[], &["-t", "$hw/events/device/+/+/twin/+", "-C", "1"]).await;
    for quality in ["0", "1", "2"] {
        let topic = "$hw/events/device/ns/thermometer/twin/update";
        if quality == "0" {
            assert!(publish(port, &[], &["-t", topic, "-m", "special"], None).await);
        }
        assert!(publish(port, &[], &["-t", "a/b", "-q", quality, "-m", quality], None).await);
    }
    assert_eq!(all.lines().await, ["0", "1", "2"]);
    assert_eq!(special.lines().await, ["special"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_and_wills() {
    let broker = Running::start(Limits::default()).await;
    let port = broker.address.port();
    for (topic, payload) in [("state/a", "on"), ("state/b", "off"), ("state/a", "onward")] {
        assert!(publish(port, &[], &["-t", topic, "-r", "-q", "1", "-m", payload], None).await);
    }
    // An empty message ends it.
    assert!(publish(port, &[], &["-t", "state/b", "-r", "-q", "1", "-n"], None).await);
    let mut late = subscribe(port, &[], &["-t", "state/+", "-C", "2"]).await;
    assert_eq!(late.line().await.as_deref(), Some("onward"));

    let will = ["--will-topic", "state/will", "--will-payload", "gone", "--will-qos", "1", "--will-retain"];
    let mut dying = subscribe(port, &[], &[["-t", "x"].as_slice(), will.as_slice()].concat()).await;
    dying.child.kill().await.unwrap();
    assert_eq!(late.line().await.as_deref(), Some("gone"));
    let mut later = subscribe(port, &[], &["-t", "state/will", "-C", "1"]).await;
    assert_eq!(later.lines().await, ["gone"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_messages_wait_for_a_subscriber_that_is_away() {
    const MESSAGES: usize = 5000;
    let broker = Running::start(Limits::default()).await;
    let port = broker.address.port();
    let session = ["-t", "t", "-q", "1", "-c", "-i", "keeper", "-C"];
    let mut subscriber = subscribe(port, &[], &[session.as_slice(), &["1"]].concat()).await;
    assert!(publish(port, &[], &["-t", "t", "-q", "1", "-m", "first"], None).await);
    assert_eq!(subscriber.lines().await, ["first"]);
    broker.until("mqtt_clients", |clients| clients == 0).await;

    let lines: String = (0..MESSAGES).map(|number| format!("{number}\n")).collect();
    assert!(publish(port, &[], &["-t", "t", "-q", "1", "-l"], Some(&lines)).await);
    assert!(broker.metric("mqtt_queued_bytes") > 0);
    let count = MESSAGES.to_string();
    let mut subscriber = subscribe(port, &[], &[session.as_slice(), &[&count]].concat()).await;
    let got = subscriber.lines().await;
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    assert_eq!(got, expected, "all of them, once each and in order");
    broker.stop().await;
}
